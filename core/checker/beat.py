"""Celery beat that keeps nothing on disk and says when each run was due.

What is to be done is decided in SQL, so a run that beat missed is made up for by the next one; a schedule file could only be torn.
"""

import copy
from typing import Any, override

from celery.beat import ScheduleEntry, Scheduler

DUE_AT_HEADER = "due_at"
"""Message header: when the run was due, in Unix seconds."""


class PunctualScheduler(Scheduler):
    """The in-memory scheduler, with the due time of each run in its message."""

    @override
    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send one run; `entry` still carries the time of the previous one."""
        assert entry.schedule, "every entry of the configuration has a schedule"
        assert entry.last_run_at, "an entry starts with the time of its making"
        due_at = entry.default_now() + entry.schedule.remaining_estimate(entry.last_run_at)
        if advance:
            self.reserve(entry)
        timed = copy.copy(entry)
        timed.options = {**(entry.options or {}), "headers": {DUE_AT_HEADER: due_at.timestamp()}}
        return super().apply_async(timed, producer, advance=False, **kwargs)
