"""Memory that was freed goes back to the system, now and then."""

import ctypes
import sys
from pathlib import Path

import pytest

from core.checker.heap import TRIM_EVERY_S, Heap


def test_it_trims_once_a_minute_however_often_it_is_asked() -> None:
    asked_at = [1.0, TRIM_EVERY_S, TRIM_EVERY_S + 1, 2 * TRIM_EVERY_S + 0.5]
    clock = iter([0.0, *asked_at])
    trims: list[int] = []

    def trim(pad: int) -> int:
        trims.append(pad)
        return 1

    heap = Heap(trim, lambda: next(clock))
    trimmed = []
    for _ in asked_at:
        heap.trim()
        trimmed.append(len(trims))

    assert trimmed == [0, 1, 1, 2]
    assert trims == [0, 0]


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc alone has it")
def test_what_lay_between_pieces_in_use_goes_back() -> None:
    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    pieces = [ctypes.c_void_p(libc.malloc(ctypes.c_size_t(20_000))) for _ in range(2000)]
    for piece in pieces:
        ctypes.memset(piece, 1, 20_000)
    for piece in pieces[:-1]:  # the last one keeps the heap from shrinking by itself
        libc.free(piece)
    full = resident_mb()
    times = iter((0.0, TRIM_EVERY_S))
    Heap(clock=lambda: next(times)).trim()
    trimmed = resident_mb()
    libc.free(pieces[-1])

    assert full - trimmed > 20
