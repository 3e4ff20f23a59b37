"""The questions about one name, for IPv4 and IPv6, and when their answers are complete."""

import asyncio
from collections.abc import Callable
from typing import Final

import pycares

from core.adapters.name_channel import NameChannel, Reply

AAAA_PATIENCE_S: Final = 0.25
"""How long a name that has IPv4 addresses waits for its IPv6 ones: some name servers never answer for AAAA."""


class NameFlight:
    """Asks at once and calls `land` once: with both replies, or with the one for IPv4 alone when the other is late or not asked for.

    Callbacks rather than a task with futures: every check with a name whose TTL is over makes one of these.
    """

    __slots__ = ("_land", "_loop", "_patience", "_v4", "_v4_only", "_v6")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        channel: NameChannel,
        name: str,
        land: Callable[[list[Reply]], None],
        *,
        v4_only: bool,
    ) -> None:
        self._loop = loop
        self._land: Callable[[list[Reply]], None] | None = land
        self._v4: Reply | None = None
        self._v6: Reply | None = None
        self._v4_only = v4_only
        self._patience: asyncio.TimerHandle | None = None
        channel.query(name, pycares.QUERY_TYPE_A, self._on_v4)
        if not v4_only:
            channel.query(name, pycares.QUERY_TYPE_AAAA, self._on_v6)

    def _on_v4(self, result: pycares.DNSResult | None, error: int | None) -> None:
        self._v4 = (result, error)
        if self._v6 is not None or self._v4_only:
            self._end()
        elif result is not None:
            self._patience = self._loop.call_later(AAAA_PATIENCE_S, self._end)

    def _on_v6(self, result: pycares.DNSResult | None, error: int | None) -> None:
        self._v6 = (result, error)
        if self._v4 is not None:
            self._end()

    def _end(self) -> None:
        if self._land is None:
            return
        land, self._land = self._land, None
        if self._patience is not None:
            self._patience.cancel()
        land([reply for reply in (self._v4, self._v6) if reply is not None])
