"""Gives memory that a burst of checks needed back to the system. glibc keeps what was freed between pieces that are still in use."""

import ctypes
import sys
import time
from collections.abc import Callable
from typing import Final

TRIM_EVERY_S: Final = 60.0


def _trim_of_glibc() -> Callable[[int], int] | None:
    """Its `malloc_trim`, which takes a millisecond and holds the other threads up where they allocate; no other C library has one."""
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    return trim


class Heap:
    """Trims at most once in `TRIM_EVERY_S`, when it is asked to."""

    def __init__(self, trim: Callable[[int], int] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._trim = trim or _trim_of_glibc()
        self._clock = clock
        self._trimmed_at = clock()

    def trim(self) -> None:
        """Call it often: between trims it costs a look at the clock."""
        now = self._clock()
        if self._trim is not None and now - self._trimmed_at >= TRIM_EVERY_S:
            self._trimmed_at = now
            self._trim(0)
