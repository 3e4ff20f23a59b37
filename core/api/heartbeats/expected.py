"""The next times at which pings are due, of heartbeats and of schedules that are not stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from core.adapters.store.heartbeat_rows import recurrence_columns
from core.api.heartbeats import rows, schedules
from core.api.monitors.models import Heartbeat, Monitor, ScheduleKind
from core.domain.heartbeat_schedule import Schedule
from core.domain.recurrence import upcoming


@dataclass(frozen=True, slots=True)
class ExpectedTime:
    """A due time in UTC, and as a clock in the schedule's zone shows it."""

    at: datetime
    local: str


@dataclass(frozen=True, slots=True)
class ExpectedTimes:
    """A schedule in words and its next due times."""

    schedule_kind: str
    rule: str
    time_zone: str
    times: list[ExpectedTime]


def preview(values: Mapping[str, Any], count: int, now: datetime) -> ExpectedTimes:
    """The next times of a schedule as a request says it.

    Raises:
        FieldError: that is no schedule.
    """
    recurrence = schedules.asked_recurrence(Heartbeat(), values, now)
    return _times(recurrence_columns(recurrence, now)["schedule_kind"], Schedule(recurrence, 0), now, count)


def expected(monitor: Monitor, count: int, now: datetime) -> ExpectedTimes:
    """The next times of a heartbeat, the one first that it waits for now: a period counts from the last ping."""
    schedule, due = rows.schedule_of(monitor.heartbeat), monitor.heartbeat_state.due_at
    found = _times(monitor.heartbeat.schedule_kind, schedule, due or now, count)
    if due is None:
        return found
    return ExpectedTimes(found.schedule_kind, found.rule, found.time_zone, [_time(schedule, due), *found.times][:count])


def _times(kind: str, schedule: Schedule, after: datetime, count: int) -> ExpectedTimes:
    times = [_time(schedule, at) for at in islice(upcoming(schedule.recurrence, after), count)]
    return ExpectedTimes(ScheduleKind(kind), schedule.rule, schedule.zone.key, times)


def _time(schedule: Schedule, at: datetime) -> ExpectedTime:
    return ExpectedTime(at, at.astimezone(schedule.zone).isoformat(timespec="seconds"))
