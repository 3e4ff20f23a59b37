"""Between Django's rows and the domain: the same values that `core.adapters.store.heartbeats` reads and writes."""

from dataclasses import fields
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from core.adapters.store.heartbeat_rows import failures_of, recurrence_of, runs_of
from core.api.monitors.models import Heartbeat, HeartbeatState, Monitor
from core.domain import heartbeat as domain
from core.domain.heartbeat_schedule import Schedule
from core.domain.outcomes import MonitorState
from core.domain.transitions import MonitorRef

_TRANSLATED: Final = frozenset({"state", "runs", "failures"})
_PLAIN: Final = tuple(field.name for field in fields(domain.HeartbeatState) if field.name not in _TRANSLATED)


class OpenRun(NamedTuple):
    """A run under way; `rid` is None where the job sends no run ids."""

    rid: UUID | None
    started_at: datetime


def open_runs(row: HeartbeatState) -> list[OpenRun]:
    """The runs under way, in the order of their starts."""
    runs = runs_of(row.runs).open.items()
    return sorted((OpenRun(UUID(rid) if rid else None, run.at) for rid, run in runs), key=lambda run: run.started_at)


def schedule_of(row: Heartbeat) -> Schedule:
    """The schedule that the settings say."""
    recurrence = recurrence_of(row.schedule_kind, row.period_s, row.schedule, row.time_zone)
    return Schedule(recurrence, row.grace_s, row.early_s, row.max_run_s, row.min_run_s, row.failure_threshold, row.sticky_pause)


def state_of(row: HeartbeatState) -> domain.HeartbeatState:
    """The state that a row says."""
    plain = {name: getattr(row, name) for name in _PLAIN}
    return domain.HeartbeatState(
        **plain, state=MonitorState(row.state), runs=runs_of(row.runs), failures=failures_of(row.failures)
    )


def heartbeat_of(monitor: Monitor) -> domain.Heartbeat:
    """A heartbeat with its settings and its state, which were read with it."""
    settings, schedule = monitor.heartbeat, schedule_of(monitor.heartbeat)
    reference = MonitorRef(monitor.id, monitor.uid, monitor.workspace_id, "heartbeat", monitor.name, schedule.words)
    return domain.Heartbeat(reference, schedule, settings.config_version, monitor.paused_at, state_of(monitor.heartbeat_state))


def keep(row: HeartbeatState, state: domain.HeartbeatState) -> None:
    """Store what people change of a state. Runs and failures can only be forgotten by them."""
    assert state.runs.open == {} or state.runs == runs_of(row.runs), "people start no runs"
    row.state, row.changed_at = state.state, state.changed_at
    row.anchor_at, row.due_at, row.deadline_at = state.anchor_at, state.due_at, state.deadline_at
    row.runs = row.runs if state.runs.open else None
    row.failures = row.failures if state.failures else None
    row.save(update_fields=["state", "changed_at", "anchor_at", "due_at", "deadline_at", "runs", "failures"])
