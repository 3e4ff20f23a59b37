"""Resolvers for checks that have their names resolved by a name server of their own choice."""

import asyncio
import os
from pathlib import Path
from typing import Final

from core.adapters.hosts_file import HostsFile
from core.adapters.resolver import Resolution, Resolver
from core.domain.outcomes import Reason

MOST: Final = 64
"""Resolvers that are kept; each has a cache and sockets of its own."""


class OwnNameServers:
    """A resolver for each name server, made when it is first asked. What the hosts file says is not asked for."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._hosts = HostsFile(Path(os.devnull))
        self._resolvers: dict[str, Resolver] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._resolvers)

    async def resolve(self, server: str, host: str, timeout_s: float) -> Resolution:
        """Addresses of `host` as `server` (`address:port`) knows them; its silence is its own trouble, like that of a name."""
        if self._closed:
            return Resolution((), Reason.SHUTTING_DOWN, "we are shutting down")
        resolution = await self._at(server).resolve(host, timeout_s)
        if resolution.reason is Reason.RESOLVER_FAILURE:
            return Resolution((), Reason.DNS_FAILURE, f"the name server {server} does not resolve names for us")
        return resolution

    async def close(self) -> None:
        """End all questions with SHUTTING_DOWN."""
        self._closed = True
        for resolver in self._resolvers.values():
            self._let_go(resolver)
        self._resolvers.clear()
        if self._closing:
            await asyncio.wait(self._closing)

    def _at(self, server: str) -> Resolver:
        resolver = self._resolvers.pop(server, None) or self._make_room_for(server)
        self._resolvers[server] = resolver
        return resolver

    def _make_room_for(self, server: str) -> Resolver:
        if len(self._resolvers) >= self._most:
            idle = next((name for name, resolver in self._resolvers.items() if resolver.is_idle), None)
            if idle is not None:
                self._let_go(self._resolvers.pop(idle))
        return Resolver([server], hosts=self._hosts, cache_limit=1000)

    def _let_go(self, resolver: Resolver) -> None:
        task = asyncio.get_running_loop().create_task(resolver.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
