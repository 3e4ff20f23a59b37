"""Heartbeats as rows: what is stored of their runs, failures and schedules, and back."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from psycopg.sql import SQL

from core.domain.heartbeat import Failure, Heartbeat, HeartbeatState
from core.domain.heartbeat_runs import NO_RUNS, Run, Runs
from core.domain.heartbeat_schedule import Schedule
from core.domain.outcomes import MonitorState
from core.domain.recurrence import Cron, OnCalendar, Period, Recurrence, usual_gap
from core.domain.schedule import EPOCH, MICROSECOND
from core.domain.transitions import MonitorRef

DAY_S: Final = 86_400
YEAR_S: Final = 365 * DAY_S

COLUMNS: Final = SQL("""
    m.id, m.uid, m.workspace_id, m.name, m.paused_at,
    h.config_version, h.schedule_kind, h.period_s, h.schedule, h.time_zone,
    h.grace_s, h.early_s, h.max_run_s, h.min_run_s, h.failure_threshold, h.sticky_pause,
    s.state, s.last_sequence, s.verdict_sequence, s.success_sequence, s.end_sequence, s.start_sequence, s.last_ping_at, s.last_success_at,
    s.last_fail_at, s.last_start_at, s.anchor_at, s.due_at, s.deadline_at, s.pings, s.changed_at, s.runs, s.failures
""")


def runs_json(runs: Runs) -> str | None:
    """Runs as they are stored: sequence and epoch microseconds of every start, sequences of ends; None where there are none."""
    if not runs.open and not runs.ended:
        return None
    return json.dumps({"open": {rid: (run.sequence, _us(run.at)) for rid, run in runs.open.items()}, "ended": dict(runs.ended)})


def runs_of(stored: Mapping[str, Any] | None) -> Runs:
    """Runs from what is stored."""
    if stored is None:
        return NO_RUNS
    return Runs({rid: Run(sequence, _at(us)) for rid, (sequence, us) in stored["open"].items()}, stored["ended"])


def failures_json(failures: Sequence[Failure]) -> str | None:
    """Failures as they are stored: rank and epoch microseconds."""
    return json.dumps([(failure.rank, _us(failure.at)) for failure in failures]) if failures else None


def failures_of(stored: Sequence[Sequence[int]] | None) -> tuple[Failure, ...]:
    """Failures from what is stored."""
    return tuple(Failure(rank, _at(us)) for rank, us in stored or ())


def recurrence_of(kind: str, period_s: int, expression: str, time_zone: str) -> Recurrence:
    """When a heartbeat is expected, from its columns. `period_s` of the other kinds is only about how often they are due."""
    zone = ZoneInfo(time_zone)
    match kind:
        case "cron":
            return Cron(expression, zone)
        case "oncalendar":
            return OnCalendar(expression, zone)
        case _:
            return Period(period_s, zone)


def recurrence_columns(recurrence: Recurrence, now: datetime) -> dict[str, Any]:
    """The columns of a heartbeat that say when. `now` is from when on it is looked how often that is."""
    time_zone = recurrence.zone.key
    if isinstance(recurrence, Period):
        return {"schedule_kind": "period", "period_s": recurrence.seconds, "schedule": "", "time_zone": time_zone}
    kind, expression = "cron" if isinstance(recurrence, Cron) else "oncalendar", recurrence.expression
    gap = usual_gap(recurrence, now)
    period_s = min(round(gap.total_seconds()), YEAR_S) if gap else DAY_S
    return {"schedule_kind": kind, "period_s": period_s, "schedule": expression, "time_zone": time_zone}


def heartbeat_of(row: Sequence[Any]) -> Heartbeat:
    """A heartbeat from its `COLUMNS`."""
    schedule = Schedule(recurrence_of(*row[6:10]), *row[10:16])
    monitor = MonitorRef(row[0], row[1], row[2], "heartbeat", row[3], schedule.words)
    facts: tuple[Any, ...] = (*row[17:31], runs_of(row[31]), failures_of(row[32]))
    state = HeartbeatState(MonitorState(row[16]), *facts)
    return Heartbeat(monitor, schedule, row[5], row[4], state)


def _us(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


def _at(us: int) -> datetime:
    return EPOCH + us * MICROSECOND
