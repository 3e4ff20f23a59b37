"""Heartbeats, their hot state and their pings in SQL. Every function works inside the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.sql import SQL

from core.adapters.database import Connection
from core.adapters.store import heartbeat_rows
from core.adapters.store.heartbeat_rows import failures_json, heartbeat_of, runs_json
from core.domain.heartbeat import Heartbeat

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
""").format(columns=heartbeat_rows.COLUMNS)

DUE: Final = SQL("""
SELECT {columns}
FROM heartbeat_state s JOIN monitor m ON m.id = s.monitor_id JOIN heartbeat h ON h.monitor_id = m.id
WHERE s.deadline_at <= %s AND s.state <> 'down' AND m.paused_at IS NULL AND (s.deadline_at, s.monitor_id) > (%s, %s)
ORDER BY s.deadline_at, s.monitor_id
LIMIT %s
""").format(columns=heartbeat_rows.COLUMNS)

DUE_ONE: Final = SQL("""
SELECT {columns}
FROM monitor m JOIN heartbeat h ON h.monitor_id = m.id JOIN heartbeat_state s ON s.monitor_id = m.id
WHERE m.uid = %s AND s.deadline_at <= %s AND s.state <> 'down' AND m.paused_at IS NULL
""").format(columns=heartbeat_rows.COLUMNS)

INSERT_PINGS: Final = """
INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, exit_status, method, source_ip, user_agent, body_size, body_truncated,
                  body_lost, rid, started_at, due_at)
SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[], %s::bigint[], %s::text[], %s::text[],
                     %s::text[], %s::int[], %s::bool[], %s::bool[], %s::uuid[], %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (id, pinged_at) DO NOTHING
RETURNING id
"""

SAVE: Final = """
UPDATE heartbeat_state s
SET state = n.state, last_sequence = n.last_sequence, verdict_sequence = n.verdict_sequence, success_sequence = n.success_sequence,
    end_sequence = n.end_sequence, start_sequence = n.start_sequence, last_ping_at = n.last_ping_at,
    last_success_at = n.last_success_at, last_fail_at = n.last_fail_at, last_start_at = n.last_start_at, anchor_at = n.anchor_at,
    due_at = n.due_at, deadline_at = n.deadline_at, pings = n.pings, changed_at = n.changed_at, runs = n.runs, failures = n.failures
FROM unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[],
            %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
            %s::bigint[], %s::timestamptz[], %s::jsonb[], %s::jsonb[])
  AS n (monitor_id, state, last_sequence, verdict_sequence, success_sequence, end_sequence, start_sequence, last_ping_at,
        last_success_at, last_fail_at, last_start_at, anchor_at, due_at, deadline_at,
        pings, changed_at, runs, failures)
WHERE s.monitor_id = n.monitor_id
"""

LOCK_UNMOVED: Final = """
SELECT s.monitor_id
FROM heartbeat_state s
JOIN unnest(%s::bigint[], %s::timestamptz[]) AS e (monitor_id, deadline_at)
  ON e.monitor_id = s.monitor_id AND e.deadline_at = s.deadline_at
ORDER BY s.monitor_id
FOR UPDATE OF s
"""

POSTPONE: Final = """
UPDATE heartbeat_state s SET due_at = n.due_at, deadline_at = n.deadline_at
FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS n (monitor_id, due_at, deadline_at)
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
    SELECT s.monitor_id, %s::timestamptz + make_interval(secs => h.period_s + h.grace_s + coalesce(h.max_run_s, h.grace_s)) AS latest
    FROM heartbeat_state s JOIN heartbeat h USING (monitor_id)
    WHERE s.deadline_at > %s::timestamptz + make_interval(secs => h.period_s + h.grace_s + coalesce(h.max_run_s, h.grace_s))
      AND s.state <> 'down' AND h.schedule_kind = 'period'
    ORDER BY s.monitor_id
    FOR UPDATE OF s
) AS o
WHERE s.monitor_id = o.monitor_id
"""

STAMPED_LATER: Final = """
SELECT s.monitor_id
FROM heartbeat_state s JOIN heartbeat h USING (monitor_id)
WHERE s.anchor_at > %s AND s.deadline_at IS NOT NULL AND s.state <> 'down' AND h.schedule_kind <> 'period'
ORDER BY s.monitor_id
FOR UPDATE OF s
"""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)

RESUME: Final = "UPDATE monitor SET paused_at = NULL, updated_at = %s WHERE id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class PingRow:
    """One ping to store. `started_at` is when the run began that it ends, `due_at` when a success was expected."""

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
    body_lost: bool = False
    rid: UUID | None = None
    started_at: datetime | None = None
    due_at: datetime | None = None


def lock(connection: Connection, uids: Sequence[UUID]) -> list[Heartbeat]:
    """The heartbeats with these ids, in the order of their monitor ids, their states locked.

    Read after the lock is held, by a statement of its own: one that waits sees the locked row as it is now, and all others as they were
    when it began, so it would judge by a schedule that was changed while it waited.
    """
    return _locked(connection, connection.execute(LOCK, (list(uids),)).fetchall())


def due(connection: Connection, before: datetime, limit: int, after: Heartbeat | None = None) -> list[Heartbeat]:
    """Heartbeats whose deadline is at `before` or earlier, the longest overdue first, not locked; those behind `after` in this order."""
    seen = (after.state.deadline_at, after.monitor.id) if after else (EARLIEST, 0)
    return [heartbeat_of(row) for row in connection.execute(DUE, (before, *seen, limit)).fetchall()]


def due_one(connection: Connection, uid: UUID, before: datetime) -> list[Heartbeat]:
    """The heartbeat with this id, if it is due."""
    return [heartbeat_of(row) for row in connection.execute(DUE_ONE, (uid, before)).fetchall()]


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
            [p.body_lost for p in pings],
            [p.rid for p in pings],
            [p.started_at for p in pings],
            [p.due_at for p in pings],
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
            [s.success_sequence for s in states],
            [s.end_sequence for s in states],
            [s.start_sequence for s in states],
            [s.last_ping_at for s in states],
            [s.last_success_at for s in states],
            [s.last_fail_at for s in states],
            [s.last_start_at for s in states],
            [s.anchor_at for s in states],
            [s.due_at for s in states],
            [s.deadline_at for s in states],
            [s.pings for s in states],
            [s.changed_at for s in states],
            [runs_json(s.runs) for s in states],
            [failures_json(s.failures) for s in states],
        ),
    )


def lock_unmoved(connection: Connection, heartbeats: Sequence[Heartbeat]) -> list[Heartbeat]:
    """Lock those of these heartbeats whose deadline has not moved and which are not paused; as they are now, by monitor id.

    As in `lock`, what hangs on them is read once the locks are held.
    """
    seen = ([h.monitor.id for h in heartbeats], [h.state.deadline_at for h in heartbeats])
    return [h for h in _locked(connection, connection.execute(LOCK_UNMOVED, seen).fetchall()) if h.paused_at is None]


def postpone(connection: Connection, deadlines: Sequence[tuple[int, datetime | None, datetime | None]]) -> None:
    """Set what is due later, and the deadline for it, of states that the caller has locked: (monitor, due, deadline)."""
    connection.execute(POSTPONE, tuple([row[column] for row in deadlines] for column in range(3)))


def realign(connection: Connection, *, now: datetime, jump_s: float) -> int:
    """After the wall clock was set by `jump_s`, move deadlines with it; returns how many.

    Forward, what passed only because of the jump keeps the time that it had. Back, nothing ends later than its period allows from now; for
    schedules of times on the wall see `lock_stamped_later`.
    """
    if jump_s > 0:
        return connection.execute(AFTER_A_JUMP_FORWARD, (jump_s, now - timedelta(seconds=jump_s), now)).rowcount
    return connection.execute(AFTER_A_JUMP_BACK, (now, now)).rowcount


def lock_stamped_later(connection: Connection, now: datetime) -> list[Heartbeat]:
    """Lock the heartbeats with cron or OnCalendar schedules that expect something after a ping that is stamped later than now."""
    return _locked(connection, connection.execute(STAMPED_LATER, (now,)).fetchall())


def resume(connection: Connection, monitor_ids: Sequence[int], now: datetime) -> None:
    """End the pause of monitors."""
    connection.execute(RESUME, (now, list(monitor_ids)))


def _locked(connection: Connection, ids: Sequence[Sequence[Any]]) -> list[Heartbeat]:
    return [heartbeat_of(row) for row in connection.execute(LOCKED, ([row[0] for row in ids],)).fetchall()] if ids else []
