"""Heartbeats, their hot state and their pings in SQL. Every function works inside the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.sql import SQL

from core.adapters.database import Connection
from core.domain.heartbeat import Heartbeat, HeartbeatState, Schedule
from core.domain.outcomes import MonitorState
from core.domain.transitions import MonitorRef

_COLUMNS: Final = SQL("""
    m.id, m.uid, m.workspace_id, m.name, h.period_s, h.grace_s, h.config_version, m.paused_at,
    s.state, s.last_sequence, s.verdict_sequence, s.start_sequence, s.last_ping_at, s.last_success_at, s.last_fail_at,
    s.last_start_at, s.deadline_at, s.pings, s.changed_at
""")

LOCK: Final = """
SELECT s.monitor_id
FROM monitor m JOIN heartbeat_state s ON s.monitor_id = m.id
WHERE m.uid = ANY(%s)
ORDER BY s.monitor_id
FOR UPDATE OF s
"""

LOCKED: Final = SQL("""
SELECT {columns}
FROM monitor m JOIN heartbeat h ON h.monitor_id = m.id JOIN heartbeat_state s ON s.monitor_id = m.id
WHERE m.id = ANY(%s)
ORDER BY m.id
""").format(columns=_COLUMNS)

DUE: Final = SQL("""
SELECT {columns}
FROM heartbeat_state s JOIN monitor m ON m.id = s.monitor_id JOIN heartbeat h ON h.monitor_id = m.id
WHERE s.deadline_at <= %s AND s.state <> 'down' AND m.paused_at IS NULL
ORDER BY s.deadline_at
LIMIT %s
""").format(columns=_COLUMNS)

DUE_ONE: Final = SQL("""
SELECT {columns}
FROM monitor m JOIN heartbeat h ON h.monitor_id = m.id JOIN heartbeat_state s ON s.monitor_id = m.id
WHERE m.uid = %s AND s.deadline_at <= %s AND s.state <> 'down' AND m.paused_at IS NULL
""").format(columns=_COLUMNS)

INSERT_PINGS: Final = """
INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, exit_status, method, source_ip, user_agent, body_size, body_truncated)
SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[], %s::bigint[], %s::text[], %s::text[],
                     %s::text[], %s::int[], %s::bool[])
ON CONFLICT (id, pinged_at) DO NOTHING
RETURNING id
"""

SAVE: Final = """
UPDATE heartbeat_state s
SET state = n.state, last_sequence = n.last_sequence, verdict_sequence = n.verdict_sequence, start_sequence = n.start_sequence,
    last_ping_at = n.last_ping_at, last_success_at = n.last_success_at, last_fail_at = n.last_fail_at,
    last_start_at = n.last_start_at, deadline_at = n.deadline_at, pings = n.pings, changed_at = n.changed_at
FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[],
            %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::bigint[], %s::timestamptz[])
  AS n (monitor_id, state, last_sequence, verdict_sequence, start_sequence, last_ping_at, last_success_at, last_fail_at,
        last_start_at, deadline_at, pings, changed_at)
WHERE s.monitor_id = n.monitor_id
"""

LOCK_UNMOVED: Final = SQL("""
SELECT {columns}
FROM heartbeat_state s
JOIN unnest(%s::bigint[], %s::timestamptz[]) AS e (monitor_id, deadline_at)
  ON e.monitor_id = s.monitor_id AND e.deadline_at = s.deadline_at
JOIN monitor m ON m.id = s.monitor_id AND m.paused_at IS NULL
JOIN heartbeat h ON h.monitor_id = s.monitor_id
ORDER BY s.monitor_id
FOR UPDATE OF s
""").format(columns=_COLUMNS)

POSTPONE: Final = """
UPDATE heartbeat_state s SET deadline_at = n.later
FROM unnest(%s::bigint[], %s::timestamptz[]) AS n (monitor_id, later)
WHERE s.monitor_id = n.monitor_id
"""

AFTER_A_JUMP_FORWARD: Final = """
UPDATE heartbeat_state s SET deadline_at = s.deadline_at + make_interval(secs => %s)
FROM (
    SELECT monitor_id FROM heartbeat_state
    WHERE deadline_at > %s AND deadline_at <= %s AND state <> 'down'
    ORDER BY monitor_id
    FOR UPDATE
) AS o
WHERE s.monitor_id = o.monitor_id
"""

AFTER_A_JUMP_BACK: Final = """
UPDATE heartbeat_state s SET deadline_at = o.latest
FROM (
    SELECT s.monitor_id, %s::timestamptz + make_interval(secs => h.period_s + 2 * h.grace_s) AS latest
    FROM heartbeat_state s JOIN heartbeat h USING (monitor_id)
    WHERE s.deadline_at > %s::timestamptz + make_interval(secs => h.period_s + 2 * h.grace_s) AND s.state <> 'down'
    ORDER BY s.monitor_id
    FOR UPDATE OF s
) AS o
WHERE s.monitor_id = o.monitor_id
"""

RESUME: Final = "UPDATE monitor SET paused_at = NULL, updated_at = %s WHERE id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class PingRow:
    """One ping to store."""

    id: UUID
    monitor_id: int
    sequence: int
    pinged_at: datetime
    kind: str
    exit_status: int | None
    method: str
    source_ip: str
    user_agent: str
    body_size: int
    body_truncated: bool


def lock(connection: Connection, uids: Sequence[UUID]) -> list[Heartbeat]:
    """The heartbeats with these ids, in the order of their monitor ids, their states locked.

    Read after the lock is held, by a statement of its own: one that waits sees the locked row as it is now, and all others as they were
    when it began, so it would judge by a schedule that was changed while it waited.
    """
    ids = [row[0] for row in connection.execute(LOCK, (list(uids),)).fetchall()]
    return [_heartbeat(row) for row in connection.execute(LOCKED, (ids,)).fetchall()]


def due(connection: Connection, before: datetime, limit: int) -> list[Heartbeat]:
    """Heartbeats whose deadline is at `before` or earlier, the longest overdue first, not locked."""
    return [_heartbeat(row) for row in connection.execute(DUE, (before, limit)).fetchall()]


def due_one(connection: Connection, uid: UUID, before: datetime) -> list[Heartbeat]:
    """The heartbeat with this id, if it is due."""
    return [_heartbeat(row) for row in connection.execute(DUE_ONE, (uid, before)).fetchall()]


def insert_pings(connection: Connection, pings: Sequence[PingRow]) -> set[UUID]:
    """Store pings; those that are there already are left alone. Returns the ids that were inserted."""
    rows = connection.execute(
        INSERT_PINGS,
        (
            [p.id for p in pings],
            [p.monitor_id for p in pings],
            [p.sequence for p in pings],
            [p.pinged_at for p in pings],
            [p.kind for p in pings],
            [p.exit_status for p in pings],
            [p.method for p in pings],
            [p.source_ip for p in pings],
            [p.user_agent for p in pings],
            [p.body_size for p in pings],
            [p.body_truncated for p in pings],
        ),
    ).fetchall()
    return {row[0] for row in rows}


def save(connection: Connection, heartbeats: Sequence[Heartbeat]) -> None:
    """Store states that the caller has locked."""
    states = [h.state for h in heartbeats]
    connection.execute(
        SAVE,
        (
            [h.monitor.id for h in heartbeats],
            [s.state for s in states],
            [s.last_sequence for s in states],
            [s.verdict_sequence for s in states],
            [s.start_sequence for s in states],
            [s.last_ping_at for s in states],
            [s.last_success_at for s in states],
            [s.last_fail_at for s in states],
            [s.last_start_at for s in states],
            [s.deadline_at for s in states],
            [s.pings for s in states],
            [s.changed_at for s in states],
        ),
    )


def lock_unmoved(connection: Connection, heartbeats: Sequence[Heartbeat]) -> list[Heartbeat]:
    """Lock those of these heartbeats whose deadline has not moved and which are not paused; as they are now, by monitor id."""
    seen = ([h.monitor.id for h in heartbeats], [h.state.deadline_at for h in heartbeats])
    return [_heartbeat(row) for row in connection.execute(LOCK_UNMOVED, seen).fetchall()]


def postpone(connection: Connection, deadlines: Sequence[tuple[int, datetime]]) -> None:
    """Set later deadlines of states that the caller has locked."""
    connection.execute(POSTPONE, ([monitor_id for monitor_id, _ in deadlines], [at for _, at in deadlines]))


def realign(connection: Connection, *, now: datetime, jump_s: float) -> int:
    """After the wall clock was set by `jump_s`, move deadlines with it; returns how many.

    Forward, what passed only because of the jump keeps the time that it had. Back, nothing ends later than its schedule allows from now.
    """
    if jump_s > 0:
        return connection.execute(AFTER_A_JUMP_FORWARD, (jump_s, now - timedelta(seconds=jump_s), now)).rowcount
    return connection.execute(AFTER_A_JUMP_BACK, (now, now)).rowcount


def resume(connection: Connection, monitor_ids: Sequence[int], now: datetime) -> None:
    """End the pause of monitors."""
    connection.execute(RESUME, (now, list(monitor_ids)))


def _heartbeat(row: Sequence[Any]) -> Heartbeat:
    schedule = Schedule(row[4], row[5])
    monitor = MonitorRef(row[0], row[1], row[2], "heartbeat", row[3], schedule.words)
    return Heartbeat(monitor, schedule, row[6], row[7], HeartbeatState(MonitorState(row[8]), *row[9:]))
