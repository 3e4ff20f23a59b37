"""Maintenance windows in SQL: those that apply to a monitor, or to anybody, in a span of time. Written by the API."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.sql import SQL, Identifier

from core.adapters.database import Connection
from core.domain.maintenance import Cron, Weekly, Window
from core.domain.uptime import Span

COLUMNS: Final = ("starts_at", "ends_at", "kind", "weekdays", "start_time", "cron", "duration_s", "time_zone")
"""What says when a window is."""

_SELECTED: Final = SQL(", ").join([SQL("w.id"), *(Identifier("w", column) for column in COLUMNS)])

IN_SCOPE: Final = SQL("(w.all_monitors OR m.uid = ANY(w.monitors) OR m.tags && w.tags)")
"""Whether a window `w` is about a monitor `m` of its workspace."""

_WITHIN: Final = SQL("w.starts_at < %(end)s::timestamptz AND (w.ends_at IS NULL OR w.ends_at > %(start)s::timestamptz)")

OF_MONITOR: Final = SQL("""
    SELECT {columns} FROM monitor m JOIN maintenance_window w ON w.workspace_id = m.workspace_id
    WHERE m.id = %(monitor_id)s AND {in_scope} AND {within}
""").format(columns=_SELECTED, in_scope=IN_SCOPE, within=_WITHIN)

OF_ALL: Final = SQL("SELECT {columns} FROM maintenance_window w WHERE {within}").format(columns=_SELECTED, within=_WITHIN)


def of_monitor(connection: Connection, monitor_id: int, span: Span) -> list[tuple[UUID, Window]]:
    """The windows of one monitor that may hold within `span`, by their ids."""
    rows = connection.execute(OF_MONITOR, {"monitor_id": monitor_id, "start": span.start, "end": span.end}).fetchall()
    return [(row[0], read_window(row[1:])) for row in rows]


def of_all(connection: Connection, span: Span) -> list[tuple[UUID, Window]]:
    """The windows of all workspaces that may hold within `span`, by their ids."""
    rows = connection.execute(OF_ALL, {"start": span.start, "end": span.end}).fetchall()
    return [(row[0], read_window(row[1:])) for row in rows]


def read_window(row: Sequence[Any]) -> Window:
    """A window from its stored columns, which the API has checked: `COLUMNS`, in that order."""
    starts_at, ends_at, kind, weekdays, start_time, cron, duration_s, time_zone = row
    if kind == "once":
        return Window(starts_at, ends_at)
    duration, zone = timedelta(seconds=duration_s), ZoneInfo(time_zone)
    if kind == "weekly":
        return Window(starts_at, ends_at, Weekly(frozenset(weekdays), start_time, duration, zone))
    return Window(starts_at, ends_at, Cron(cron, duration, zone))
