"""What the edge must know from PostgreSQL, and what the edge asks: projections of heartbeats and channels, and which pings are stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.adapters.database import Connection
from core.adapters.store.heartbeat_rows import runs_of
from core.domain.heartbeat import HeartbeatState
from core.domain.heartbeat_watch import EdgeOptions, Projection


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """The version of a channel's configuration that may be referred to."""

    id: UUID
    version: int
    kind: str
    workspace_id: UUID
    ciphertext: str


def freeze(connection: Connection) -> None:
    """Let all reads of this transaction see one moment. Call first in it."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def projections(connection: Connection) -> list[Projection]:
    """Every heartbeat as the edge must know it."""
    rows = connection.execute(
        """
        SELECT m.uid, m.workspace_id, h.config_version, coalesce(s.last_sequence, 0), coalesce(s.verdict_sequence, 0),
               coalesce(s.success_sequence, 0), coalesce(s.end_sequence, 0), coalesce(s.start_sequence, 0),
               s.last_success_at, s.last_fail_at, s.last_start_at, s.runs,
               coalesce(m.slug, ''), h.post_only, coalesce(h.filters::text, '')
        FROM monitor m JOIN heartbeat h ON h.monitor_id = m.id LEFT JOIN heartbeat_state s ON s.monitor_id = m.id
        ORDER BY m.id
        """
    ).fetchall()
    return [
        Projection(
            row[0],
            row[1],
            row[2],
            HeartbeatState(
                last_sequence=row[3],
                verdict_sequence=row[4],
                success_sequence=row[5],
                end_sequence=row[6],
                start_sequence=row[7],
                last_success_at=row[8],
                last_fail_at=row[9],
                last_start_at=row[10],
                runs=runs_of(row[11]),
            ),
            EdgeOptions(*row[12:15]),
        )
        for row in rows
    ]


def channels(connection: Connection) -> list[ChannelRow]:
    """The current configuration of every channel."""
    rows = connection.execute(
        "SELECT id, config_version, kind, workspace_id, config_ciphertext FROM channel ORDER BY id"
    ).fetchall()
    return [ChannelRow(*row) for row in rows]


def ping_keys(connection: Connection, now: datetime) -> list[tuple[str, UUID, datetime | None]]:
    """Every ping key that is good, its workspace, and until when it is (None: until it is replaced)."""
    rows = connection.execute(
        """
        SELECT ping_key, id, NULL FROM workspace
        UNION ALL
        SELECT replaced_ping_key, id, replaced_ping_key_until FROM workspace WHERE replaced_ping_key_until > %s
        """,
        (now,),
    ).fetchall()
    return [(row[0], row[1], row[2]) for row in rows]


def heartbeat_ids(connection: Connection, after: int, limit: int) -> list[tuple[int, UUID]]:
    """The ids of heartbeats, compact and public, in order, from the first one behind `after`."""
    rows = connection.execute(
        "SELECT m.id, m.uid FROM monitor m JOIN heartbeat h ON h.monitor_id = m.id WHERE m.id > %s ORDER BY m.id LIMIT %s",
        (after, limit),
    ).fetchall()
    return [(row[0], row[1]) for row in rows]


def orphans(connection: Connection, before: datetime) -> list[UUID]:
    """Heartbeats noted before a time as deleted, or about to be created, that have no row."""
    rows = connection.execute(
        "SELECT heartbeat_id FROM edge_orphan o WHERE seen_at <= %s AND NOT EXISTS (SELECT FROM monitor WHERE uid = o.heartbeat_id)",
        (before,),
    ).fetchall()
    return [row[0] for row in rows]


def noted_since(connection: Connection, uids: Sequence[UUID], since: datetime) -> set[UUID]:
    """Which of these heartbeats were noted after a time as deleted, or about to be created."""
    rows = connection.execute(
        "SELECT heartbeat_id FROM edge_orphan WHERE heartbeat_id = ANY(%s) AND seen_at > %s", (list(uids), since)
    ).fetchall()
    return {row[0] for row in rows}


def forget_orphans(connection: Connection, uids: Sequence[UUID], before: datetime) -> None:
    """Forget these, which are gone at the edge, unless they were noted again since."""
    connection.execute("DELETE FROM edge_orphan WHERE heartbeat_id = ANY(%s) AND seen_at <= %s", (list(uids), before))


def canary_id(connection: Connection) -> UUID:
    """The heartbeat of our own canary: it has an item and no row."""
    row = connection.execute("SELECT canary_id FROM edge_watch").fetchone()
    assert row, "the migration has made it"
    uid: UUID = row[0]
    return uid


def stored_pings(connection: Connection, ids: Sequence[UUID], since: datetime, until: datetime) -> set[UUID]:
    """Which of these pings, all pinged within `since..until`, are stored. The times keep the search to a few partitions."""
    rows = connection.execute(
        "SELECT id FROM ping WHERE id = ANY(%s) AND pinged_at BETWEEN %s AND %s", (list(ids), since, until)
    ).fetchall()
    return {row[0] for row in rows}


def mark_now(connection: Connection) -> str:
    """A transaction id above those of all transactions that have written until now.

    The `xmax` of a snapshot would not do: it is only above those that have ended.
    """
    row = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert row
    return str(row[0])


def have_ended(connection: Connection, before: str) -> bool:
    """Whether every transaction below a mark of `mark_now` has ended."""
    row = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= %s::xid8", (before,)).fetchone()
    assert row
    return bool(row[0])
