"""Servers that are not HTTP: they talk as a script says, and remember what they heard."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

type Talk = Callable[["Guest"], Awaitable[None]]


@dataclass
class Guest:
    """One connection of a client, as its server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    host: "Host"

    async def say(self, *lines: bytes) -> None:
        self.writer.write(b"".join(line + b"\r\n" for line in lines))
        await self.writer.drain()

    async def hear(self) -> bytes:
        line = (await self.reader.readuntil(b"\n")).strip()
        self.host.hear(line)
        return line

    async def rest(self) -> None:
        """Say nothing more, and hear the client out."""
        while line := await self.reader.readline():
            self.host.hear(line.strip())


@dataclass
class Host:
    """A running server. `heard` are the lines of all guests; `was_told` is set by the first, `left` when a guest has gone."""

    port: int
    heard: list[bytes] = field(default_factory=list)
    was_told: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, line: bytes) -> None:
        self.heard.append(line)
        self.was_told.set()


@asynccontextmanager
async def hosting(talk: Talk, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> AsyncIterator[Host]:
    """Serve `talk` on a free port; each connection is closed when it returns."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(guest: Guest) -> None:
        try:
            await talk(guest)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the other side went away, which is its right
        finally:
            guest.writer.close()
            host.left.set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(handle(Guest(reader, writer, host)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, address, 0, ssl=tls)
    host = Host(server.sockets[0].getsockname()[1])
    try:
        yield host
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(*lines: bytes) -> Talk:
    """Say some lines at once, and listen until the client goes."""

    async def talk(guest: Guest) -> None:
        await guest.say(*lines)
        await guest.rest()

    return talk


async def silent(guest: Guest) -> None:
    """Accept the connection, and nothing else."""
    await guest.rest()


async def closing(_guest: Guest) -> None:
    """Hang up at once."""


async def resetting(guest: Guest) -> None:
    """Cut the connection hard, whatever came."""
    guest.writer.transport.abort()


@asynccontextmanager
async def counting_turns(every_s: float = 0.02) -> AsyncIterator[list[float]]:
    """Collect the times at which the event loop was free to turn: a loop that stands still collects none."""
    loop = asyncio.get_running_loop()
    turns: list[float] = []

    async def tick() -> None:
        while True:
            await asyncio.sleep(every_s)
            turns.append(loop.time())

    ticking = asyncio.ensure_future(tick())
    try:
        yield turns
    finally:
        ticking.cancel()
