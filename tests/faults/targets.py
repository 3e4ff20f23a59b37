"""A process full of websites on loopback: `python -m tests.faults.targets ADDRESS PORT` answers every request with 200 and closes."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import cast

import uvloop

from tests.conftest import free_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Answer(asyncio.Protocol):
    """One connection, one answer, as cheaply as Python can."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)
        self.transport.close()


class Targets:
    """Websites that can be killed (they refuse) or stopped (they hang, like everything behind a network that was cut).

    `prefix` is a command to run them with, `address` is theirs.
    """

    def __init__(self, prefix: Sequence[str] = (), address: str = "127.0.0.1") -> None:
        self.port = free_port()
        command = [*prefix, sys.executable, "-m", "tests.faults.targets", address, str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout
        with self.process.stdout as said:
            assert said.readline() == b"listening\n", "the targets did not start"

    def url(self, host: str = "127.0.0.1") -> str:
        """Where a website of that name is."""
        return f"http://{host}:{self.port}/"

    def hang(self) -> None:
        """Accept, and say nothing."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again."""
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Be gone."""
        self.process.kill()
        self.process.wait(10)


async def _serve(address: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Answer, address, port, backlog=4096)
    print("listening", flush=True)  # noqa: T201  (how the parent learns it)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2])))
