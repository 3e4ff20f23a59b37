"""The outbox: events that must reach the bus, written in the transaction of their cause."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.adapters.database import Connection


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event as PutEvents wants it: its type and its `detail` as JSON text."""

    detail_type: str
    detail: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An outbox row."""

    id: int
    event: OutboxEvent


NEXT: Final = """
    SELECT id, detail_type, detail FROM outbox
    ORDER BY detail_type <> 'AlertRequested', id LIMIT %s FOR UPDATE SKIP LOCKED
"""


def insert(connection: Connection, events: Sequence[OutboxEvent], now: datetime) -> None:
    """Add events, in order. The caller commits."""
    if not events:
        return
    connection.execute(
        """
        INSERT INTO outbox (detail_type, detail, created_at)
        SELECT detail_type, detail, %(now)s
        FROM unnest(%(types)s::text[], %(details)s::text[]) WITH ORDINALITY AS e (detail_type, detail, position)
        ORDER BY position
        """,
        {"now": now, "types": [e.detail_type for e in events], "details": [e.detail for e in events]},
    )


def lock_next(connection: Connection, limit: int) -> list[StoredEvent]:
    """Events that no other relay holds, locked until the caller's transaction ends: requests for messages first, each kind oldest first.

    That is the order of the index `outbox_relay`. The events of a storm's incidents were written before its alerts were routed: people
    would wait until all subscribers have theirs.
    """
    rows = connection.execute(NEXT, (limit,)).fetchall()
    return [StoredEvent(row[0], OutboxEvent(row[1], row[2])) for row in rows]


def delete(connection: Connection, ids: Sequence[int]) -> None:
    """Remove events that the bus has taken."""
    if not ids:
        return
    connection.execute("DELETE FROM outbox WHERE id = ANY(%s)", (list(ids),))


def oldest_age_s(connection: Connection, now: datetime) -> float:
    """Seconds since the oldest waiting event was written; 0 when none waits."""
    row = connection.execute("SELECT extract(epoch FROM %s - min(created_at)) FROM outbox", (now,)).fetchone()
    return float(row[0]) if row and row[0] is not None else 0.0
