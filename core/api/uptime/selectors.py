"""Reads about uptime."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.shortcuts import get_object_or_404

from core.api.accounts.models import Workspace
from core.api.incidents.models import Incident
from core.api.monitors.models import Monitor, MonitorKind
from core.domain.uptime import Span, Tally, counted_range
from core.flows.uptime import measure_uptime

INCIDENTS_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Uptime:
    """The uptime of a monitor over a range, with the incidents that make the time down: the latest, and how many there are."""

    monitor: Monitor
    span: Span
    tally: Tally
    incidents: list[Incident]
    incident_count: int


def monitor_uptime(
    *, workspace: Workspace, kind: MonitorKind, monitor_id: UUID, start: datetime, end: datetime, now: datetime
) -> Uptime:
    """The uptime of one monitor, over the range that is counted for `start` to `end` (`core.domain.uptime.counted_range`).

    Raises:
        Http404: the workspace has no such monitor.
    """
    monitor = get_object_or_404(Monitor, workspace=workspace, kind=kind, uid=monitor_id)
    span = counted_range(start, end, now)
    connection.ensure_connection()
    tally = measure_uptime(connection.connection, monitor.id, monitor.created_at, span)
    touching = Q(resolved_at__isnull=True) | Q(resolved_at__gt=span.start)
    incidents = Incident.objects.select_related("monitor").filter(touching, monitor=monitor, began_at__lt=span.end)
    latest = list(incidents.order_by("-began_at")[:INCIDENTS_SHOWN])
    count = len(latest) if len(latest) < INCIDENTS_SHOWN else incidents.count()
    return Uptime(monitor, span, tally, latest, count)
