"""Waiting for a condition with a deadline, never for luck."""

import time
from collections.abc import Callable


def until[T](condition: Callable[[], T], timeout_s: float = 15.0, every_s: float = 0.02) -> T:
    """The first truthy value of `condition`; fails when there is none in time."""
    give_up = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < give_up, f"nothing happened within {timeout_s:.0f} s"
        time.sleep(every_s)
