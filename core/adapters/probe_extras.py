"""Checks that ask for more than a plain request: what is set on the handle for a hop, and how the answer is examined.

Nothing here runs for a plain check. A handle that was equipped is stripped before another check may have it.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import Final

import pycurl

from core.adapters.probe_check import Check
from core.adapters.probe_handle import Handle
from core.adapters.probe_head import WholeHead
from core.adapters.probe_verdicts import UP, Verdict, down
from core.domain.assertions import Evidence, first_broken, needs_body
from core.domain.outcomes import Outcome, Reason
from core.domain.request_options import Auth, Basic, Bearer, Digest, RequestOptions, host_to_connect_to
from core.domain.request_route import proxy_server
from core.domain.urls import DEFAULT_PORTS, NormalisedUrl, normalise

ASSERTED_BODY_LIMIT: Final = 1024 * 1024
"""Bytes of a decoded body that assertions get to see."""
_V6: Final = 6
_COOKIE: Final = "cookie"
_HTTP_VERSIONS: Final = {
    "1.1": pycurl.CURL_HTTP_VERSION_1_1,
    "2": pycurl.CURL_HTTP_VERSION_2TLS,
    "3": pycurl.CURL_HTTP_VERSION_3ONLY,
}
_TLS_VERSIONS: Final = {"1.2": pycurl.SSLVERSION_TLSv1_2, "1.3": pycurl.SSLVERSION_TLSv1_3}


def equip(handle: Handle, check: Check, options: RequestOptions, url: NormalisedUrl) -> None:
    """Prepare a handle that is aimed at `url` for the rest of what the check asks for."""
    setopt = handle.curl.setopt
    trusted = _is_trusted(check, url)
    sends_body = options.body is not None and check.method == check.request.method
    handle.equipped = True
    handle.head = WholeHead(follows=check.request.follow_redirects)
    setopt(pycurl.HTTPHEADER, list(header_lines(options, trusted=trusted, sends_body=sends_body)))
    if trusted and (cookies := _own_cookies(options)):
        setopt(pycurl.COOKIE, cookies)
    if sends_body and options.body is not None:
        setopt(pycurl.POSTFIELDS, options.body.encode())
    if trusted and isinstance(options.auth, Digest):
        setopt(pycurl.HTTPAUTH, pycurl.HTTPAUTH_DIGEST)
        setopt(pycurl.USERNAME, options.auth.username.encode())
        setopt(pycurl.PASSWORD, options.auth.password.encode())
    if options.http_version is not None and url.scheme == "https":
        setopt(pycurl.HTTP_VERSION, _HTTP_VERSIONS[options.http_version])
    equip_connection(handle, options, trusted=trusted)
    if needs_body(options.assertions):
        handle.keep_body(ASSERTED_BODY_LIMIT)
        setopt(pycurl.ACCEPT_ENCODING, "")  # all that libcurl can decode; what is counted and kept is decoded


def equip_connection(handle: Handle, options: RequestOptions, *, trusted: bool) -> None:
    """The part of the options that is about connecting, whatever is said afterwards. What is about TLS says nothing without it."""
    setopt = handle.curl.setopt
    if options.min_tls_version is not None:
        setopt(pycurl.SSLVERSION, _TLS_VERSIONS[options.min_tls_version])
    if trusted and options.client_certificate is not None:
        setopt(pycurl.SSLCERT_BLOB, options.client_certificate.certificate.encode())
        setopt(pycurl.SSLKEY_BLOB, options.client_certificate.key.encode())
    if options.connect_timeout_ms is not None:
        setopt(pycurl.CONNECTTIMEOUT_MS, options.connect_timeout_ms)


def carry_cookies(handle: Handle, check: Check, url: NormalisedUrl) -> None:
    """Let a hop have the cookies that earlier ones were given, beside those of the options; a given one replaces that of its name."""
    given = check.cookies.pairs(url.url) if check.cookies else ""
    if not given:
        return
    names = {pair.partition("=")[0] for pair in given.split("; ")}
    options = check.request.options
    own = _own_cookies(options) if options and _is_trusted(check, url) else ""
    kept = [pair for pair in own.split("; ") if pair and pair.partition("=")[0] not in names]
    handle.equipped = True
    handle.curl.setopt(pycurl.COOKIE, "; ".join([*kept, given]).encode("latin-1"))


def is_same_site(first: NormalisedUrl, url: NormalisedUrl) -> bool:
    """Whether what was meant for `first` may be sent to `url`: the same origin, or its https where `first` was plain http."""
    if first.host != url.host:
        return False
    upgraded = first.scheme == "http" and url.scheme == "https" and (first.port, url.port) == tuple(DEFAULT_PORTS.values())
    return upgraded or (first.scheme, first.port) == (url.scheme, url.port)


def host_for(check: Check, options: RequestOptions, url: NormalisedUrl) -> str:
    """The host whose addresses are connected to for `url`."""
    if options.proxy is not None:
        return proxy_server(options.proxy.url).host
    if options.connect_to is None or not _is_trusted(check, url):
        return url.host
    return host_to_connect_to(options.connect_to)


def is_elsewhere(check: Check, url: NormalisedUrl) -> bool:
    """Whether `url` may be asked of another server than usual, whose certificate says nothing about other checks of `url`."""
    options = check.request.options
    if options is None:
        return False
    if options.proxy is not None or options.name_server is not None:
        return True
    return options.connect_to is not None and _is_trusted(check, url)


def _is_trusted(check: Check, url: NormalisedUrl) -> bool:
    return not check.redirects or is_same_site(normalise(check.request.url), url)


def of_family(addresses: tuple[str, ...], ip_version: int) -> tuple[str, ...]:
    """The addresses of one version of IP."""
    return tuple(address for address in addresses if (":" in address) == (ip_version == _V6))


def examined(check: Check, options: RequestOptions, url: NormalisedUrl, handle: Handle) -> Verdict:
    """The verdict about an answer whose status is accepted."""
    head = handle.head
    if options.http_version is not None and head.http_version != options.http_version:
        return down(Reason.PROTOCOL_ERROR, f"the answer is HTTP/{head.http_version}, not HTTP/{options.http_version}")
    if options.assertions and isinstance(head, WholeHead):
        if head.is_layered and needs_body(options.assertions):
            return down(Reason.PROTOCOL_ERROR, "the body is encoded more than once")
        evidence = Evidence(
            body=bytes(handle.body or b""),
            is_cut=handle.stopped,
            headers=head.fields(),
            final_url=url.url,
            certificate_not_after=check.certificate_not_after,
            at=check.started_at,
        )
        if broken := first_broken(options.assertions, evidence):
            return down(*broken)
    return slow(check, options.degraded_after_ms) or UP


def slow(check: Check, limit_ms: int | None) -> Verdict | None:
    """The verdict about a check that is well but took longer than `limit_ms`."""
    took_ms = check.request.timeout_ms - check.left_ms()
    if limit_ms is None or took_ms <= limit_ms:
        return None
    return Verdict(Outcome.UP, Reason.DEGRADED, f"took {took_ms} ms, more than {limit_ms}")


def header_lines(options: RequestOptions, *, trusted: bool, sends_body: bool) -> Iterator[str]:
    """The headers to send, in libcurl's syntax: one without a value ends in a semicolon."""
    for header in options.headers:
        if header.name.lower() == _COOKIE:
            continue
        stays = (trusted or not header.is_secret) and (sends_body or not header.name.lower().startswith("content-"))
        if stays:
            value = header.value.strip()
            yield f"{header.name}: {value}" if value else f"{header.name};"
    if trusted and (credentials := _credentials(options.auth)):
        yield f"Authorization: {credentials}"


def _own_cookies(options: RequestOptions) -> str:
    return next((header.value.strip() for header in options.headers if header.name.lower() == _COOKIE), "")


def _credentials(auth: Auth | None) -> str | None:
    match auth:
        case Basic():
            return "Basic " + b64encode(f"{auth.username}:{auth.password}".encode()).decode()
        case Bearer():
            return f"Bearer {auth.token}"
    return None
