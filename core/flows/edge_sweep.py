"""Orphans between PostgreSQL and the edge, both ways: rows without an item, and items without a row.

Invariants: an item is made anew while its row is locked, so a deletion waits and removes it again; an item is removed only if its
heartbeat has had no row for `GRACE`, because an item is made before its row is committed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import Final
from uuid import UUID

from core.adapters.database import Pool
from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.store import edge
from core.adapters.store import heartbeats as store
from core.domain.heartbeat_watch import Projection
from core.logs import get_logger

log = get_logger(__name__)

GRACE: Final = timedelta(hours=1)
"""Longer than any transaction that creates a heartbeat, and than a new item may wait for its row."""

AT_A_TIME: Final = 1000


@dataclass(frozen=True, slots=True)
class Swept:
    """How many items were made and removed."""

    made: int
    removed: int


def sweep(pool: Pool, table: HeartbeatTable, now: datetime) -> Swept:
    """Make missing items, and remove those that belong to nothing.

    Raises:
        EdgeUnreachable: the rest is for the next run.
    """
    return Swept(_make_missing(pool, table), _remove_orphans(pool, table, now))


def _make_missing(pool: Pool, table: HeartbeatTable) -> int:
    """Rows come in the order of their ids; one that is made meanwhile had its item before."""
    made, last = 0, 0
    while True:
        with pool.connection() as connection:
            page = edge.heartbeat_ids(connection, last, AT_A_TIME)
        found = table.latest(uid for _, uid in page)
        if missing := [uid for _, uid in page if uid not in found]:
            made += _make(pool, table, missing)
        if len(page) < AT_A_TIME:
            return made
        last = page[-1][0]


def _make(pool: Pool, table: HeartbeatTable, missing: list[UUID]) -> int:
    with pool.connection() as connection, connection.transaction():
        rows = store.lock(connection, missing)
        log.error("edge.items_missing", heartbeats=[str(row.monitor.uid) for row in rows])
        return table.rebuild(Projection(r.monitor.uid, r.monitor.workspace_id, r.config_version, r.state) for r in rows)


def _remove_orphans(pool: Pool, table: HeartbeatTable, now: datetime) -> int:
    """Everything that ever lost its row, or was about to get one, is noted in PostgreSQL: nothing is searched for at the edge."""
    with pool.connection() as connection:
        orphans = edge.orphans(connection, now - GRACE)
    for chunk in batched(orphans, AT_A_TIME, strict=False):
        for uid in chunk:
            table.remove(uid)
        with pool.connection() as connection:
            edge.forget_orphans(connection, chunk, now - GRACE)
    if orphans:
        log.info("edge.orphans_removed", count=len(orphans))
    return len(orphans)
