"""What websites and heartbeats have in common when they are written.

Lock order everywhere: hot state, then monitor, then what hangs on it. The flush and the inbox begin with the state as well.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from core.api.incidents.models import Alert, Incident
from core.api.monitors.models import HeartbeatState, Monitor, MonitorKind, WebsiteState

COMMON_FIELDS = frozenset({"name", "tags"})


def monitor_save(*, monitor: Monitor, changes: Mapping[str, Any]) -> None:
    """Store these columns of a monitor and stamp `updated_at`; columns that others may be writing meanwhile are left alone."""
    for name, value in changes.items():
        setattr(monitor, name, value)
    monitor.save(update_fields=[*changes, "updated_at"])


def common_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the changes that every kind of monitor has."""
    return {name: value for name, value in changes.items() if name in COMMON_FIELDS}


def monitor_delete(*, monitor: Monitor) -> None:
    """Delete a monitor with its incidents, alerts and deliveries, in one transaction.

    Locking the rows that others refer to makes the deletion sure: whoever inserts a row below them waits, then finds them gone.
    """
    state = WebsiteState if monitor.kind == MonitorKind.WEBSITE else HeartbeatState
    with transaction.atomic():
        list(state.objects.select_for_update().filter(monitor=monitor))
        list(Monitor.objects.select_for_update().filter(pk=monitor.pk))
        list(Incident.objects.select_for_update().filter(monitor=monitor).order_by("id").values_list("id"))
        list(Alert.objects.select_for_update().filter(monitor=monitor).order_by("id").values_list("id"))
        monitor.delete()
