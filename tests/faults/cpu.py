"""CPU of a process: how much it has had, and how to give it no more than so much."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

PACE_S: Final = 0.005
BURST_S: Final = 0.02
_CPUCLOCK_SCHED: Final = 2


def cpu_s(pid: int) -> float:
    """Seconds of CPU that all threads of a process have had (its CPU clock, `clock_getcpuclockid(3)`)."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def cpu_share(pid: int, over_s: float) -> float:
    """The share of a core that a process takes, measured over so many seconds."""
    before, began = cpu_s(pid), time.monotonic()
    time.sleep(over_s)
    return (cpu_s(pid) - before) / (time.monotonic() - began)


@contextmanager
def limited(pid: int, share: float) -> Iterator[None]:
    """Give a process this share of a core and no more: it is stopped whenever it is ahead, as a cgroup's quota would."""
    over = threading.Event()

    def hold_back() -> None:
        credit, looked, used = 0.0, time.monotonic(), cpu_s(pid)
        while not over.wait(PACE_S):
            now, now_used = time.monotonic(), cpu_s(pid)
            credit = min(credit + share * (now - looked), BURST_S) - (now_used - used)
            looked, used = now, now_used
            os.kill(pid, signal.SIGCONT if credit > 0 else signal.SIGSTOP)

    thread = threading.Thread(target=hold_back, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)
        os.kill(pid, signal.SIGCONT)
