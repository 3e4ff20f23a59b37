"""How full the disk is that the files of this process are on.

In a container that has no disk of its own this is the disk of the instance that all its containers share, so whoever runs there
can tell, and no agent is needed.
"""

import os
import threading
from datetime import UTC, datetime
from typing import Final

from core.adapters.embedded_metric import DISK_USED, figures
from core.logs import get_logger

log = get_logger(__name__)

EVERY_S: Final = 60.0


def used_percent(path: str = "/") -> float:
    """How much of what processes may use is used, as `df` shows it."""
    found = os.statvfs(path)
    used = found.f_blocks - found.f_bfree
    return 100.0 * used / max(used + found.f_bavail, 1)


def tell_regularly(namespace: str, env: str, stopping: threading.Event | None = None) -> threading.Thread:
    """Write a line for CloudWatch now and every minute, on a thread of its own, until the process ends or `stopping` is set."""
    until = stopping or threading.Event()
    thread = threading.Thread(target=_tell, args=(namespace, env, until), name="disk", daemon=True)
    thread.start()
    return thread


def _tell(namespace: str, env: str, stopping: threading.Event) -> None:
    while True:
        log.info("disk.used", **figures(namespace, env, {DISK_USED: round(used_percent(), 1)}, datetime.now(UTC)))
        if stopping.wait(EVERY_S):
            return
