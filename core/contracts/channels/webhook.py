"""Webhooks, signed after Standard Webhooks (https://www.standardwebhooks.com)."""

import base64
import secrets
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec
from msgspec import structs

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.headers import check_headers
from core.contracts.channels.templates import check_template
from core.contracts.channels.urls import check_url, origin

SIGNING_PREFIX: Final = "whsec_"
SECRET_BYTES: Final = range(24, 65)
"""Sizes of a signing key that Standard Webhooks allows."""


class WebhookConfig(ChannelConfig, frozen=True, kw_only=True):
    """An endpoint that takes signed messages. Without a `secret` one is made.

    While a secret is rotated, `previous_secret` is that before it: messages carry both signatures. `template` is the body where it is not
    empty (`core.contracts.channels.templates`).
    """

    url: str
    secret: str = ""
    previous_secret: str = ""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    template: dict[str, Any] = msgspec.field(default_factory=dict)

    def checked(self, *, private_targets: bool) -> "WebhookConfig":
        """With a secret."""
        check_url(self.url, private_targets=private_targets)
        secret = self.secret or new_webhook_secret()
        for field, given in (("secret", secret), ("previous_secret", self.previous_secret)):
            if given and not given.startswith(SIGNING_PREFIX):
                raise BadConfig(field, "invalid", f"must begin with {SIGNING_PREFIX}")
            if given:
                signing_key(given, field)
        check_headers(self.headers, "headers")
        check_template(self.template, "template")
        return structs.replace(self, secret=secret)

    def rotated(self, secret: str) -> "WebhookConfig":
        """With a new secret; the one before it signs as well until it is forgotten."""
        return structs.replace(self, secret=secret, previous_secret=self.secret)

    def secrets(self) -> tuple[str, ...]:
        """What messages are signed with, the newest first."""
        return (self.secret, self.previous_secret) if self.previous_secret else (self.secret,)

    def summary(self) -> str:
        """The URL without its path."""
        return origin(self.url)


def new_webhook_secret(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A signing secret as Standard Webhooks writes it."""
    return SIGNING_PREFIX + base64.b64encode(random_bytes(32)).decode()


def signing_key(secret: str, field: str = "secret") -> bytes:
    """The key bytes of a `whsec_` secret.

    Raises:
        BadConfig: not base64, or of a wrong size.
    """
    encoded = secret.removeprefix(SIGNING_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        raise BadConfig(field, "invalid", f"must be {SIGNING_PREFIX} followed by base64") from None
    if len(key) not in SECRET_BYTES:
        raise BadConfig(field, "invalid", f"must hold {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes")
    return key
