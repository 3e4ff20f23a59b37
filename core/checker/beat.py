"""Celery beat that keeps nothing on disk, says when each run was due, and stands by while another one ticks.

What is to be done is decided in SQL, so a run that beat missed is made up for by the next one; a schedule file could only be torn.
"""

import copy
import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, override

from celery.beat import ScheduleEntry, Scheduler
from celery.schedules import schedstate

from core import metrics
from core.adapters.beat_lease import BeatLease
from core.adapters.tick_pace import TickPace
from core.checker.clocks import SteadyWallClock
from core.checker.grid import Grid
from core.checker.leadership import Leadership
from core.checker.pace import CALM_S, PROMPT_S, Board
from core.checker.settings import process_settings

DUE_AT_HEADER = "due_at"
"""Message header: when the run was due, in Unix seconds."""

AHEAD_HEADER = "ahead_s"
"""Message header of a run whose pace the fleet sets: seconds until the next one."""

PACED = "check_due_websites"


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
    """The in-memory scheduler, with the due time of each run in its message; websites are looked for as often as the fleet wants.

    While it stands by it goes through the same schedule and sends nothing, so that it goes on where the leader ended.
    """

    Entry = SteadyEntry

    @override
    def __init__(self, *args: Any, pace: Board | None = None, leadership: Leadership | None = None, **kwargs: Any) -> None:
        """`pace` is asked before each run of `PACED`, `leadership` at each turn."""
        self._pace = pace or TickPace(process_settings().redis_url.reveal())
        self._leadership = leadership or Leadership(BeatLease(process_settings().redis_url.reveal()))
        self._period_s = self._ahead_s = PROMPT_S
        super().__init__(*args, **kwargs)

    @override
    def adjust(self, n: float, drift: float = 0.0) -> float:
        """Wake when an entry is due. Celery wakes 10 ms before and then spins until it is."""
        return n

    @override
    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One turn: seconds to the next one."""
        metrics.BEAT_TURN.set(time.time())
        self._leadership.leads()
        return float(super().tick(*args, **kwargs))

    @override
    def close(self) -> None:
        """Beat ends: another one may tick at once."""
        self._leadership.resign()
        super().close()

    @override
    def is_due(self, entry: ScheduleEntry) -> schedstate:
        """Whether a run is due, and when the next one will be."""
        is_due, next_s = super().is_due(entry)
        if is_due and entry.name == PACED:
            assert isinstance(entry.schedule, Grid), "so it is configured"
            self._period_s = min(max(self._pace.told() or PROMPT_S, PROMPT_S), CALM_S)
            next_s = self._ahead_s = entry.schedule.to_next_s(self._period_s)
        return schedstate(is_due, next_s)

    @override
    def apply_async(self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send one run, if it is ours to send; `entry` still carries the time of the previous one."""
        assert entry.schedule, "every entry of the configuration has a schedule"
        assert entry.last_run_at, "an entry starts with the time of its making"
        due_at = datetime.now(UTC) + entry.schedule.remaining_estimate(entry.last_run_at)
        if advance:
            self.reserve(entry)
        timed = copy.copy(entry)
        headers = {DUE_AT_HEADER: due_at.timestamp()}
        timed.options = {**(entry.options or {}), "headers": headers}
        if entry.name == PACED:
            headers[AHEAD_HEADER] = timed.options["expires"] = self._ahead_s
            entry.schedule.run_every = timedelta(seconds=self._period_s)  # type: ignore[attr-defined]  # the stubs leave it out
        return super().apply_async(timed, producer, advance=False, **kwargs) if self._leadership.leads() else None
