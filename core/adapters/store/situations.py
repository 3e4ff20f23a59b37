"""What decides about the alerts of a monitor: what people heard, how often it changed, what it depends on. In SQL, as the other stores."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.adapters.database import Connection
from core.domain.alert_policy import Heard, Outage, Parent

SITUATION: Final = """
    SELECT m.kind, m.paused_at IS NOT NULL, m.muted_until, heard.alert_type, heard.routed_at,
           ARRAY(SELECT a.created_at FROM alert a
                 WHERE a.monitor_id = m.id AND a.created_at > asked.since AND (a.routed_at IS NULL OR a.routed_at > asked.since)
                   AND a.alert_type IN ('down', 'recovered')
                   AND a.held_reason NOT IN ('maintenance', 'dependency', 'muted', 'quiet_hours', 'delayed', 'untold')),
           ARRAY(SELECT a.routed_at FROM alert a
                 WHERE a.monitor_id = m.id AND a.routed_at > asked.since AND a.alert_type = 'down' AND NOT a.dropped),
           m.depends_on_id IS NOT NULL,
           EXISTS (SELECT FROM monitor c WHERE c.depends_on_id = m.uid),
           EXISTS (SELECT FROM maintenance_window w WHERE w.workspace_id = m.workspace_id),
           m.id
    FROM unnest(%(monitor_ids)s::bigint[], %(since)s::timestamptz[]) AS asked (monitor_id, since)
    JOIN monitor m ON m.id = asked.monitor_id
    LEFT JOIN LATERAL (
        SELECT a.alert_type, a.routed_at FROM alert a
        WHERE a.monitor_id = m.id AND a.routed_at IS NOT NULL AND NOT a.dropped AND a.alert_type IN ('down', 'recovered', 'flapping')
        ORDER BY a.routed_at DESC LIMIT 1
    ) AS heard ON true
"""

PARENT: Final = """
    SELECT coalesce(w.interval_s + w.retry_interval_s * w.recovery_threshold + w.timeout_ms / 1000.0, h.period_s + h.grace_s, 0)::float8,
           p.paused_at IS NULL AND coalesce(s.unknown_since > %(unknown_since)s, true),
           coalesce(s.state <> 'down' AND s.failures > 0, false), s.last_checked_at,
           o.id, o.began_at, o.resolved_at
    FROM monitor m
    JOIN monitor p ON p.uid = m.depends_on_id
    LEFT JOIN website w ON w.monitor_id = m.id
    LEFT JOIN heartbeat h ON h.monitor_id = m.id
    LEFT JOIN website_state s ON s.monitor_id = p.id
    LEFT JOIN LATERAL (
        SELECT i.id, i.began_at, i.resolved_at FROM incident i WHERE i.monitor_id = p.id ORDER BY i.opened_at DESC LIMIT 1
    ) AS o ON true
    WHERE m.id = %(monitor_id)s
"""

CHECK_PARENT: Final = """
    UPDATE website_state s SET next_check_at = %(now)s
    FROM monitor m JOIN monitor p ON p.uid = m.depends_on_id
    WHERE m.id = %(monitor_id)s AND s.monitor_id = p.id AND s.next_check_at > %(now)s
"""

CHECK_DEPENDANTS: Final = """
    UPDATE website_state SET next_check_at = %(now)s
    WHERE monitor_id IN (
        SELECT s.monitor_id
        FROM monitor p JOIN monitor c ON c.depends_on_id = p.uid JOIN website_state s ON s.monitor_id = c.id
        WHERE p.id = %(monitor_id)s AND s.state = 'down' AND s.next_check_at > %(now)s
        ORDER BY s.monitor_id FOR UPDATE OF s SKIP LOCKED
    )
"""

DECIDE_DEPENDANTS: Final = """
    UPDATE alert SET due_at = %(now)s
    WHERE id IN (
        SELECT a.id FROM monitor p JOIN monitor c ON c.depends_on_id = p.uid JOIN alert a ON a.monitor_id = c.id
        WHERE p.id = %(monitor_id)s AND a.routed_at IS NULL AND a.due_at > %(now)s
        ORDER BY a.id FOR UPDATE OF a
    )
"""


@dataclass(frozen=True, slots=True)
class Situation:
    """A monitor as it is now. `told`: when outages were told. `has_windows` says whether its workspace has maintenance windows at all."""

    kind: str
    paused: bool
    muted_until: datetime | None
    heard: Heard
    heard_at: datetime | None
    counted: list[datetime]
    told: list[datetime]
    has_parent: bool
    has_dependants: bool
    has_windows: bool


def situations(connection: Connection, counted_since: Mapping[int, datetime]) -> dict[int, Situation]:
    """Monitors whose rows are locked, each with what happened since a time: changes that count for flapping, outages that were told."""
    rows = connection.execute(SITUATION, {"monitor_ids": list(counted_since), "since": list(counted_since.values())}).fetchall()
    seen: dict[int, Situation] = {}
    for kind, paused, muted_until, heard, *rest, monitor_id in rows:
        seen[monitor_id] = Situation(kind, paused, muted_until, Heard(heard or ""), *rest)
    return seen


def parent(connection: Connection, monitor_id: int, unknown_since: datetime) -> tuple[Parent | None, timedelta]:
    """What a monitor depends on, and how long it may need by its own settings to be seen well again after that is.

    A parent that nobody can tell about since `unknown_since` is not watched.
    """
    row = connection.execute(PARENT, {"monitor_id": monitor_id, "unknown_since": unknown_since}).fetchone()
    if row is None:
        return None, timedelta()
    recovery_s, watched, failing, checked_at, *outage = row
    return Parent(watched, failing, Outage(*outage) if outage[0] else None, checked_at), timedelta(seconds=recovery_s)


def check_parent(connection: Connection, monitor_id: int, now: datetime) -> None:
    """Have what this monitor depends on checked soon, if it is a website."""
    connection.execute(CHECK_PARENT, {"monitor_id": monitor_id, "now": now})


def check_dependants(connection: Connection, monitor_id: int, now: datetime) -> None:
    """Have the websites that depend on this monitor, and are down, checked soon; one that is being written comes by itself."""
    connection.execute(CHECK_DEPENDANTS, {"monitor_id": monitor_id, "now": now})


def decide_dependants(connection: Connection, monitor_id: int, now: datetime) -> None:
    """Have the alerts that are held for what depends on this monitor decided again at the next sweep."""
    connection.execute(DECIDE_DEPENDANTS, {"monitor_id": monitor_id, "now": now})
