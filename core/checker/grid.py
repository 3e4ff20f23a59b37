"""Periods that share their beats: tasks of the same period, and of multiples of it, are sent in one go.

A process that wakes for each of them by itself finds its caches cold each time: three tasks sent together cost half of three apart.
"""

from datetime import datetime, timedelta
from typing import override

from celery.schedules import schedstate, schedule


class Grid(schedule):
    """Due at every multiple of its period. Its clock (`nowfun`) is one that nobody sets."""

    @override
    def remaining_estimate(self, last_run_at: datetime) -> timedelta:
        """Until the first multiple after the last run; not positive once it is due."""
        return timedelta(seconds=self.seconds - last_run_at.timestamp() % self.seconds) - (self.now() - last_run_at)

    @override
    def is_due(self, last_run_at: datetime) -> schedstate:
        """Whether it is due, and seconds to the next look."""
        remaining_s = self.remaining_estimate(last_run_at).total_seconds()
        return schedstate(False, remaining_s) if remaining_s > 0 else schedstate(True, self.to_next_s(self.seconds))

    def to_next_s(self, period_s: float) -> float:
        """Seconds to the next multiple of a period."""
        return float(period_s - self.now().timestamp() % period_s)
