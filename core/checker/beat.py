"""Celery beat that keeps nothing on disk and says when each run was due.

What is to be done is decided in SQL, so a run that beat missed is made up for by the next one; a schedule file could only be torn.
"""

import copy
from datetime import UTC, datetime
from typing import Any, ClassVar, override

from celery.beat import ScheduleEntry, Scheduler

from core.checker.clocks import SteadyWallClock

DUE_AT_HEADER = "due_at"
"""Message header: when the run was due, in Unix seconds."""


class SteadyEntry(ScheduleEntry):
    """An entry whose time goes on evenly: a wall clock that is set back by an hour must not keep beat silent for one."""

    clock: ClassVar = SteadyWallClock()

    @override
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Make the schedule of the entry look at the steady clock."""
        super().__init__(*args, **kwargs)
        assert self.schedule, "every entry of the configuration has a schedule"
        self.schedule.nowfun = self.clock.now  # type: ignore[attr-defined]  # the stubs misspell it


class PunctualScheduler(Scheduler):
    """The in-memory scheduler, with the due time of each run in its message."""

    Entry = SteadyEntry

    @override
    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send one run; `entry` still carries the time of the previous one."""
        assert entry.schedule, "every entry of the configuration has a schedule"
        assert entry.last_run_at, "an entry starts with the time of its making"
        due_at = datetime.now(UTC) + entry.schedule.remaining_estimate(entry.last_run_at)
        if advance:
            self.reserve(entry)
        timed = copy.copy(entry)
        timed.options = {**(entry.options or {}), "headers": {DUE_AT_HEADER: due_at.timestamp()}}
        return super().apply_async(timed, producer, advance=False, **kwargs)
