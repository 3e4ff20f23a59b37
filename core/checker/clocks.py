"""The wall clock can be set; what schedules by it has to notice."""

import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from core.domain.own_trouble import clock_jump

SKEW_S: Final = 10.0
"""For so long after a clock was set back others may still write by the old one: a flush under way, a host that is set a moment later."""

_BOOT_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady() -> float:
    """Seconds of a clock that nobody sets and that goes on while the machine sleeps, where it has one."""
    return time.clock_gettime(_BOOT_CLOCK)


class SteadyWallClock:
    """The wall clock as it was when this was made, carried on by the steady one."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady) -> None:
        self._began = datetime.fromtimestamp(wall(), UTC)
        self._steady_began = steady()
        self._steady = steady

    def now(self) -> datetime:
        """The time, whatever the wall clock was set to meanwhile."""
        return self._began + timedelta(seconds=self._steady() - self._steady_began)


class ClockWatch:
    """Compares the wall clock with the steady one, from look to look. Safe to share between threads."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady) -> None:
        self._wall = wall
        self._steady = steady
        self._offset: float | None = None
        self._look_again_at = math.inf
        self._lock = threading.Lock()

    def jump(self) -> float:
        """By how many seconds the wall clock was set since `settle`: 0.0 if it was not.

        Minus infinity when nobody knows what was written meanwhile: before the first look, and once more a moment after it was set back.
        """
        with self._lock:
            if self._offset is None:
                return -math.inf
            offset = self._wall() - self._steady()
            jump = clock_jump(self._offset, offset)
            if not jump:
                self._offset = offset  # small corrections do not add up to a jump
                return -math.inf if self._steady() >= self._look_again_at else 0.0
            return jump

    def settle(self) -> None:
        """What followed from the jump is done."""
        with self._lock:
            offset = self._wall() - self._steady()
            was_set_back = self._offset is not None and clock_jump(self._offset, offset) < 0
            self._look_again_at = self._steady() + SKEW_S if was_set_back else math.inf
            self._offset = offset
