"""One c-ares channel, driven by the event loop that asks.

`aiodns` runs c-ares in a thread of its own, which costs twice the CPU for each name; here the loop watches the sockets. c-ares keeps
answers by itself for up to an hour, and pycares cannot tell it not to, so the resolver opens a new channel now and then.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import pycares
from pycares import errno as ares

LONGEST_TRY_S: Final = 1.5
"""How long one name server may take for a question that is asked once, before it is asked again."""
_TICK_S: Final = 0.1
"""How often time-outs are looked at while a question is open."""

RECEIVE_BUFFER: Final = 1 << 20
"""Bytes for answers that wait for the loop; the kernel gives what its `rmem_max` allows, usually 550 answers."""

type Reply = tuple[pycares.DNSResult | None, int | None]
"""Either the answer or the number of a c-ares error."""

type Answered = Callable[[pycares.DNSResult | None, int | None], None]
"""Takes a reply."""


class NameChannel:
    """Asks the name servers: `servers` as `address` or `address:port`, or those of the system if it is empty. `asked` counts questions.

    Raises:
        pycares.AresError: the channel cannot be made, e.g. no file descriptors are left.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, servers: Sequence[str], *, timeout_s: float, tries: int) -> None:
        self._loop = loop
        self._opened_at = loop.time()
        self._reading: set[int] = set()
        self._writing: set[int] = set()
        self._open_questions = 0
        self.asked = 0
        self._timer: asyncio.TimerHandle | None = None
        self._retired = False
        self._closed = False
        self._channel = pycares.Channel(
            flags=pycares.ARES_FLAG_EDNS | pycares.ARES_FLAG_NOSEARCH,
            servers=list(servers) or None,
            timeout=timeout_s,
            tries=tries,
            lookups="b",
            socket_receive_buffer_size=RECEIVE_BUFFER,
            sock_state_cb=self._on_socket,
        )

    def age_s(self) -> float:
        """Seconds since the channel was opened."""
        return self._loop.time() - self._opened_at

    def ask(self, name: str, record_type: int) -> asyncio.Future[Reply]:
        """Ask for one kind of record; errors are values of the future, never raised."""
        reply: asyncio.Future[Reply] = self._loop.create_future()

        def answered(result: pycares.DNSResult | None, error: int | None) -> None:
            if not reply.done():
                reply.set_result((result, error))

        self.query(name, record_type, answered)
        return reply

    def query(self, name: str, record_type: int, answered: Answered) -> None:
        """The same with a callback, which may be called before this returns."""

        def counted(result: pycares.DNSResult | None, error: int | None) -> None:
            self._open_questions -= 1
            answered(result, error)
            if self._retired and not self._open_questions:
                self._loop.call_soon(self.close)

        self._open_questions += 1
        self.asked += 1
        try:
            self._channel.query(name, record_type, callback=counted)
        except pycares.AresError as error:
            counted(None, error.args[0])
        if self._timer is None and self._open_questions:
            self._timer = self._loop.call_later(_TICK_S, self._tick)

    def retire(self) -> None:
        """Take no more questions and close when the open ones are answered."""
        self._retired = True
        if not self._open_questions:
            self.close()

    def close(self) -> None:
        """Close at once; open questions end with ARES_ECANCELLED."""
        if self._closed:
            return
        self._channel.cancel()
        self._closed = True  # from here on c-ares reports its sockets from a thread of its own
        if self._timer is not None:
            self._timer.cancel()
        for fd in self._reading:
            self._loop.remove_reader(fd)
        for fd in self._writing:
            self._loop.remove_writer(fd)
        self._channel.close()

    def _tick(self) -> None:
        self._timer = None
        for fd in tuple(self._reading):  # this loop may have been held up: first the answers, and only then what is too late
            self._process(fd, pycares.ARES_SOCKET_BAD)
        self._process(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
        if self._open_questions and not self._closed:
            self._timer = self._loop.call_later(_TICK_S, self._tick)

    def _process(self, readable: int, writable: int) -> None:
        with suppress(RuntimeError):  # closed by a callback of the same turn of the loop
            self._channel.process_fd(readable, writable)

    def _on_socket(self, fd: int, readable: bool, writable: bool) -> None:
        if self._closed:
            return
        if readable and fd not in self._reading:
            self._reading.add(fd)
            self._loop.add_reader(fd, self._process, fd, pycares.ARES_SOCKET_BAD)
        elif not readable and fd in self._reading:
            self._reading.remove(fd)
            self._loop.remove_reader(fd)
        if writable and fd not in self._writing:
            self._writing.add(fd)
            self._loop.add_writer(fd, self._process, pycares.ARES_SOCKET_BAD, fd)
        elif not writable and fd in self._writing:
            self._writing.remove(fd)
            self._loop.remove_writer(fd)


async def ask_once(servers: Sequence[str], name: str, record_type: int, *, timeout_s: float, tries: int) -> Reply:
    """Ask for one kind of record on a channel of its own: c-ares keeps answers, which would hide what the servers say now.

    Silence is ARES_ETIMEOUT; `timeout_s` is for all of the tries.
    """
    loop = asyncio.get_running_loop()
    try:
        channel = NameChannel(loop, servers, timeout_s=min(timeout_s / tries, LONGEST_TRY_S), tries=tries)
    except pycares.AresError as error:
        return None, error.args[0]
    try:
        async with asyncio.timeout(timeout_s):
            return await channel.ask(name, record_type)
    except TimeoutError:
        return None, ares.ARES_ETIMEOUT
    finally:
        channel.close()
