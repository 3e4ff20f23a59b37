"""Deadlines of heartbeats are wall time: they move with a wall clock that is set, and nobody is judged before they have."""

import math
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from core.adapters.database import Pool
from core.checker.clocks import ClockWatch, steady
from core.flows import heartbeats
from core.logs import get_logger

log = get_logger(__name__)

SETTLE_S: Final = 10.0
"""How long nobody is judged after the clock was set: pings that were stamped before it are stored by then, with their old deadlines."""


class DeadlineClock:
    """The wall clock as the detector may use it. Safe to share between threads."""

    def __init__(self, watch: ClockWatch | None = None, steady: Callable[[], float] = steady) -> None:
        self._watch = watch or ClockWatch()
        self._steady = steady
        self._noticed_at: float | None = None
        self._lock = threading.Lock()

    def holds(self, pool: Pool, now: datetime) -> bool:
        """Whether deadlines can be judged by `now`. After a jump they cannot, until they have been moved.

        Raises:
            psycopg.OperationalError: PostgreSQL is away; the jump is still there at the next tick.
        """
        with self._lock:
            jump_s = self._watch.jump()
            if jump_s == -math.inf:  # nobody has looked before: there is nothing to compare with
                self._watch.settle()
            elif jump_s:
                return self._follow(pool, now, jump_s)
            self._noticed_at = None
            return True

    def _follow(self, pool: Pool, now: datetime, jump_s: float) -> bool:
        if self._noticed_at is None:
            self._noticed_at = self._steady()
        if self._steady() - self._noticed_at < SETTLE_S:
            return False
        with pool.connection() as connection:
            moved = heartbeats.realign(connection, now, jump_s)
        self._watch.settle()
        self._noticed_at = None
        log.warning("heartbeat.clock_was_set", seconds=round(jump_s, 1), deadlines_moved=moved)
        return True
