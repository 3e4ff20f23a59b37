"""Which options go together with the kind of a check and with each other."""

from typing import Final

import msgspec

from core.domain.assertions import needs_body
from core.domain.request_options import BadOption, RequestOptions
from core.domain.schemes import SCHEMES, Scheme

METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UPGRADES: Final = frozenset({"ws", "wss"})
_PROTOCOL_HEADER: Final = "sec-websocket-protocol"
_INSTEAD: Final = {("dns", "name_server"): "; the name server that is checked is dns.server"}


def check_fit(options: RequestOptions, *, scheme: str, method: str, timeout_ms: int) -> None:
    """Refuse options that contradict the kind of the check or its other settings.

    Raises:
        BadOption: with the field to blame.
    """
    kind = SCHEMES[scheme]
    _check_kind(options, scheme, kind)
    if kind.is_http:
        _check_method(options, method)
    elif scheme in _UPGRADES:
        _check_upgrade(options)
    for name in ("connect_timeout_ms", "degraded_after_ms"):
        if (getattr(options, name) or 0) > timeout_ms:
            raise BadOption(name, "too_long", f"must not exceed timeout_ms, {timeout_ms}")


def _check_kind(options: RequestOptions, scheme: str, kind: Scheme) -> None:
    given = {field.name for field in msgspec.structs.fields(options) if getattr(options, field.name) != field.default}
    for name in sorted(given - kind.options):
        raise BadOption(name, "not_with_kind", f"means nothing to a {scheme}:// check{_INSTEAD.get((scheme, name), '')}")
    for index, assertion in enumerate(options.assertions):
        if _tag(assertion) not in kind.assertions:
            raise BadOption(f"assertions.{index}.kind", "not_with_kind", f"means nothing to a {scheme}:// check")
    if options.auth is not None and _tag(options.auth) not in kind.auth:
        raise BadOption("auth.kind", "not_with_kind", f"means nothing to a {scheme}:// check")
    if scheme in ("smtp", "imap") and not options.starttls:
        _check_open_mail(options, scheme)


def _check_open_mail(options: RequestOptions, scheme: str) -> None:
    """What needs TLS on a connection that begins without it."""
    certificate = any(_tag(assertion) == "certificate_days" for assertion in options.assertions)
    if certificate or options.client_certificate is not None or options.min_tls_version is not None:
        raise BadOption("starttls", "required", f"there is no TLS in a {scheme}:// check without it")


def _check_method(options: RequestOptions, method: str) -> None:
    if options.body is not None and method not in METHODS_WITH_BODY:
        raise BadOption("body", "not_with_method", f"a {method} request has no body")
    if method == "HEAD" and needs_body(options.assertions):
        raise BadOption("assertions", "not_with_method", "an answer to HEAD has no body to assert anything about")


def _check_upgrade(options: RequestOptions) -> None:
    for index, header in enumerate(options.headers):
        name = header.name.lower()
        if name.startswith("sec-websocket-") and name != _PROTOCOL_HEADER:
            raise BadOption(f"headers.{index}.name", "not_settable", "is set by the checker")


def _tag(part: msgspec.Struct) -> str:
    return str(type(part).__struct_config__.tag)
