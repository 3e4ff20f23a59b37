"""URLs that users enter for us to send to."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from core.contracts.addresses import refusal
from core.contracts.channels.config import BadConfig

URL_LIMIT: Final = 2048


def check_url(url: str, *, private_targets: bool, field: str = "url") -> None:
    """Whether an http or https URL may be sent to. Host names are judged when they are resolved, at each send.

    Raises:
        BadConfig: blaming `field`.
    """
    if len(url) > URL_LIMIT:
        raise BadConfig(field, "too_long", f"must have at most {URL_LIMIT} characters")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadConfig(field, "invalid", "must be plain ASCII without blanks; write other characters percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadConfig(field, "invalid", "is not a URL") from None
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise BadConfig(field, "invalid", "must be an http or https URL with a host")
    if "@" in parts.netloc:
        raise BadConfig(field, "userinfo", "must not hold a user or password")
    if reason := _literal_refusal(host, private_targets=private_targets):
        raise BadConfig(field, "refused_address", f"points to an address that is not allowed: {reason}")


def check_service_url(url: str, hosts: Iterable[str], *, service: str, private_targets: bool, field: str = "url") -> bool:
    """Whether a URL is one of the service itself; only then its path has a form that is known.

    Where private targets are allowed the operator is trusted, and any other host may speak for the service: a server of one's
    own, a gateway, a receiver for trying things out.

    Args:
        url: what the user entered.
        hosts: names of the service's hosts; one that begins with a dot stands for all names below it.
        service: its name in the text of the error.
        private_targets: whether private and loopback addresses may be sent to.
        field: the field to blame.

    Raises:
        BadConfig: `wrong_host` where it is no https URL of the service, else as `check_url`.
    """
    check_url(url, private_targets=private_targets, field=field)
    parts = urlsplit(url)
    host = parts.hostname or ""
    known = any(host == name or (name.startswith(".") and host.endswith(name)) for name in hosts)
    ours = known and parts.scheme == "https" and parts.port in {None, 443}
    if not ours and (known or not private_targets):
        raise BadConfig(field, "wrong_host", f"must be an https URL of {service}")
    return ours


def check_base_url(url: str, *, field: str) -> None:
    """Whether paths can be added to a URL that `check_url` has accepted.

    Raises:
        BadConfig: blaming `field`.
    """
    if "?" in url or "#" in url:
        raise BadConfig(field, "invalid", "must have neither a query nor a fragment")


def origin(url: str) -> str:
    """Scheme and host of a URL: its path may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"[:200]


def _literal_refusal(host: str, *, private_targets: bool) -> str | None:
    """Why a host that is an address must not be connected to."""
    try:
        address = ip_address(host)
    except ValueError:
        return "loopback" if host == "localhost" and not private_targets else None
    return refusal(address, private_targets=private_targets)
