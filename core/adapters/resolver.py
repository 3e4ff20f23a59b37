"""Names to addresses through c-ares, never through libcurl's or the system's threads.

Answers are kept for their TTL, within bounds; a name that many checks ask for at once is asked for once. Failures are told apart by
whose they are: a name that does not exist is the target's trouble, name servers that answer nobody are ours.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Final

import msgspec
import pycares
from pycares import errno as ares

from core.adapters.hosts_file import HostsFile
from core.adapters.name_channel import NameChannel, Reply, ask_once
from core.adapters.name_flight import NameFlight
from core.adapters.name_memory import LIMIT, V4_ONLY_S, NameMemory
from core.adapters.name_queue import NameQueue
from core.domain.outcomes import Reason
from core.domain.urls import literal_address

SHORTEST_TTL_S: Final = 5.0
LONGEST_TTL_S: Final = 300.0
FAILURE_TTL_S: Final = 2.0
CHANNEL_LIFE_S: Final = 60.0
CHANNEL_QUESTIONS: Final = 5000
"""c-ares keeps about 1 kB of each answer. A channel ends after a minute or after so many questions, and what it has kept goes with it."""
QUERY_TIMEOUT_S: Final = 1.0
QUERY_TRIES: Final = 3
"""c-ares shortens the first wait to a quarter of a second for name servers that are quick, and doubles it with each try: with two tries a
worker that lagged for 0.75 s would have given up on answers that were waiting for it."""
CONTROL_TIMEOUT_S: Final = 1.0

_ARES_ENOSERVER: Final = 26  # ares.h; pycares has no name for it
_UNANSWERED: Final = frozenset(
    {ares.ARES_ETIMEOUT, ares.ARES_ECONNREFUSED, _ARES_ENOSERVER, ares.ARES_ECANCELLED, ares.ARES_EDESTRUCTION}
)
_REASONS: Final = {
    ares.ARES_ENOTFOUND: (Reason.DNS_NXDOMAIN, "the name does not exist"),
    ares.ARES_EBADNAME: (Reason.DNS_NXDOMAIN, "the name is not a valid DNS name"),
    ares.ARES_ENODATA: (Reason.DNS_NO_DATA, "the name has no address"),
    ares.ARES_ESERVFAIL: (Reason.DNS_FAILURE, "the name servers could not resolve the name (SERVFAIL)"),
    ares.ARES_EFORMERR: (Reason.DNS_FAILURE, "the name servers could not read the question (FORMERR)"),
    ares.ARES_EBADRESP: (Reason.DNS_FAILURE, "the name servers sent an answer that cannot be read"),
    ares.ARES_EREFUSED: (Reason.RESOLVER_FAILURE, "our name servers refused to answer"),
    ares.ARES_ENOTIMP: (Reason.RESOLVER_FAILURE, "our name servers do not resolve names"),
    _ARES_ENOSERVER: (Reason.RESOLVER_FAILURE, "we have no name servers"),
    ares.ARES_ECONNREFUSED: (Reason.RESOLVER_FAILURE, "our name servers cannot be reached"),
    ares.ARES_ECANCELLED: (Reason.SHUTTING_DOWN, "we are shutting down"),
    ares.ARES_EDESTRUCTION: (Reason.SHUTTING_DOWN, "we are shutting down"),
}
_SEVERITY: Final = (
    Reason.SHUTTING_DOWN,
    Reason.INTERNAL,
    Reason.RESOLVER_FAILURE,
    Reason.DNS_FAILURE,
    Reason.DNS_NO_DATA,
    Reason.DNS_NXDOMAIN,
)
"""Which of two failures speaks for the name: the one that knows less."""


class Resolution(msgspec.Struct, frozen=True, gc=False):
    """Addresses with `Reason.OK`, or none and why. The addresses are not judged yet."""

    addresses: tuple[str, ...]
    reason: Reason = Reason.OK
    detail: str = ""


class Resolver:
    """Bound to the running event loop. `servers` (`address` or `address:port`) replace those of the system.

    `questions_per_s` bounds what they are asked; 0 for no limit.
    """

    def __init__(
        self,
        servers: Sequence[str] = (),
        *,
        hosts: HostsFile | None = None,
        cache_limit: int = LIMIT,
        questions_per_s: int = 0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._servers = tuple(servers)
        self._hosts = hosts or HostsFile()
        self._memory = NameMemory[Resolution](cache_limit)
        self._waiters: dict[str, list[asyncio.Future[Resolution | None]]] = {}
        self._asked_at: dict[str, float] = {}
        self._queue = NameQueue(self._loop, self._take_off, questions_per_s=questions_per_s)
        self._doubts: set[asyncio.Task[None]] = set()
        self._channel: NameChannel | None = None
        self._control: asyncio.Task[bool] | None = None
        self._answered_at = float("-inf")
        self._closed = False

    def known(self, host: str) -> Resolution | None:
        """What can be said at once: an address, a name of the hosts file, or an answer that is still good."""
        if kept := self._memory.good(host, self._loop.time()):
            return kept
        if (":" in host or host[-1:].isdigit()) and literal_address(host) is not None:
            return Resolution((host,))
        if addresses := self._hosts.addresses(host):
            return Resolution(addresses)
        return None

    async def resolve(self, host: str, timeout_s: float) -> Resolution:
        """Addresses of a normalised host, within `timeout_s` (and a second more to find out whose fault silence is)."""
        if known := self.known(host):
            return known
        if self._closed:
            return _failure(ares.ARES_ECANCELLED)
        asked_at = self._loop.time()
        waiter: asyncio.Future[Resolution | None] = self._loop.create_future()
        if host in self._waiters:
            self._waiters[host].append(waiter)
        else:
            self._waiters[host] = [waiter]
            self._queue.put(host)
        timer = self._loop.call_later(timeout_s, _give_up, waiter)
        resolution = await waiter
        timer.cancel()
        return resolution or await self._too_late(host, asked_at, timeout_s)

    @property
    def is_idle(self) -> bool:
        """Whether no question is open."""
        return not self._waiters and not self._doubts

    async def records(self, name: str, record_type: int, timeout_s: float) -> tuple[pycares.DNSResult | None, Resolution]:
        """What the name servers say now about one kind of record: the answer, or why there is none; kept for nobody.

        Within `timeout_s`, and a second more to find out whose fault silence is.
        """
        asked_at = self._loop.time()
        answer, error = await ask_once(self._servers, name, record_type, timeout_s=timeout_s, tries=QUERY_TRIES)
        if error == ares.ARES_ETIMEOUT:
            return None, await self._silence(asked_at, "the name servers did not answer for this name")
        if error not in _UNANSWERED:
            self._answered_at = self._loop.time()
        return answer, Resolution(()) if error is None else _failure(error)

    async def close(self) -> None:
        """End all questions with SHUTTING_DOWN."""
        self._closed = True
        for host in self._queue.clear():
            self._tell(host, _failure(ares.ARES_ECANCELLED))
        if self._channel is not None:
            self._channel.close()
        if self._doubts:
            await asyncio.wait(self._doubts)

    async def _too_late(self, host: str, asked_at: float, timeout_s: float) -> Resolution:
        """Our own doing if the name had to wait for its turn for so long that there was hardly time for an answer."""
        if host in self._waiters and self._asked_at.get(host, math.inf) > asked_at + timeout_s / 2:
            return Resolution((), Reason.OVERLOADED, "too many names had to be asked about at once")
        return await self._silence(asked_at, f"the name was not resolved within {timeout_s * 1000:.0f} ms")

    def _take_off(self, host: str) -> None:
        """It is this name's turn."""
        asked_at = self._asked_at[host] = self._loop.time()
        self._fly(host, asked_at, v4_only=self._memory.is_v4_only(host, asked_at))

    def _fly(self, host: str, asked_at: float, *, v4_only: bool) -> None:
        try:
            channel = self._fresh_channel()
        except pycares.AresError as error:
            self._tell(host, Resolution((), Reason.INTERNAL, f"no resolver: {error.args[-1]}"))
            self._queue.answered(host)
            return
        NameFlight(
            self._loop, channel, host, lambda replies: self._land(host, asked_at, replies, v4_only=v4_only), v4_only=v4_only
        )

    def _land(self, host: str, asked_at: float, replies: Sequence[Reply], *, v4_only: bool) -> None:
        self._queue.answered(host)
        errors = [number for _, number in replies]
        if not _UNANSWERED.issuperset(errors):
            self._answered_at = self._loop.time()
        if v4_only and errors[0] == ares.ARES_ENODATA:
            self._fly(host, self._loop.time(), v4_only=False)
            return
        resolution, ttl_s = _read(replies)
        if ares.ARES_ETIMEOUT in errors and not resolution.addresses:
            doubt = self._loop.create_task(self._find_out(host, asked_at, ttl_s))
            self._doubts.add(doubt)
            doubt.add_done_callback(self._doubts.discard)
            return
        lacks_v6 = resolution.addresses and errors[-1] == ares.ARES_ENODATA
        self._keep(host, resolution, ttl_s, None if v4_only else V4_ONLY_S if lacks_v6 else 0.0)
        self._tell(host, resolution)

    async def _find_out(self, host: str, asked_at: float, ttl_s: float) -> None:
        resolution = await self._silence(asked_at, "the name servers did not answer for this name")
        self._keep(host, resolution, ttl_s, 0.0)
        self._tell(host, resolution)

    def _tell(self, host: str, resolution: Resolution) -> None:
        self._asked_at.pop(host, None)
        for waiter in self._waiters.pop(host):
            if not waiter.done():
                waiter.set_result(resolution)

    def _fresh_channel(self) -> NameChannel:
        if (channel := self._channel) and (channel.asked >= CHANNEL_QUESTIONS or channel.age_s() > CHANNEL_LIFE_S):
            channel.retire()
            self._channel = None
        if self._channel is None:
            self._channel = NameChannel(self._loop, self._servers, timeout_s=QUERY_TIMEOUT_S, tries=QUERY_TRIES)
        return self._channel

    def _keep(self, host: str, resolution: Resolution, ttl_s: float, v4_only_s: float | None) -> None:
        if resolution.reason not in (Reason.SHUTTING_DOWN, Reason.INTERNAL):
            now = self._loop.time()
            self._memory.keep(host, resolution, now + ttl_s, None if v4_only_s is None else now + v4_only_s)

    async def _silence(self, asked_at: float, detail: str) -> Resolution:
        """Nobody answered for one name: its own trouble if the name servers answer for others, else ours."""
        if self._closed:
            return _failure(ares.ARES_ECANCELLED)
        if self._answered_at < asked_at:
            if self._control is None or self._control.done():
                self._control = self._loop.create_task(self._name_servers_answer())
            if not await asyncio.shield(self._control):
                return Resolution((), Reason.RESOLVER_FAILURE, "our name servers do not answer")
        return Resolution((), Reason.DNS_FAILURE, detail)

    async def _name_servers_answer(self) -> bool:
        """Ask for the root's name servers: every resolver knows them without asking further."""
        try:
            async with asyncio.timeout(CONTROL_TIMEOUT_S):
                _, number = await self._fresh_channel().ask(".", pycares.QUERY_TYPE_NS)
        except (TimeoutError, pycares.AresError):
            return False
        if number in _UNANSWERED:
            return False
        self._answered_at = self._loop.time()
        return True


def _give_up(waiter: asyncio.Future[Resolution | None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _read(replies: Sequence[Reply]) -> tuple[Resolution, float]:
    """One resolution from the answers for A and AAAA, and how long it is good."""
    records = [record for result, _ in replies if result is not None for record in result.answer]
    addresses = tuple(
        record.data.addr for record in records if isinstance(record.data, pycares.ARecordData | pycares.AAAARecordData)
    )
    if addresses:
        shortest = float(min(record.ttl for record in records))
        return Resolution(addresses), min(max(shortest, SHORTEST_TTL_S), LONGEST_TTL_S)
    failures = [_failure(ares.ARES_ENODATA if error is None else error) for _, error in replies]
    worst = min(failures, key=lambda failure: _SEVERITY.index(failure.reason))
    named = worst.reason in (Reason.DNS_NXDOMAIN, Reason.DNS_NO_DATA)
    return worst, SHORTEST_TTL_S if named else FAILURE_TTL_S


def _failure(error: int) -> Resolution:
    if error == ares.ARES_ETIMEOUT:
        return Resolution((), Reason.DNS_FAILURE, "the name servers did not answer for this name")
    reason, detail = _REASONS.get(error, (Reason.INTERNAL, f"the resolver failed: {ares.strerror(error)!s}"))
    return Resolution((), reason, detail)
