"""What is told about the runs of a heartbeat over a range of time, and when each success was due."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.heartbeat import Heartbeat
from core.domain.heartbeat_schedule import Schedule
from core.domain.outcomes import MonitorState
from core.domain.uptime import ResponseTimes


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """Counts of pings that ended a run, and sketches in microseconds.

    `durations` are those of the runs that succeeded and whose start was seen. `distances` say how far from its time each success came, in
    either direction; `drift_sum_us` is their sum with the early ones negative.
    """

    successes: int = 0
    failures: int = 0
    durations: ResponseTimes = field(default_factory=ResponseTimes)
    distances: ResponseTimes = field(default_factory=ResponseTimes)
    drift_sum_us: int = 0

    @property
    def mean_drift_us(self) -> float | None:
        """How late successes come on average, early ones negative; None without a success that was due."""
        return self.drift_sum_us / self.distances.count if self.distances.count else None

    def __add__(self, other: "RunStatistics") -> "RunStatistics":
        return RunStatistics(
            self.successes + other.successes,
            self.failures + other.failures,
            self.durations + other.durations,
            self.distances + other.distances,
            self.drift_sum_us + other.drift_sum_us,
        )


def due_times(heartbeat: Heartbeat, successes: Iterable[datetime]) -> list[datetime | None]:
    """When each of these successes, in the order of their sequences, was due by the heartbeat's schedule, counted from the one before it.

    None for the first one of all, for one after a pause, and for one that arrives after a later one. None as well where the time after that
    has come too: then a ping was missed in between, and this one is not late by days.
    """
    expects = heartbeat.paused_at is None and heartbeat.state.state is not MonitorState.NEW
    before = heartbeat.state.last_success_at if expects else None
    due: list[datetime | None] = []
    for at in successes:
        due.append(_due(heartbeat.schedule, before, at) if before and at >= before else None)
        before = max(before, at) if before else at
    return due


def _due(schedule: Schedule, before: datetime, at: datetime) -> datetime | None:
    due = schedule.due_after_ping(before)
    if due is None:
        return None
    following = schedule.due_after_ping(due)
    return due if following is None or at < following else None
