"""Transfers of libcurl on our event loop: one `CurlMulti`, thousands in flight, woken by sockets and one timer."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pycurl

from core.adapters.probe_sockets import Act, SocketWatch, best_watch

OK: Final = 0


class TransfersAborted(Exception):
    """The transfer was ended by us; the message says why."""


class Transfers:
    """Bound to one event loop. An easy handle is in at most one transfer at a time."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, watch: Callable[[asyncio.AbstractEventLoop, Act], SocketWatch] = best_watch
    ) -> None:
        self._loop = loop
        self._watch = watch(loop, self._act)
        self._timer: asyncio.Handle | None = None
        self._fires_now = False
        self._some_ended = False
        self._closed = False
        self._flying: dict[Any, asyncio.Future[tuple[int, str]]] = {}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch.wait_for)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_NOTIFYFUNCTION, self._on_notify)
        self._multi.notify_enable(pycurl.M_NOTIFY_INFO_READ)

    def __len__(self) -> int:
        return len(self._flying)

    async def run(self, curl: Any) -> tuple[int, str]:
        """Run one transfer to its end: libcurl's code (0 is success) and its message.

        Raises:
            TransfersAborted: `abort` or `close` ended it.
        """
        if self._closed:
            raise TransfersAborted("closed")
        end: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._flying[curl] = end
        try:
            self._multi.add_handle(curl)
            return await end
        finally:
            if self._flying.pop(curl, None) is not None:  # cancelled, or never taken
                self._remove(curl)

    def abort(self, why: str) -> None:
        """End every transfer with TransfersAborted."""
        for curl, end in list(self._flying.items()):
            del self._flying[curl]
            self._remove(curl)
            if not end.done():
                end.set_exception(TransfersAborted(why))

    def close(self) -> None:
        """Abort what is in flight and let go of all sockets."""
        self._closed = True
        self.abort("closed")
        if self._timer is not None:
            self._timer.cancel()
        self._multi.close()
        self._watch.close()

    def _remove(self, curl: Any) -> None:
        try:
            self._multi.remove_handle(curl)
        except pycurl.error:
            return  # it was never added

    def _act(self, happened: list[tuple[int, int]]) -> None:
        act = self._multi.socket_action
        try:
            for fd, ready in happened:
                act(fd, ready)
        except pycurl.error as error:
            self.abort(f"libcurl cannot go on: {error}")
        if self._some_ended:
            self._hand_out()

    def _hand_out(self) -> None:
        self._some_ended = False
        waiting = 1
        while waiting:
            waiting, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._end(curl, OK, "")
            for curl, code, message in failed:
                self._end(curl, code, message)

    def _end(self, curl: Any, code: int, message: str) -> None:
        self._multi.remove_handle(curl)
        end = self._flying.pop(curl)
        if not end.done():
            end.set_result((code, message))

    def _on_notify(self, _what: int, _curl: Any) -> None:
        self._some_ended = True

    def _on_timer(self, timeout_ms: int) -> None:
        if timeout_ms == 0 and self._fires_now:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._fires_now = timeout_ms == 0
        if self._fires_now:
            self._timer = self._loop.call_soon(self._fire)
        elif timeout_ms > 0:
            self._timer = self._loop.call_later(timeout_ms / 1000, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._fires_now = False
        self._act([(pycurl.SOCKET_TIMEOUT, 0)])
