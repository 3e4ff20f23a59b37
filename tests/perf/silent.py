"""The target that hangs: takes every connection, says nothing, and lets go when the other side has had enough. Prints its port."""

import asyncio

import uvloop


class Silence(asyncio.Protocol):
    """Reads, and never answers."""

    def data_received(self, data: bytes) -> None:
        """Whatever was asked."""


async def serve() -> None:
    """Listen on loopback until killed."""
    server = await asyncio.get_running_loop().create_server(Silence, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  (how the benchmark learns the port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
