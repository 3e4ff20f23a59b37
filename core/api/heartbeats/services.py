"""Writes about heartbeats; each is one transaction.

A heartbeat that the API has shown exists at the edge: it is provisioned there before the transaction commits. Deadlines are moved under
the lock of the hot state; the detector compares and sets them, so an edit and a missed ping cannot both win.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from core.api import edge
from core.api.accounts.models import Workspace
from core.api.incidents.services import alerts_reconsider
from core.api.monitors.models import Heartbeat, HeartbeatState, Monitor, MonitorKind
from core.api.monitors.services import COMMON_FIELDS, common_update, common_values, monitor_delete, monitor_save
from core.domain import heartbeat as rules
from core.domain.outcomes import MonitorState


def heartbeat_create(*, workspace: Workspace, values: Mapping[str, Any], now: datetime) -> Monitor:
    """A heartbeat that waits for its first ping; until then nothing is expected of it.

    Raises:
        FieldError: there is no such parent.
        Problem: the edge cannot be reached; nothing was created.
    """
    settings = {name: value for name, value in values.items() if name not in COMMON_FIELDS}
    with transaction.atomic():
        monitor = Monitor.objects.create(
            workspace=workspace, kind=MonitorKind.HEARTBEAT, created_at=now, **common_values(workspace.id, values)
        )
        Heartbeat.objects.create(monitor=monitor, **settings)
        HeartbeatState.objects.create(monitor=monitor)
        with edge.required():
            edge.heartbeat_table().provision(monitor.uid, workspace.id)
    return monitor


def heartbeat_update(*, monitor: Monitor, changes: Mapping[str, Any], now: datetime) -> None:
    """Change settings. A new schedule counts from the last ping, but gives the job at least its grace from now to meet it."""
    with transaction.atomic():
        state = HeartbeatState.objects.select_for_update().get(monitor=monitor)
        heartbeat = Heartbeat.objects.select_for_update().get(monitor=monitor)
        changed = {name for name, value in changes.items() if name not in COMMON_FIELDS and getattr(heartbeat, name) != value}
        if changed:
            before = _schedule(heartbeat)
            for name in changed:
                setattr(heartbeat, name, changes[name])
            heartbeat.config_version += 1
            heartbeat.save()
            if state.deadline_at is not None:
                state.deadline_at = _moved_deadline(state, state.deadline_at, before, _schedule(heartbeat), now)
                state.save(update_fields=["deadline_at"])
        common_update(monitor=monitor, changes=changes, now=now)


def heartbeat_pause(*, monitor: Monitor, now: datetime) -> None:
    """Expect nothing until it is resumed, by hand or by a ping. Pausing twice changes nothing."""
    with transaction.atomic():
        state = HeartbeatState.objects.select_for_update().get(monitor=monitor)
        monitor.refresh_from_db(fields=["paused_at"])
        if monitor.paused_at is None:
            state.deadline_at = None
            state.save(update_fields=["deadline_at"])
            monitor_save(monitor=monitor, changes={"paused_at": now})
            alerts_reconsider(workspace_id=monitor.workspace_id, now=now)


def heartbeat_resume(*, monitor: Monitor, now: datetime) -> None:
    """Expect pings again. One that was up starts anew, with a whole period for its next ping; resuming what runs changes nothing."""
    with transaction.atomic():
        state = HeartbeatState.objects.select_for_update().get(monitor=monitor)
        monitor.refresh_from_db(fields=["paused_at"])
        if monitor.paused_at is not None:
            schedule = _schedule(Heartbeat.objects.get(monitor=monitor))
            was_up = state.state == MonitorState.UP
            state.deadline_at = now + schedule.period + schedule.grace if was_up else None
            if was_up:
                state.state = MonitorState.NEW
                state.changed_at = now
            state.save(update_fields=["state", "changed_at", "deadline_at"])
            monitor_save(monitor=monitor, changes={"paused_at": None})
            alerts_reconsider(workspace_id=monitor.workspace_id, now=now)


def heartbeat_delete(*, monitor: Monitor, now: datetime) -> None:
    """Delete a heartbeat here, then at the edge. What is left there when the edge does not answer, `edge sync` removes."""
    uid = monitor.uid
    monitor_delete(monitor=monitor, now=now)
    with edge.best_effort("heartbeat.left_at_edge", heartbeat_id=str(uid)):
        edge.heartbeat_table().remove(uid)


def _schedule(heartbeat: Heartbeat) -> rules.Schedule:
    return rules.Schedule(heartbeat.period_s, heartbeat.grace_s)


def _moved_deadline(
    state: HeartbeatState, deadline_at: datetime, before: rules.Schedule, after: rules.Schedule, now: datetime
) -> datetime:
    """The deadline under a new schedule. One that does not come from a ping (a resumed heartbeat's) moves by the difference."""
    remembered = rules.HeartbeatState(
        state=MonitorState(state.state),
        verdict_sequence=state.verdict_sequence,
        start_sequence=state.start_sequence,
        last_success_at=state.last_success_at,
        last_start_at=state.last_start_at,
    )
    moved = deadline_at + (after.period + after.grace) - (before.period + before.grace)
    return max(rules.deadline(remembered, after) or moved, now + after.grace)
