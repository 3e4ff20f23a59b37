"""A process full of websites on loopback: `python -m tests.faults.targets PORT` answers every request with 200 and closes."""

import asyncio
import os
import signal
import subprocess
import sys

from tests.conftest import free_port
from tests.processes import wait_for_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Targets:
    """Websites that can be killed (they refuse) or stopped (they hang, like everything behind a network that was cut)."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process = subprocess.Popen([sys.executable, "-m", "tests.faults.targets", str(self.port)])
        wait_for_port(self.port, process=self.process)

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


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.transport.abort()
    else:
        writer.close()


async def _serve(port: int) -> None:
    async with await asyncio.start_server(_answer, "127.0.0.1", port, backlog=1000) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
