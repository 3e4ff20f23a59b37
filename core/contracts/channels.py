"""Configurations of channels by kind: what the API accepts, the vault keeps and alert_dispatch sends with."""

import base64
import secrets
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from core.contracts.addresses import refusal

URL_LIMIT: Final = 2048
ADDRESS_LIMIT: Final = 254
SIGNING_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = range(24, 65)
"""Sizes of a signing key that Standard Webhooks allows."""


class BadConfig(ValueError):
    """A configuration is not usable. `field` names the culprit (empty: the whole), `code` is stable, `message` is for people."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.code = code
        self.message = message


class EmailConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One mailbox."""

    address: str


class WebhookConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint that takes messages signed after Standard Webhooks. Without a `secret` one is made."""

    url: str
    secret: str = ""


type ChannelConfig = EmailConfig | WebhookConfig

KINDS: Final[dict[str, type[ChannelConfig]]] = {"email": EmailConfig, "webhook": WebhookConfig}


def parse_config(kind: str, config: Mapping[str, Any], *, private_targets: bool = False) -> ChannelConfig:
    """Check a configuration that a user typed; `msgspec.to_builtins` of the result is what the vault seals.

    Args:
        kind: one of `KINDS`.
        config: JSON values.
        private_targets: whether private and loopback addresses may be sent to.

    Raises:
        BadConfig: with the field to blame.
    """
    if kind not in KINDS:
        raise BadConfig("kind", "unknown_kind", f"must be one of {', '.join(sorted(KINDS))}")
    parsed = _convert(KINDS[kind], config)
    if isinstance(parsed, WebhookConfig):
        return _checked_webhook(parsed, private_targets=private_targets)
    return _checked_email(parsed)


def load_config(kind: str, config: Mapping[str, Any]) -> ChannelConfig:
    """Read a configuration that was checked when it was stored.

    Raises:
        BadConfig: it does not fit its kind.
    """
    if kind not in KINDS:
        raise BadConfig("kind", "unknown_kind", f"no channel of kind {kind!r}")
    return _convert(KINDS[kind], config)


def summary(config: ChannelConfig) -> str:
    """What may be shown of a configuration: enough to recognise it, nothing to use it with (paths often hold tokens)."""
    if isinstance(config, WebhookConfig):
        parts = urlsplit(config.url)
        return f"{parts.scheme}://{parts.netloc}/…"[:200]
    return config.address[:200]


def new_webhook_secret(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A signing secret as Standard Webhooks writes it."""
    return SIGNING_PREFIX + base64.b64encode(random_bytes(32)).decode()


def signing_key(secret: str) -> bytes:
    """The key bytes of a `whsec_` secret.

    Raises:
        BadConfig: not base64, or of a wrong size.
    """
    encoded = secret.removeprefix(SIGNING_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        raise BadConfig("secret", "invalid", f"must be {SIGNING_PREFIX} followed by base64") from None
    if len(key) not in SECRET_BYTES:
        raise BadConfig("secret", "invalid", f"must hold {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes")
    return key


def _convert[T: ChannelConfig](shape: type[T], config: Mapping[str, Any]) -> T:
    fields = {field.name: field.required for field in msgspec.structs.fields(shape)}
    for name in config:
        if name not in fields:
            raise BadConfig(str(name), "unknown_field", "is not known")
    for name, required in fields.items():
        if required and name not in config:
            raise BadConfig(name, "required", "is required")
        if name in config and not isinstance(config[name], str):
            raise BadConfig(name, "invalid", "must be a string")
    return msgspec.convert(dict(config), shape)


def _checked_webhook(config: WebhookConfig, *, private_targets: bool) -> WebhookConfig:
    _check_url(config.url, private_targets=private_targets)
    secret = config.secret or new_webhook_secret()
    if not secret.startswith(SIGNING_PREFIX):
        raise BadConfig("secret", "invalid", f"must begin with {SIGNING_PREFIX}")
    signing_key(secret)
    return WebhookConfig(url=config.url, secret=secret)


def _check_url(url: str, *, private_targets: bool) -> None:
    if len(url) > URL_LIMIT:
        raise BadConfig("url", "too_long", f"must have at most {URL_LIMIT} characters")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadConfig("url", "invalid", "must be plain ASCII without blanks; write other characters percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadConfig("url", "invalid", "is not a URL") from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise BadConfig("url", "invalid", "must be an http or https URL with a host")
    if "@" in parts.netloc:
        raise BadConfig("url", "userinfo", "must not hold a user or password; messages are signed with the secret instead")
    if reason := _literal_refusal(host, private_targets=private_targets):
        raise BadConfig("url", "refused_address", f"points to an address that is not allowed: {reason}")


def _literal_refusal(host: str, *, private_targets: bool) -> str | None:
    """Why a host that is an address must not be connected to. Names are judged when they are resolved, at each send."""
    try:
        address = ip_address(host)
    except ValueError:
        return "loopback" if host == "localhost" and not private_targets else None
    return refusal(address, private_targets=private_targets)


def _checked_email(config: EmailConfig) -> EmailConfig:
    address = config.address.strip()
    local, at, domain = address.rpartition("@")
    plain = address.isascii() and address.isprintable() and not set(address) & set(' ,;:<>()[]"\\')
    reachable = domain == "localhost" or "." in domain.strip(".")
    if not (plain and at and local and reachable and "@" not in local):
        raise BadConfig("address", "invalid", "must be one e-mail address such as ops@example.com")
    if len(address) > ADDRESS_LIMIT:
        raise BadConfig("address", "too_long", f"must have at most {ADDRESS_LIMIT} characters")
    return EmailConfig(address=address)
