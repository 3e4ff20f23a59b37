"""Heartbeats for tests: rows as the API writes them, and the pings that the edge sends."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

import psycopg

from core.contracts.events import Detail, HeartbeatPinged, Metadata
from tests.websites import make_workspace

PERIOD_S, GRACE_S = 3600, 300


def make_heartbeat(
    connection: psycopg.Connection,
    now: datetime,
    name: str = "backup",
    *,
    period_s: int = PERIOD_S,
    grace_s: int = GRACE_S,
    uid: UUID | None = None,
) -> UUID:
    """A new heartbeat in a workspace of its own, every 1 h, grace 5 min unless told otherwise; returns its public id."""
    uid = uid or uuid4()
    row = connection.execute(
        """
        INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at) VALUES (%s, %s, 'heartbeat', %s, '{}', %s)
        RETURNING id
        """,
        (uid, make_workspace(connection, now), name, now),
    ).fetchone()
    assert row
    connection.execute(
        "INSERT INTO heartbeat (monitor_id, period_s, grace_s, config_version) VALUES (%s, %s, %s, 1)",
        (row[0], period_s, grace_s),
    )
    connection.execute("INSERT INTO heartbeat_state (monitor_id) VALUES (%s)", (row[0],))
    return uid


def pinged(
    uid: UUID,
    sequence: int,
    at: datetime,
    kind: Literal["success", "fail", "start", "log"] = "success",
    exit_status: int | None = None,
    *,
    rid: UUID | None = None,
) -> Detail[HeartbeatPinged]:
    """A HeartbeatPinged event."""
    ping_id = uuid4()
    return Detail(
        metadata=Metadata(event_id=uuid4(), occurred_at=at, workspace_id=uuid4(), correlation_id=ping_id),
        data=HeartbeatPinged(
            ping_id=ping_id,
            heartbeat_id=uid,
            sequence=sequence,
            kind=kind,
            exit_status=exit_status,
            pinged_at=at,
            method="GET",
            source_ip="203.0.113.9",
            user_agent="curl/8",
            rid=rid,
        ),
    )


def minutes(count: float) -> timedelta:
    """Shorter to read in sums of times."""
    return timedelta(minutes=count)
