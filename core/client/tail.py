"""The end of what a job has written."""

from typing import Final

TAIL_BYTES: Final = 10_240
"""As much as the edge keeps of a body in the ping itself."""


class Tail:
    """Keeps the last `TAIL_BYTES` of all that it is given."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Append. The rest is cut only when it has grown to as much again: a job that writes a lot costs one copy of it, not many."""
        self._kept += data[-TAIL_BYTES:]
        if len(self._kept) > 2 * TAIL_BYTES:
            del self._kept[:-TAIL_BYTES]

    def bytes(self) -> bytes:
        """What is kept."""
        return bytes(self._kept[-TAIL_BYTES:])
