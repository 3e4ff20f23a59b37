"""Checks that go through a proxy: how a handle is told so, and whose a failure is, the proxy's or the target's.

The proxy is what is connected to, so its addresses pass the filter; what it connects to is its own doing, in its own network.
"""

from collections.abc import Sequence
from typing import Any, Final

import pycurl

from core.adapters.probe_check import Check
from core.adapters.probe_handle import Handle
from core.adapters.probe_verdicts import TLS_CODES, Verdict, down
from core.domain.outcomes import Outcome, Reason
from core.domain.request_route import Proxy, ProxyServer, proxy_server
from core.domain.urls import NormalisedUrl, literal_address

_SUPPRESS_CONNECT_HEADERS: Final = 265  # pycurl has no names for these
_E_PROXY: Final = 97
_PX_REPLY_CONNECTION_REFUSED: Final = 19
_PROXY_AUTHENTICATION_REQUIRED: Final = 407
_TUNNEL_OPEN: Final = range(200, 300)


def proxy_of(check: Check) -> Proxy | None:
    """The proxy that a check goes through."""
    options = check.request.options
    return None if options is None else options.proxy


def is_certificate_of_proxy(check: Check, curl: Any) -> bool:
    """Whether the chain of a transfer is not the target's: the proxy speaks TLS itself, and opened no way to the target."""
    proxy = proxy_of(check)
    if proxy is None or proxy_server(proxy.url).scheme != "https":
        return False
    return curl.getinfo(pycurl.HTTP_CONNECTCODE) not in _TUNNEL_OPEN


def send_through(handle: Handle, proxy: Proxy, addresses: Sequence[str]) -> None:
    """Let a handle that is aimed go through the proxy at `addresses`."""
    server = proxy_server(proxy.url)
    setopt = handle.curl.setopt
    handle.equipped = True
    setopt(pycurl.PROXY, server.url)
    setopt(pycurl.NOPROXY, "")
    setopt(_SUPPRESS_CONNECT_HEADERS, 1)
    if literal_address(server.host) is None:
        handle.pin(server.host, server.port, addresses)
    if not server.wants_address:
        handle.curl.unsetopt(pycurl.CONNECT_TO)  # it is told the name of the target, not ours for its addresses
    if server.scheme == "https":
        setopt(pycurl.PROXY_CAINFO, handle.ca_file)
    if proxy.username is not None:
        setopt(pycurl.PROXYUSERNAME, proxy.username.encode())
        setopt(pycurl.PROXYPASSWORD, (proxy.password or "").encode())


def status_detail(check: Check, status: int) -> str:
    """What is said of a status that is not accepted; only proxies send 407."""
    by_proxy = proxy_of(check) is not None and status == _PROXY_AUTHENTICATION_REQUIRED
    return f"status {status}: the proxy asks for other credentials" if by_proxy else f"status {status}"


def told_apart(verdict: Verdict, proxy: Proxy, url: NormalisedUrl, curl: Any, *, code: int, message: str) -> Verdict:
    """The verdict about a transfer through a proxy that failed, which says so if it was the proxy that failed."""
    server = proxy_server(proxy.url)
    name = f"the proxy {server.host}:{server.port}"
    status: int = curl.getinfo(pycurl.HTTP_CONNECTCODE)
    if code == _E_PROXY:
        refused = curl.getinfo(pycurl.PROXY_ERROR) == _PX_REPLY_CONNECTION_REFUSED
        return down(Reason.CONNECT_REFUSED if refused else Reason.CONNECT_FAILED, f"{name}: {message}")
    if status and status not in _TUNNEL_OPEN:
        return down(Reason.CONNECT_FAILED, f"{name} refused a tunnel to {url.host}: status {status}")
    if verdict.outcome is Outcome.DOWN and _is_before_target(server, url, curl, code, status):
        return verdict._replace(detail=f"{name}: {verdict.detail}")
    return verdict


def _is_before_target(server: ProxyServer, url: NormalisedUrl, curl: Any, code: int, status: int) -> bool:
    if not curl.getinfo(pycurl.CONNECT_TIME_T):
        return True
    if server.scheme in ("socks5", "socks5h"):
        return False
    if url.scheme == "https":
        return not status
    return code in TLS_CODES
