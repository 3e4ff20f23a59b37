"""Incidents and alerts in SQL. Every function works inside the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from core.adapters.database import Connection


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident, as stored."""

    id: UUID
    monitor_id: int
    workspace_id: UUID
    reason: int
    detail: str
    began_at: datetime
    opened_at: datetime
    resolved_at: datetime | None
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert to insert. `facts` is the JSON text of the AlertFacts that its messages are made of."""

    id: UUID
    workspace_id: UUID
    monitor_id: int | None
    incident_id: UUID | None
    alert_type: str
    order_key: UUID
    sequence: int
    facts: str
    only_channel_id: UUID | None = None


def open_incidents(connection: Connection, incidents: Sequence[IncidentRow]) -> list[IncidentRow]:
    """Insert incidents; where the monitor has an open one already, nothing happens. Returns those that were inserted, as stored.

    Those of a monitor follow each other by `opened_at`, also where the clock of whoever opened the one before was ahead.
    """
    rows = connection.execute(
        """
        INSERT INTO incident (id, monitor_id, workspace_id, reason, detail, began_at, opened_at)
        SELECT n.id, n.monitor_id, n.workspace_id, n.reason, n.detail, n.began_at, greatest(
            n.opened_at, (SELECT max(i.opened_at) + interval '1 microsecond' FROM incident i WHERE i.monitor_id = n.monitor_id)
        )
        FROM unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::smallint[], %s::text[], %s::timestamptz[], %s::timestamptz[])
            AS n (id, monitor_id, workspace_id, reason, detail, began_at, opened_at)
        ON CONFLICT (monitor_id) WHERE resolved_at IS NULL DO NOTHING
        RETURNING id, opened_at
        """,
        (
            [i.id for i in incidents],
            [i.monitor_id for i in incidents],
            [i.workspace_id for i in incidents],
            [i.reason for i in incidents],
            [i.detail for i in incidents],
            [i.began_at for i in incidents],
            [i.opened_at for i in incidents],
        ),
    ).fetchall()
    opened_at: dict[UUID, datetime] = dict(rows)
    return [replace(row, opened_at=opened_at[row.id]) for row in incidents if row.id in opened_at]


def resolve_incidents(connection: Connection, resolved: Sequence[tuple[int, datetime]]) -> dict[int, IncidentRow]:
    """Close the open incidents of these monitors at these times; returns the closed ones by monitor id."""
    rows = connection.execute(
        """
        UPDATE incident i SET resolved_at = greatest(r.at, i.began_at)
        FROM unnest(%s::bigint[], %s::timestamptz[]) AS r (monitor_id, at)
        WHERE i.monitor_id = r.monitor_id AND i.resolved_at IS NULL
        RETURNING i.id, i.monitor_id, i.workspace_id, i.reason, i.detail, i.began_at, i.opened_at, i.resolved_at,
            i.acknowledged_at, i.acknowledged_by
        """,
        ([monitor_id for monitor_id, _ in resolved], [at for _, at in resolved]),
    ).fetchall()
    return {row[1]: IncidentRow(*row) for row in rows}


def insert_alerts(connection: Connection, alerts: Sequence[AlertRow], now: datetime) -> None:
    """Insert alerts that wait to be routed."""
    connection.execute(
        """
        INSERT INTO alert (id, workspace_id, monitor_id, incident_id, alert_type, order_key, sequence, facts, only_channel_id, created_at)
        SELECT id, workspace_id, monitor_id, incident_id, alert_type, order_key, sequence, facts::jsonb, only_channel_id, %s
        FROM unnest(%s::uuid[], %s::uuid[], %s::bigint[], %s::uuid[], %s::text[], %s::uuid[], %s::int[], %s::text[], %s::uuid[])
          AS a (id, workspace_id, monitor_id, incident_id, alert_type, order_key, sequence, facts, only_channel_id)
        """,
        (
            now,
            [a.id for a in alerts],
            [a.workspace_id for a in alerts],
            [a.monitor_id for a in alerts],
            [a.incident_id for a in alerts],
            [a.alert_type for a in alerts],
            [a.order_key for a in alerts],
            [a.sequence for a in alerts],
            [a.facts for a in alerts],
            [a.only_channel_id for a in alerts],
        ),
    )
