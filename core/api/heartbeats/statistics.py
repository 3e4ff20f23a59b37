"""Reads about how the runs of a heartbeat went."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection
from django.shortcuts import get_object_or_404

from core.api.accounts.models import Workspace
from core.api.monitors.models import Monitor, MonitorKind
from core.domain.run_statistics import RunStatistics
from core.domain.uptime import Span, counted_range
from core.flows.heartbeat_statistics import measure

WINDOWS: Final[Mapping[str, timedelta]] = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class WindowStatistics:
    """One window, by its name and as it is counted."""

    window: str
    span: Span
    statistics: RunStatistics


@dataclass(frozen=True, slots=True)
class HeartbeatStatistics:
    """A heartbeat over each of `WINDOWS`."""

    monitor: Monitor
    windows: list[WindowStatistics]


def heartbeat_statistics(*, workspace: Workspace, heartbeat_id: UUID, now: datetime) -> HeartbeatStatistics:
    """How the runs of a heartbeat went, over windows that end now; the longer ones begin on a whole hour.

    Raises:
        Http404: the workspace has no such heartbeat.
    """
    monitor = get_object_or_404(Monitor, workspace=workspace, kind=MonitorKind.HEARTBEAT, uid=heartbeat_id)
    connection.ensure_connection()
    spans = {window: counted_range(now - length, now, now) for window, length in WINDOWS.items()}
    measured = measure(connection.connection, monitor.id, monitor.created_at, list(spans.values()))
    windows = zip(spans.items(), measured, strict=True)
    return HeartbeatStatistics(monitor, [WindowStatistics(window, span, found) for (window, span), found in windows])
