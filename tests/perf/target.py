"""The target of the check benchmark: answers any request with 200 and a small body, as cheaply as Python can. Prints its port."""

import asyncio
from typing import cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Answer(asyncio.Protocol):
    """One connection, one answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Whatever was asked."""
        self.transport.write(ANSWER)
        self.transport.close()


async def serve() -> None:
    """Listen on loopback until killed."""
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  (how the benchmark learns the port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
