"""What is known of the edge's gaps, in SQL. Every function works inside the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from core.adapters.database import Connection
from core.domain.edge_gaps import EdgeWatch, Gap

WATCH: Final = "SELECT canary_id, proved_at, failing_since, asked_at FROM edge_watch"

LOCK_WATCH: Final = "SELECT canary_id, proved_at, failing_since, asked_at FROM edge_watch FOR UPDATE"

SAVE_WATCH: Final = "UPDATE edge_watch SET proved_at = %s, failing_since = %s, asked_at = %s"

INSERT_GAPS: Final = """
INSERT INTO edge_gap (began_at, ended_at, silent, settled)
SELECT * FROM unnest(%s::timestamptz[], %s::timestamptz[], %s::bool[], %s::bool[])
"""

GAPS_SINCE: Final = (
    "SELECT began_at, ended_at, silent, settled FROM edge_gap WHERE ended_at > %s OR NOT settled ORDER BY began_at"
)

UNSETTLED: Final = "SELECT id, began_at, ended_at, silent, settled FROM edge_gap WHERE NOT settled ORDER BY began_at FOR UPDATE"

DELETE_GAP: Final = "DELETE FROM edge_gap WHERE id = %s"

PROOFS: Final = """
SELECT DISTINCT date_trunc('second', pinged_at) FROM ping WHERE pinged_at > %s AND pinged_at < %s ORDER BY 1
"""

HAS_PINGS: Final = "SELECT EXISTS (SELECT FROM ping WHERE pinged_at > %s AND pinged_at <= %s)"


@dataclass(frozen=True, slots=True)
class StoredGap:
    """A gap with its id."""

    id: int
    gap: Gap


def watch(connection: Connection, *, lock: bool = False) -> tuple[UUID, EdgeWatch]:
    """The id that our canary pings, and what is known."""
    row = connection.execute(LOCK_WATCH if lock else WATCH).fetchone()
    assert row, "the migration has made it"
    return row[0], EdgeWatch(*row[1:])


def save_watch(connection: Connection, watch: EdgeWatch) -> None:
    """Store what is known; the caller has locked it."""
    connection.execute(SAVE_WATCH, (watch.proved_at, watch.failing_since, watch.asked_at))


def insert_gaps(connection: Connection, gaps: Sequence[Gap]) -> None:
    """Store gaps."""
    columns = [gap.began_at for gap in gaps], [gap.ended_at for gap in gaps]
    connection.execute(INSERT_GAPS, (*columns, [gap.silent for gap in gaps], [gap.settled for gap in gaps]))


def gaps_since(connection: Connection, since: datetime) -> list[Gap]:
    """The gaps that ended after `since`, and those that are not settled, in order of their beginning."""
    return [Gap(*row) for row in connection.execute(GAPS_SINCE, (since,)).fetchall()]


def lock_unsettled(connection: Connection) -> list[StoredGap]:
    """The gaps that wait for pings, locked."""
    return [StoredGap(row[0], Gap(*row[1:])) for row in connection.execute(UNSETTLED).fetchall()]


def replace(connection: Connection, stored: StoredGap, gaps: Sequence[Gap]) -> None:
    """Put what is left of a gap in its place."""
    connection.execute(DELETE_GAP, (stored.id,))
    insert_gaps(connection, gaps)


def proofs(connection: Connection, gap: Gap) -> list[datetime]:
    """When pings came in within a gap, in order, to the second."""
    return [row[0] for row in connection.execute(PROOFS, (gap.began_at, gap.ended_at)).fetchall()]


def has_pings(connection: Connection, since: datetime, until: datetime) -> bool:
    """Whether pings came in between."""
    row = connection.execute(HAS_PINGS, (since, until)).fetchone()
    return bool(row and row[0])
