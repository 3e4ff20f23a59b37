"""The kinds of check. The scheme of a website's URL is its kind: `https://shop.example.com/`, `tcp://db.example.com:5432`.

Each kind says which settings and options make sense for it; the API refuses the rest, so that nobody believes in a setting that
does nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from core.domain.urls import BadUrl, NormalisedUrl, build_url, literal_address, normalise, read_authority, split_url

MAIL_PORT: Final = 25
"""Closed on the way out of most clouds, so that nobody sends spam from there."""

HTTP_SETTINGS: Final[Mapping[str, Any]] = MappingProxyType(
    {"method": "GET", "accepted_status": "200-299", "follow_redirects": True, "max_redirects": 10}
)
"""Settings that only HTTP has, with what they are where nobody chose."""
TLS_SETTINGS: Final[Mapping[str, Any]] = MappingProxyType({"verify_tls": True})

_ALWAYS: Final = frozenset({"degraded_after_ms"})
_CONNECTING: Final = _ALWAYS | {"ip_version", "name_server", "connect_to", "connect_timeout_ms"}
_SECURING: Final = frozenset({"min_tls_version", "client_certificate"})
_ASSERTING: Final = frozenset({"assertions"})
_REQUESTING: Final = frozenset({"headers", "auth"})
_ONLY_HTTP: Final = frozenset({"body", "proxy", "http_version", "refuse_downgrade"})
_OF_HTTP: Final = _CONNECTING | _SECURING | _ASSERTING | _REQUESTING | _ONLY_HTTP
_OF_GREETINGS: Final = _CONNECTING | _SECURING | _ASSERTING | {"auth"}
_SAID: Final = frozenset({"keyword", "regex"})
_CERTIFICATE: Final = frozenset({"certificate_days"})


@dataclass(frozen=True, slots=True)
class Scheme:
    """One kind. `default_port` None: the URL must name one; 0: it must not.

    `options` are the members of `RequestOptions` that make sense, `assertions` and `auth` the kinds of those.
    """

    default_port: int | None
    options: frozenset[str]
    assertions: frozenset[str] = frozenset()
    auth: frozenset[str] = frozenset()
    has_path: bool = False
    is_http: bool = False
    has_tls: bool = False


_HTTP_ASSERTIONS: Final = _SAID | _CERTIFICATE | {"json", "header", "final_url"}
_HTTP_AUTH: Final = frozenset({"basic", "digest", "bearer"})
_PASSWORD: Final = frozenset({"basic"})
_UPGRADE_AUTH: Final = frozenset({"basic", "bearer"})

SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "http": Scheme(80, _OF_HTTP, _HTTP_ASSERTIONS, _HTTP_AUTH, has_path=True, is_http=True, has_tls=True),
        "https": Scheme(443, _OF_HTTP, _HTTP_ASSERTIONS, _HTTP_AUTH, has_path=True, is_http=True, has_tls=True),
        "tcp": Scheme(None, _CONNECTING | {"tcp"}),
        "tls": Scheme(443, _CONNECTING | _SECURING | _ASSERTING, _CERTIFICATE, has_tls=True),
        "dns": Scheme(0, _ALWAYS | {"dns"}),
        "smtp": Scheme(MAIL_PORT, _OF_GREETINGS | {"starttls"}, _SAID | _CERTIFICATE, _PASSWORD, has_tls=True),
        "smtps": Scheme(465, _OF_GREETINGS, _SAID | _CERTIFICATE, _PASSWORD, has_tls=True),
        "imap": Scheme(143, _OF_GREETINGS | {"starttls"}, _SAID | _CERTIFICATE, _PASSWORD, has_tls=True),
        "imaps": Scheme(993, _OF_GREETINGS, _SAID | _CERTIFICATE, _PASSWORD, has_tls=True),
        "ftp": Scheme(21, _OF_GREETINGS - _SECURING, _SAID, _PASSWORD),
        "ftps": Scheme(990, _OF_GREETINGS, _SAID | _CERTIFICATE, _PASSWORD, has_tls=True),
        "ws": Scheme(80, _CONNECTING | _ASSERTING | _REQUESTING, frozenset({"header"}), _UPGRADE_AUTH, has_path=True),
        "wss": Scheme(
            443,
            _CONNECTING | _SECURING | _ASSERTING | _REQUESTING,
            _CERTIFICATE | {"header"},
            _UPGRADE_AUTH,
            has_path=True,
            has_tls=True,
        ),
    }
)


def scheme_of(url: str) -> str:
    """The scheme of a URL, in lower case; it need not be one of ours."""
    return url.partition(":")[0].lower()


def normalise_target(url: str) -> NormalisedUrl:
    """Bring the URL of any kind into its one form, e.g. `tls://example.com` for `TLS://Example.com:443/`.

    Raises:
        BadUrl: not of a known kind, or not a URL that can be checked.
    """
    scheme = scheme_of(url)
    kind = SCHEMES.get(scheme)
    if kind is None or kind.is_http:
        return normalise(url) if kind else _refuse_scheme()
    parts = split_url(url)
    host, given_port = read_authority(parts.netloc)
    if kind.default_port is not None and kind.has_path:
        return build_url(parts, host, given_port, kind.default_port)
    port = _port(scheme, kind, host, given_port)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadUrl("path", f"a {scheme}:// URL ends with the host and its port")
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port == kind.default_port else f":{port}"
    return NormalisedUrl(f"{scheme}://{shown_host}{shown_port}", scheme, host, port)


def unfit_setting(scheme: str, given: Mapping[str, Any]) -> str | None:
    """The first setting that says something although the kind has no use for it; None if all fit."""
    kind = SCHEMES[scheme]
    useless = {**({} if kind.is_http else HTTP_SETTINGS), **({} if kind.has_tls else TLS_SETTINGS)}
    return next((name for name, default in useless.items() if given[name] != default), None)


def _refuse_scheme() -> NormalisedUrl:
    known = ", ".join(f"{name}://" for name in SCHEMES)
    raise BadUrl("scheme", f"the URL must begin with one of {known}")


def _port(scheme: str, kind: Scheme, host: str, given: int | None) -> int:
    if kind.default_port == 0:
        if given is not None:
            raise BadUrl("port", f"a {scheme}:// URL has no port; that of a name server goes to options.dns.server")
        if literal_address(host) is not None:
            raise BadUrl("host", f"a {scheme}:// URL names a name, not an address")
        return 0
    port = kind.default_port if given is None else given
    if port is None:
        raise BadUrl("port", f"a {scheme}:// URL must name a port, e.g. {scheme}://{host}:5432")
    return port
