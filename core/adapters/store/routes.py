"""Routes of alerts in SQL: what they are, what they ask about monitors, and who was told. Written by the API."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from core.adapters.database import Connection
from core.domain.alert_routes import Chosen, Match, QuietHours, Route, Severity, Step

ENABLED: Final = """
    SELECT r.workspace_id, r.name, r.monitors, r.tags, r.kinds, r.topics, r.severities, r.steps::text, r.repeat_s, r.quiet_hours::text
    FROM alert_route r WHERE r.workspace_id = ANY(%s) AND r.enabled
    ORDER BY r.workspace_id, r.position, r.id
"""

ASKED: Final = "SELECT m.uid, m.kind, m.tags, m.severity FROM monitor m WHERE m.uid = ANY(%s)"

TOLD: Final = """
    SELECT DISTINCT m.uid, d.channel_id, a.order_key
    FROM monitor m
    LEFT JOIN LATERAL (
        SELECT r.routed_at FROM alert r
        WHERE r.monitor_id = m.id AND r.routed_at IS NOT NULL AND NOT r.dropped AND r.alert_type = 'recovered'
          AND r.id <> ALL(%(besides)s::uuid[])
        ORDER BY r.routed_at DESC LIMIT 1
    ) AS up ON true
    JOIN alert a ON a.monitor_id = m.id AND a.routed_at > coalesce(up.routed_at, '-infinity')
      AND NOT a.dropped AND a.alert_type IN ('down', 'flapping', 'reminder', 'escalated')
    JOIN delivery d ON d.alert_id = a.id
    WHERE m.uid = ANY(%(monitors)s::uuid[])
"""

TOLD_OF_OPEN_OUTAGES: Final = """
    SELECT DISTINCT i.id, d.channel_id
    FROM incident i
    JOIN alert a ON a.incident_id = i.id AND a.alert_type IN ('down', 'reminder', 'escalated')
    JOIN delivery d ON d.alert_id = a.id
    WHERE i.id = ANY(%s) AND NOT EXISTS (
        SELECT FROM alert r WHERE r.incident_id = i.id AND r.alert_type = 'recovered' AND r.routed_at IS NOT NULL
    )
"""

TOLD_OF_GAPS: Final = """
    SELECT DISTINCT a.order_key, d.channel_id
    FROM alert a JOIN delivery d ON d.alert_id = a.id
    WHERE a.order_key = ANY(%(order_keys)s::uuid[]) AND a.alert_type = 'not_monitored'
    UNION
    SELECT a.id, d.channel_id
    FROM alert a JOIN delivery d ON d.alert_id = a.id
    WHERE a.id = ANY(%(order_keys)s::uuid[]) AND a.alert_type = 'degraded'
"""

DROP_UNTOLD_GAP: Final = """
    UPDATE alert SET routed_at = %(now)s, dropped = true
    WHERE order_key = %(order_key)s AND alert_type = 'not_monitored' AND routed_at IS NULL AND held_reason = 'quiet_hours'
    RETURNING id
"""

NOTE: Final = """
    UPDATE alert a SET chosen_by = n.chosen_by, route_name = n.route_name
    FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS n (id, chosen_by, route_name)
    WHERE a.id = n.id
"""


class StoredStep(msgspec.Struct, frozen=True):
    """A step in the column `steps`."""

    after_s: int
    channels: tuple[UUID, ...]


class StoredQuietHours(msgspec.Struct, frozen=True):
    """The column `quiet_hours`; times are `HH:MM`."""

    weekdays: tuple[int, ...]
    begins: str
    ends: str
    time_zone: str
    critical_too: bool


class Told(NamedTuple):
    """A channel was told something about a monitor (its public id), with this order key."""

    monitor: UUID
    channel: UUID
    order_key: UUID


@dataclass(frozen=True, slots=True)
class Asked:
    """What routes ask about a monitor."""

    kind: str
    tags: list[str]
    severity: Severity


def enabled(connection: Connection, workspace_ids: Collection[UUID]) -> dict[UUID, list[Route]]:
    """The routes of these workspaces that are switched on, in their order; a workspace without any is absent."""
    found: dict[UUID, list[Route]] = {}
    for workspace_id, *row in connection.execute(ENABLED, (list(workspace_ids),)).fetchall():
        found.setdefault(workspace_id, []).append(read_route(row))
    return found


def asked(connection: Connection, monitors: Collection[UUID]) -> dict[UUID, Asked]:
    """What routes ask about monitors, by their public ids."""
    rows = connection.execute(ASKED, (list(monitors),)).fetchall()
    return {uid: Asked(kind, tags, Severity(severity)) for uid, kind, tags, severity in rows}


def told(connection: Connection, monitors: Collection[UUID], besides: Collection[UUID]) -> list[Told]:
    """The channels that were told, after the last recovery that was sent, that these monitors are down or flapping.

    `besides` are the alerts that are being routed, whose own time does not count.
    """
    return [Told(*row) for row in connection.execute(TOLD, {"monitors": list(monitors), "besides": list(besides)}).fetchall()]


def told_of_open_outages(connection: Connection, incident_ids: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """The channels that were told of these outages, by the outage; nobody once it was decided who hears of its end."""
    return _by_first(connection.execute(TOLD_OF_OPEN_OUTAGES, (list(incident_ids),)).fetchall())


def told_of_gaps(connection: Connection, order_keys: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """The channels that were told that something is not monitored, or is slow, by the order key of that."""
    return _by_first(connection.execute(TOLD_OF_GAPS, {"order_keys": list(order_keys)}).fetchall())


def drop_untold_gap(connection: Connection, order_key: UUID, now: datetime) -> bool:
    """Drop a notice that something is not monitored which quiet hours still hold; whether there was one."""
    return connection.execute(DROP_UNTOLD_GAP, {"order_key": order_key, "now": now}).fetchone() is not None


def note(connection: Connection, chosen: Sequence[tuple[UUID, Chosen, str]]) -> None:
    """Write down by what the channels of alerts were chosen, and the name of the route."""
    if chosen:
        ids, by, names = zip(*chosen, strict=True)
        connection.execute(NOTE, (list(ids), list(by), list(names)))


def read_route(row: Sequence[Any]) -> Route:
    """A route from its stored columns, which the API has checked."""
    name, monitors, tags, kinds, topics, severities, steps, repeat_s, quiet = row
    return Route(
        name,
        Match(frozenset(monitors), frozenset(tags), frozenset(kinds), frozenset(topics), frozenset(severities)),
        tuple(Step(timedelta(seconds=step.after_s), step.channels) for step in msgspec.json.decode(steps, type=list[StoredStep])),
        timedelta(seconds=repeat_s) if repeat_s else None,
        _quiet_hours(msgspec.json.decode(quiet, type=StoredQuietHours)) if quiet else None,
    )


def _quiet_hours(stored: StoredQuietHours) -> QuietHours:
    begins, ends = time.fromisoformat(stored.begins), time.fromisoformat(stored.ends)
    return QuietHours(frozenset(stored.weekdays), begins, ends, ZoneInfo(stored.time_zone), stored.critical_too)


def _by_first(rows: Sequence[tuple[UUID, UUID]]) -> dict[UUID, set[UUID]]:
    found: dict[UUID, set[UUID]] = {}
    for first, second in rows:
        found.setdefault(first, set()).add(second)
    return found
