"""Names of checks that have options: of a proxy, of another host, of one version of IP, or as a certain name server knows them."""

from collections.abc import Callable
from time import monotonic
from typing import Final

from core.adapters.own_name_servers import OwnNameServers
from core.adapters.probe_check import Check
from core.adapters.probe_extras import host_for, of_family
from core.adapters.probe_proxy import proxy_of
from core.adapters.probe_verdicts import Verdict, down, unknown
from core.adapters.resolver import Resolution, Resolver
from core.domain.outcomes import Outcome, Reason
from core.domain.request_options import RequestOptions
from core.domain.request_route import name_server, proxy_server
from core.domain.urls import NormalisedUrl, literal_address

_NAMES_OF_THEIRS: Final = frozenset({Reason.DNS_NXDOMAIN, Reason.DNS_NO_DATA, Reason.DNS_FAILURE})


def unresolved(host: str, resolution: Resolution) -> Verdict:
    """The verdict about a name without addresses."""
    outcome = Outcome.DOWN if resolution.reason in _NAMES_OF_THEIRS else Outcome.UNKNOWN
    return Verdict(outcome, resolution.reason, f"{host}: {resolution.detail}")


class OwnNames:
    """Resolves with `resolver` unless the check names a name server, which passes the filter `refused` like any address."""

    def __init__(self, resolver: Resolver, refused: Callable[[str], str | None], has_route: Callable[[str], bool]) -> None:
        self._resolver = resolver
        self._refused = refused
        self._has_route = has_route
        self._servers = OwnNameServers()

    async def close(self) -> None:
        """End all questions that were asked of name servers of the checks' own."""
        await self._servers.close()

    async def addresses(self, check: Check, options: RequestOptions, url: NormalisedUrl) -> tuple[str, ...] | Verdict:
        """The addresses to connect to for `url`, not judged yet. Where a proxy wants one of the target, `check.behind` gets those."""
        proxy = proxy_of(check)
        if proxy is not None and proxy_server(proxy.url).wants_address:
            behind = await self._of(check, options, url.host)
            if isinstance(behind, Verdict):
                return behind
            check.behind = behind
        found = await self._of(check, options, host_for(check, options, url))
        if proxy is not None and isinstance(found, Verdict):
            return found._replace(detail=f"the proxy {found.detail}")
        return found

    async def _of(self, check: Check, options: RequestOptions, host: str) -> tuple[str, ...] | Verdict:
        asked = monotonic()
        resolution = await self._resolution(options, host, max(check.left_ms(), 1) / 1000)
        check.add_dns(monotonic() - asked)
        if isinstance(resolution, Verdict):
            return resolution
        if resolution.reason is not Reason.OK:
            return unresolved(host, resolution)
        if options.ip_version is None:
            return resolution.addresses
        addresses = of_family(resolution.addresses, options.ip_version)
        return addresses or down(Reason.DNS_NO_DATA, f"{host} has no IPv{options.ip_version} address")

    async def _resolution(self, options: RequestOptions, host: str, timeout_s: float) -> Resolution | Verdict:
        if options.name_server is None or literal_address(host) is not None:
            return self._resolver.known(host) or await self._resolver.resolve(host, timeout_s)
        server = name_server(options.name_server)
        if why := self._refused(server.address):
            return unknown(Reason.BLOCKED_ADDRESS, f"the name server {server.address} is not allowed: {why}")
        if not self._has_route(server.address):
            return unknown(Reason.LOCAL_NETWORK, f"we have no way to the name server {server.address}")
        return await self._servers.resolve(server.text, host, timeout_s)
