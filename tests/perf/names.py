"""The name server of the check benchmark: every name is 127.0.0.1 for a minute and has nothing else. Prints its port."""

import asyncio
import struct
from typing import Final, cast

import uvloop

TTL_S: Final = 60
_TYPE_A: Final = 1
_HEAD: Final = struct.pack("!HHHHH", 0x8180, 1, 0, 0, 0)
_HEAD_WITH_ANSWER: Final = struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0)
_ANSWER: Final = struct.pack("!HHHIH4B", 0xC00C, _TYPE_A, 1, TTL_S, 4, 127, 0, 0, 1)


class Names(asyncio.DatagramProtocol):
    """One question, one answer. What follows the question (EDNS) is left out of it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Whatever name was asked for."""
        end = data.index(0, 12) + 5
        if data[end - 3] == _TYPE_A:
            self._transport.sendto(data[:2] + _HEAD_WITH_ANSWER + data[12:end] + _ANSWER, addr)
        else:
            self._transport.sendto(data[:2] + _HEAD + data[12:end], addr)


async def serve() -> None:
    """Listen on loopback until killed."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    print(transport.get_extra_info("sockname")[1], flush=True)  # noqa: T201  (how the benchmark learns the port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
