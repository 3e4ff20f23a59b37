"""A wall clock that can be set, for the processes of a fleet: libfaketime, never the machine's clock.

`python -m tests.faults.set_clock worker ...` is `python -m core.checker worker ...`. Of Debian's libfaketime 0.9.10 the absolute sleep of
the monotonic clock, which is Python's `time.sleep`, fails with EINVAL (https://github.com/wolfcw/libfaketime/issues/426): here it waits
otherwise.
"""

import select
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import SupportsIndex

import pytest

WHAT_IS_MISSING = "libfaketime is missing, which this test sets the clock with: apt-get install -y libfaketime"


class SetClock:
    """One clock for all processes that have its `environ`."""

    def __init__(self, folder: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            pytest.fail(WHAT_IS_MISSING)
        self._file = folder / "clock"
        self.set_by(timedelta())
        self.environ = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set_by(self, offset: timedelta) -> None:
        """From a second on at most, it differs so much from the machine's."""
        self._file.write_text(f"{offset.total_seconds():+.0f}\n")

    @staticmethod
    def command(checker: Sequence[str]) -> list[str]:
        """The same command with this module in the place of the checker's."""
        return ["tests.faults.set_clock" if part == "core.checker" else part for part in checker]


def _sleep(seconds: float | SupportsIndex) -> None:
    select.select([], [], [], float(seconds))


if __name__ == "__main__":
    time.sleep = _sleep
    from core.checker.__main__ import main

    main()
