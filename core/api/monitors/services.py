"""What websites and heartbeats have in common when they are written.

Lock order everywhere: hot state, then monitor, then what hangs on it. The flush and the inbox begin with the state as well.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Func, Value

from core.api.accounts.models import Workspace
from core.api.incidents.models import Alert, Incident
from core.api.incidents.services import alerts_reconsider
from core.api.maintenance.models import MaintenanceWindow
from core.api.monitors.models import HeartbeatState, Monitor, MonitorKind, MonitorSeverity, WebsiteState
from core.api.problems import FieldError

DEPENDS_ON: Final = "depends_on"
COMMON_FIELDS = frozenset({"name", "tags", "severity", DEPENDS_ON})
MOST_ANCESTORS: Final = 10


def monitor_save(*, monitor: Monitor, changes: Mapping[str, Any]) -> None:
    """Store these columns of a monitor and stamp `updated_at`; columns that others may be writing meanwhile are left alone."""
    for name, value in changes.items():
        setattr(monitor, name, value)
    monitor.save(update_fields=[*changes, "updated_at"])


def common_values(workspace_id: UUID, values: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that every kind of monitor has, of a new one.

    Raises:
        FieldError: there is no such parent.
    """
    parent = values.get(DEPENDS_ON)
    if parent is not None:
        check_parent(workspace_id=workspace_id, child=None, parent=parent)
    severity = values.get("severity", MonitorSeverity.CRITICAL)
    return {"name": values["name"], "tags": values["tags"], "severity": severity, "depends_on_id": parent}


def common_update(*, monitor: Monitor, changes: Mapping[str, Any], now: datetime) -> None:
    """Store those of the changes that every kind of monitor has; inside the caller's transaction.

    Raises:
        FieldError: it cannot depend on that.
    """
    common = {name: value for name, value in changes.items() if name in COMMON_FIELDS}
    if DEPENDS_ON in common:
        parent = common.pop(DEPENDS_ON)
        if parent is not None:
            check_parent(workspace_id=monitor.workspace_id, child=monitor.uid, parent=parent)
        common["depends_on_id"] = parent
    monitor_save(monitor=monitor, changes=common)
    if common.keys() & {"depends_on_id", "tags", "severity"}:
        alerts_reconsider(workspace_id=monitor.workspace_id, now=now)


def check_parent(*, workspace_id: UUID, child: UUID | None, parent: UUID) -> None:
    """Whether a monitor may depend on another; inside the caller's transaction, until whose end nobody else of the workspace may ask.

    Raises:
        FieldError: there is no such monitor, or it depends on the child itself, or on too many others.
    """
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
    list(Monitor.objects.select_for_update(no_key=True).filter(uid=parent).values_list("id"))  # whoever deletes it waits
    ancestor = parent
    for _ in range(MOST_ANCESTORS):
        if ancestor == child:
            raise FieldError(DEPENDS_ON, "cycle", "depends on this monitor itself")
        found = Monitor.objects.only("depends_on_id").filter(workspace_id=workspace_id, uid=ancestor).first()
        if found is None:
            raise FieldError(DEPENDS_ON, "not_found", "is no monitor of this workspace")
        if found.depends_on_id is None:
            return
        ancestor = found.depends_on_id
    raise FieldError(DEPENDS_ON, "too_deep", f"depends on {MOST_ANCESTORS} others already, one after the other")


def monitor_delete(*, monitor: Monitor, now: datetime) -> None:
    """Delete a monitor with its incidents, alerts and deliveries, in one transaction. Nothing depends on it any more.

    Locking the rows that others refer to makes the deletion sure: whoever inserts a row below them waits, then finds them gone.
    """
    state = WebsiteState if monitor.kind == MonitorKind.WEBSITE else HeartbeatState
    with transaction.atomic():
        list(state.objects.select_for_update().filter(monitor=monitor))
        list(Monitor.objects.select_for_update().filter(pk=monitor.pk))
        list(Incident.objects.select_for_update().filter(monitor=monitor).order_by("id").values_list("id"))
        list(Alert.objects.select_for_update().filter(monitor=monitor).order_by("id").values_list("id"))
        uid, workspace_id = monitor.uid, monitor.workspace_id
        monitor.delete()
        named = MaintenanceWindow.objects.filter(workspace_id=workspace_id, monitors__contains=[uid])
        named.update(monitors=Func(F("monitors"), Value(uid), function="array_remove"))
        alerts_reconsider(workspace_id=workspace_id, now=now)
