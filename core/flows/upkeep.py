"""Upkeep of the tables that are partitioned by day: days are made ahead and dropped when their time is over.

Invariant: retention drops whole days and never deletes row by row; each day is a transaction of its own, so a lock that cannot be
had costs one day until the next run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.adapters.database import Connection
from core.adapters.store import partitions

DAYS_AHEAD: Final = 14


@dataclass(frozen=True, slots=True)
class Kept:
    """How many day partitions were made and dropped."""

    made: int
    dropped: int


def keep_partitions(connection: Connection, now: datetime, *, retention_days: int, rollup_retention_days: int) -> Kept:
    """Have a partition of every table from yesterday to `DAYS_AHEAD` days ahead, and none past its retention.

    Check results and pings are kept for `retention_days`, hourly rollups for `rollup_retention_days`, daily ones as long as the monitor.
    """
    made = make_ahead(connection, now)
    dropped = drop_old(connection, now, partitions.FACT_TABLES, retention_days)
    dropped += drop_old(connection, now, ("rollup_hourly",), rollup_retention_days)
    return Kept(made, dropped)


def make_ahead(connection: Connection, now: datetime) -> int:
    """Make the missing days around `now`; returns how many. Yesterday is for facts that arrive after midnight."""
    today = now.date()
    made = 0
    for parent in partitions.DAY_TABLES:
        for offset in range(-1, DAYS_AHEAD + 1):
            with connection.transaction():
                made += partitions.ensure_day(connection, parent, today + timedelta(days=offset))
    return made


def drop_old(connection: Connection, now: datetime, tables: Sequence[str], retention_days: int) -> int:
    """Drop the days that ended more than `retention_days` days ago; returns how many."""
    oldest = now.date() - timedelta(days=retention_days)
    dropped = 0
    for parent in tables:
        for day in [day for day in partitions.existing_days(connection, parent) if day < oldest]:
            with connection.transaction():
                partitions.drop_day(connection, parent, day)
            dropped += 1
    return dropped


def storage_sizes(connection: Connection) -> Mapping[str, int]:
    """Bytes on disk by kind of data."""
    return partitions.sizes(connection)
