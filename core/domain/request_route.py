"""How a check gets to its target, where that is not directly: through a proxy, or by names that another name server knows."""

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from core.domain.urls import BadUrl, normalise

type ProxyScheme = Literal["http", "https", "socks5", "socks5h"]

_PROXY: Final = re.compile(r"(http|https|socks5|socks5h)://([^/?#@\\]+):([0-9]{1,5})/?", re.ASCII | re.IGNORECASE)
_WITH_PORT: Final = re.compile(r"(?:\[([^\[\]]+)\]|([0-9.]+)):([0-9]{1,5})", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DNS_PORT: Final = 53
_LAST_PORT: Final = 65_535


class BadRoute(ValueError):
    """A part of a route is not usable. `field` is a path below the options, `code` is stable, `message` is for people."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.code = code
        self.message = message


class Proxy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A proxy that every hop of a check goes through.

    `url` is one of http, https, socks5 and socks5h, with host and port. With `socks5` the checker resolves the target's name and sends an
    address; with the others the proxy resolves it.
    """

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=300, description="E.g. socks5h://proxy.example.com:1080")]
    username: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    password: Annotated[str, msgspec.Meta(max_length=250, description="A secret: shown as ********.")] | None = None


class ProxyServer(NamedTuple):
    """Where a proxy is; `host` is a lower-case name, or an address without brackets."""

    scheme: ProxyScheme
    host: str
    port: int

    @property
    def url(self) -> str:
        """As libcurl takes it."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def wants_address(self) -> bool:
        """Whether it is told an address of the target, which the checker resolves."""
        return self.scheme == "socks5"


class NameServer(NamedTuple):
    """The address and port of a name server."""

    address: str
    port: int

    @property
    def text(self) -> str:
        """In its one form."""
        return f"{_bracketed(self.address)}:{self.port}"


@lru_cache(maxsize=4096)
def proxy_server(url: str) -> ProxyServer:
    """Read the URL of a proxy.

    Raises:
        BadRoute: it is none.
    """
    parts = _PROXY.fullmatch(url)
    if parts is None:
        raise BadRoute("proxy.url", "invalid", "must be http, https, socks5 or socks5h://host:port, without user name or path")
    try:
        target = normalise(f"http://{parts[2]}:{parts[3]}/")
    except BadUrl as bad:
        raise BadRoute("proxy.url", "invalid", bad.message) from bad
    scheme = msgspec.convert(parts[1].lower(), ProxyScheme)
    return ProxyServer(scheme, target.host, target.port)


@lru_cache(maxsize=4096)
def name_server(text: str) -> NameServer:
    """Read an address with or without a port: `9.9.9.9`, `9.9.9.9:5353`, `2620:fe::fe`, `[2620:fe::fe]:53`.

    Raises:
        BadRoute: it is none.
    """
    split = _WITH_PORT.fullmatch(text)
    port = int(split[3]) if split else _DNS_PORT
    try:
        address = ip_address((split[1] or split[2]) if split else text)
    except ValueError as error:
        raise BadRoute("name_server", "invalid", "is not an IP address, with or without a port") from error
    if not 0 < port <= _LAST_PORT:
        raise BadRoute("name_server", "invalid", f"the port must be between 1 and {_LAST_PORT}")
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise BadRoute("name_server", "invalid", "an IPv6 address must not name a network interface")
    return NameServer(str(address), port)


def check_proxy(proxy: Proxy) -> None:
    """Refuse a proxy that could not be used.

    Raises:
        BadRoute: with the field to blame.
    """
    proxy_server(proxy.url)
    for name in ("username", "password"):
        if _CONTROL.search(getattr(proxy, name) or ""):
            raise BadRoute(f"proxy.{name}", "character", "holds a control character")
    if proxy.password is not None and proxy.username is None:
        raise BadRoute("proxy.username", "contradiction", "there is a password without a user name")
    if ":" in (proxy.username or ""):
        raise BadRoute("proxy.username", "character", "must not hold a colon")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
