"""What the engine lends to the kinds of check other than HTTP: names, handles of libcurl, the guard, and an end when it closes."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import pycurl

from core.adapters.probe_certificates import read_chain
from core.adapters.probe_check import Check
from core.adapters.probe_extras import equip_connection
from core.adapters.probe_handle import Handle
from core.adapters.probe_transfers import TransfersAborted
from core.adapters.probe_verdicts import Verdict, down
from core.adapters.resolver import Resolver
from core.domain.outcomes import Reason
from core.domain.probes import clean_text
from core.domain.urls import NormalisedUrl

GRACE_MS: Final = 20
"""How much later than libcurl we look at the clock ourselves: what it says about a time-out is more exact."""

type ProbeKind = Callable[["Workbench", Check, NormalisedUrl], Awaitable[Verdict]]
"""One kind of check: it writes into the check what the phases took, and gives the verdict.

Raises:
    TransfersAborted: the engine was closed.
"""

type Read = Callable[[Handle, int, str], Verdict | None]
"""The verdict about a transfer that ended with this code and message of libcurl; None: as any transfer that failed is judged."""


class Failed(Protocol):
    """What gives the verdict about a transfer that failed, as for HTTP."""

    def __call__(self, check: Check, handle: Handle, code: int, message: str, *, url: NormalisedUrl, connected: bool) -> Verdict:
        """Judge."""
        ...


@dataclass(slots=True)
class Workbench:
    """`addresses` are those of a URL's host that may be connected to, or the verdict that there are none."""

    resolver: Resolver
    addresses: Callable[[Check, NormalisedUrl], Awaitable[list[str] | Verdict]]
    take: Callable[[], Handle]
    give_back: Callable[[Handle], None]
    run: Callable[[Any], Awaitable[tuple[int, str]]]
    failed: Failed
    has_route: Callable[[str], bool]
    _working: set[asyncio.Task[Any]] = field(default_factory=set)
    _closed: bool = False

    async def call(self, check: Check, url: NormalisedUrl, prepare: Callable[[Handle], None], read: Read) -> Verdict:
        """Connect to the host of `url` with libcurl, as `prepare` sets the handle up, and read what came of it.

        The handle connects and is greeted, but never says goodbye: libcurl would wait for the answer to that with the loop standing still.
        """
        addresses = await self.addresses(check, url)
        if isinstance(addresses, Verdict):
            return addresses
        left_ms = check.left_ms()
        if left_ms <= 0:
            return down(Reason.TIMEOUT, "no time was left to connect")
        handle = self.take()
        try:
            self._aim(handle, check, url, addresses, left_ms)
            prepare(handle)
            code, message = await self._run(handle, left_ms)
            verdict = self._after(check, handle, code, message, url=url, read=read)
        except BaseException:
            handle.close()
            raise
        self.give_back(handle)
        return verdict

    async def during[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Do work that is not libcurl's.

        Raises:
            TransfersAborted: the engine was closed meanwhile.
        """
        task = asyncio.ensure_future(work)
        self._working.add(task)
        if self._closed:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._closed and task.cancelled():
                raise TransfersAborted("closed") from None
            raise
        finally:
            self._working.discard(task)

    def close(self) -> None:
        """End all work."""
        self._closed = True
        for task in self._working:
            task.cancel()

    def _aim(self, handle: Handle, check: Check, url: NormalisedUrl, addresses: Sequence[str], left_ms: int) -> None:
        request = check.request
        handle.aim(
            url,
            addresses,
            method="GET",
            timeout_ms=left_ms,
            verify_tls=request.verify_tls,
            read_certificate=url.scheme == "https",
        )
        handle.equipped = True
        setopt = handle.curl.setopt
        setopt(pycurl.CONNECT_ONLY, 1)
        setopt(pycurl.SSL_VERIFYPEER, request.verify_tls)
        setopt(pycurl.SSL_VERIFYHOST, 2 if request.verify_tls else 0)
        setopt(pycurl.OPT_CERTINFO, 1)
        if request.options is not None:
            equip_connection(handle, request.options, trusted=True)

    async def _run(self, handle: Handle, left_ms: int) -> tuple[int, str]:
        """Libcurl keeps the time, but not of a WebSocket that was only to be opened."""
        try:
            async with asyncio.timeout((left_ms + GRACE_MS) / 1000):
                return await self.run(handle.curl)
        except TimeoutError:
            return pycurl.E_OPERATION_TIMEDOUT, f"no complete answer within {left_ms} ms"

    def _after(self, check: Check, handle: Handle, code: int, message: str, *, url: NormalisedUrl, read: Read) -> Verdict:
        connected = check.add_transfer(handle.curl, answered=handle.head.status_code is not None)
        check.address = (handle.curl.getinfo(pycurl.PRIMARY_IP) if connected else None) or handle.address
        check.status_code = handle.head.status_code
        check.http_version = handle.head.http_version
        refused = handle.told_without_our_name(message, url.host) if code == pycurl.E_PEER_FAILED_VERIFICATION else ""
        chain = read_chain(handle.curl, url, verified=check.request.verify_tls, error=clean_text(refused))
        check.see_certificate(chain, chain.not_after if chain else None)
        verdict = read(handle, code, message)
        return self.failed(check, handle, code, message, url=url, connected=connected) if verdict is None else verdict
