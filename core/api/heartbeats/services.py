"""Writes about heartbeats; each is one transaction.

A heartbeat that the API has shown exists at the edge: it is provisioned there before the transaction commits. Deadlines are moved under
the lock of the hot state; the detector compares and sets them, so an edit and a missed ping cannot both win.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from core.adapters.ping_names import Named, PingKey
from core.api import edge
from core.api.accounts.models import Workspace, new_id
from core.api.heartbeats import rows, schedules
from core.api.heartbeats.naming import SLUG, filters_text, free_slugs, slug_errors, take_slug
from core.api.incidents.services import alerts_reconsider
from core.api.monitors.models import EdgeOrphan, Heartbeat, HeartbeatState, Monitor, MonitorKind
from core.api.monitors.services import common_update, common_values, monitor_delete, monitor_save
from core.domain import heartbeat_changes as rules
from core.domain.heartbeat_watch import EdgeOptions

EDGE_FIELDS: Final = frozenset({"post_only", "filters"})
"""Settings that say nothing about when a ping is expected."""


def heartbeat_create(*, workspace: Workspace, values: Mapping[str, Any], now: datetime) -> Monitor:
    """A heartbeat that waits for its first ping; until then nothing is expected of it. Without a slug it gets one made of its name.

    Raises:
        FieldError: the settings do not fit together, there is no such parent, or another heartbeat has the slug.
        Problem: the edge cannot be reached; nothing was created.
    """
    asked = dict(values)
    wanted = asked.pop(SLUG, None)
    settings = schedules.new_columns(asked, now)
    uid = new_id()
    EdgeOrphan.objects.create(heartbeat_id=uid, seen_at=now)  # committed first: whoever dies below leaves a note
    with transaction.atomic(), edge.required():
        EdgeOrphan.objects.filter(heartbeat_id=uid).delete()
        common = common_values(workspace.id, asked)
        monitor = Monitor(uid=uid, workspace=workspace, kind=MonitorKind.HEARTBEAT, created_at=now, **common)
        slugs = [wanted] if wanted else free_slugs(workspace_id=workspace.id, name=asked["name"])
        options = EdgeOptions(slugs[0], settings.get("post_only", False), filters_text(settings.get("filters")))
        edge.heartbeat_table().provision(monitor.uid, workspace.id, options)
        monitor.slug = take_slug(workspace_id=workspace.id, uid=monitor.uid, slugs=slugs, options=options)
        edge.ping_names().show(PingKey(workspace.ping_key, workspace.id))
        with slug_errors():
            monitor.save(force_insert=True)
        Heartbeat.objects.create(monitor=monitor, **settings)
        HeartbeatState.objects.create(monitor=monitor)
    return monitor


def heartbeat_update(*, monitor: Monitor, changes: Mapping[str, Any], now: datetime) -> None:
    """Change settings. A new schedule counts from the last ping, but gives the job at least its grace from now to meet it.

    Raises:
        FieldError: the settings do not fit together, there is no such parent, or another heartbeat has the slug.
        Problem: the edge cannot be reached; nothing was changed.
    """
    asked, before_slug = dict(changes), monitor.slug
    slug = asked.pop(SLUG, None) or before_slug
    with transaction.atomic():
        row = HeartbeatState.objects.select_for_update().get(monitor=monitor)
        monitor.refresh_from_db(fields=["paused_at"])
        heartbeat = Heartbeat.objects.select_for_update().get(monitor=monitor)
        columns = schedules.changed_columns(heartbeat, asked, now)
        changed = {name: value for name, value in columns.items() if getattr(heartbeat, name) != value}
        if changed:
            before = rows.schedule_of(heartbeat)
            for name, value in changed.items():
                setattr(heartbeat, name, value)
            heartbeat.config_version += 1
            heartbeat.save()
            if monitor.paused_at is None and changed.keys() - EDGE_FIELDS:
                rows.keep(row, rules.rescheduled(rows.state_of(row), before, rows.schedule_of(heartbeat), now))
        if slug != before_slug:
            with slug_errors():
                monitor_save(monitor=monitor, changes={SLUG: slug})
        common_update(monitor=monitor, changes=asked, now=now)
        if slug != before_slug or changed.keys() & EDGE_FIELDS:
            options = EdgeOptions(slug or "", heartbeat.post_only, filters_text(heartbeat.filters))
            with edge.required():
                if slug and slug != before_slug:
                    take_slug(workspace_id=monitor.workspace_id, uid=monitor.uid, slugs=[slug], options=options)
                edge.heartbeat_table().set_options(monitor.uid, options)
    if before_slug and slug != before_slug:
        with edge.best_effort("heartbeat.slug_left_at_edge", heartbeat_id=str(monitor.uid)):
            edge.ping_names().release(Named(monitor.workspace_id, before_slug, monitor.uid))


def heartbeat_pause(*, monitor: Monitor, now: datetime) -> None:
    """Expect nothing until it is resumed, by hand or, unless its pause is sticky, by a ping. Pausing twice changes nothing."""
    with transaction.atomic():
        row = HeartbeatState.objects.select_for_update().get(monitor=monitor)
        monitor.refresh_from_db(fields=["paused_at"])
        if monitor.paused_at is None:
            rows.keep(row, rules.paused(rows.state_of(row)))
            monitor_save(monitor=monitor, changes={"paused_at": now})
            alerts_reconsider(workspace_id=monitor.workspace_id, now=now)


def heartbeat_resume(*, monitor: Monitor, now: datetime) -> None:
    """Expect pings again. One that was up starts anew, as if it had pinged now; resuming what is not paused changes nothing."""
    with transaction.atomic():
        row = HeartbeatState.objects.select_for_update().get(monitor=monitor)
        monitor.refresh_from_db(fields=["paused_at"])
        if monitor.paused_at is not None:
            schedule = rows.schedule_of(Heartbeat.objects.get(monitor=monitor))
            rows.keep(row, rules.resumed(rows.state_of(row), schedule, now))
            monitor_save(monitor=monitor, changes={"paused_at": None})
            alerts_reconsider(workspace_id=monitor.workspace_id, now=now)


def heartbeat_delete(*, monitor: Monitor, now: datetime) -> None:
    """Delete a heartbeat here, then at the edge. What is left there when the edge does not answer, `reconcile_edge` removes."""
    uid = monitor.uid
    monitor_delete(monitor=monitor, now=now)
    with edge.best_effort("heartbeat.left_at_edge", heartbeat_id=str(uid)):
        edge.heartbeat_table().remove(uid)
