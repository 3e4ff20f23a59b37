"""One supervisor for one home: an advisory lock that the kernel drops with its holder, so it cannot go stale."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

FILE = "lock"
LOOK_S = 0.5
"""Who looks at the lock shares it for an instant: so long does a taker try before it believes that a supervisor has it."""

TRY_EVERY_S = 0.001
"""Often, because it must find one instant at which nobody looks."""


class AlreadyRunning(Exception):
    """Another supervisor holds the lock of this home."""


class BoxLock:
    """Held for as long as the object is open. The file's content is for people; only the lock counts."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, run: Path) -> Self:
        """Take the lock.

        Raises:
            AlreadyRunning: somebody holds it.
        """
        descriptor = os.open(run / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        give_up = time.monotonic() + LOOK_S
        while not _lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > give_up:
                os.close(descriptor)
                raise AlreadyRunning(f"a supervisor is running in {run}")
            time.sleep(TRY_EVERY_S)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)


def holder(run: Path) -> int:
    """The pid of who holds the lock: who takes it writes it down, so while the lock is held the number is right (0: not written yet)."""
    return int((run / FILE).read_text(encoding="ascii").strip() or 0)


def is_held(run: Path) -> bool:
    """Whether a supervisor is alive in this home."""
    try:
        descriptor = os.open(run / FILE, os.O_RDWR)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
