"""Canaries: hosts and names that answer whenever our own network and name servers work.

They are the operator's choice, so private addresses are fine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

import pycares

from core.adapters.name_channel import NameChannel
from core.adapters.probe import ProbeEngine
from core.adapters.resolver import Resolver
from core.domain.outcomes import Outcome
from core.domain.probes import ProbeRequest

PATIENCE_S: Final = 2.0
"""With the time to collect a burst, less than a lease outlives its check: what waits for the canaries can still be stored."""

NAME_TIMEOUT_S: Final = 0.9


class UrlCanary:
    """A URL that answers 2xx; a redirect is how a captive portal answers."""

    def __init__(self, engine: ProbeEngine, url: str) -> None:
        self.name = url
        self._engine = engine
        self._request = ProbeRequest(
            monitor_id=0,
            url=url,
            method="GET",
            timeout_ms=int(PATIENCE_S * 1000),
            accepted_status=(range(200, 300),),
            follow_redirects=False,
            max_redirects=0,
            verify_tls=True,
        )

    async def is_well(self) -> bool:
        """Ask it."""
        return (await self._engine.probe(self._request)).outcome is Outcome.UP


class TcpCanary:
    """An address that accepts connections, as `tcp://host:port`."""

    def __init__(self, resolver: Resolver, url: str) -> None:
        self.name = url
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._resolver = resolver

    async def is_well(self) -> bool:
        """Connect, and hang up."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = await self._resolver.resolve(self._host, PATIENCE_S)
                _, writer = await asyncio.open_connection(next(iter(found.addresses), self._host), self._port)
        except (OSError, TimeoutError):
            return False
        writer.transport.abort()
        return True


class NameCanary:
    """A name with an IPv4 address, asked for on a channel of its own: c-ares remembers answers, which would hide a dead name server."""

    def __init__(self, servers: Sequence[str], name: str) -> None:
        self.name = name
        self._servers = servers

    async def is_well(self) -> bool:
        """Ask the name servers for it."""
        try:
            channel = NameChannel(asyncio.get_running_loop(), self._servers, timeout_s=NAME_TIMEOUT_S, tries=2)
        except pycares.AresError:
            return False
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer, _ = await channel.ask(self.name, pycares.QUERY_TYPE_A)
        except TimeoutError:
            return False
        finally:
            channel.close()
        return answer is not None and any(isinstance(record.data, pycares.ARecordData) for record in answer.answer)


def open_canaries(
    servers: Sequence[str], *, urls: Sequence[str], names: Sequence[str]
) -> tuple[list[UrlCanary | TcpCanary], list[NameCanary], Callable[[], Awaitable[None]]]:
    """Canaries of the network and of the name servers, on the running loop, and what releases them.

    `urls` are `http`, `https` or `tcp://host:port`; `servers` are the name servers as the resolver takes them.
    """
    resolver = Resolver(servers)
    engine = ProbeEngine(resolver, private_targets=True)
    network = [TcpCanary(resolver, url) if url.startswith("tcp://") else UrlCanary(engine, url) for url in urls]
    return network, [NameCanary(servers, name) for name in names], engine.close
