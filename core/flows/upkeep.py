"""Upkeep of the fact tables: days are made ahead and dropped when their time is over.

Invariant: retention drops whole days and never deletes row by row; each day is a transaction of its own, so a lock that cannot be
had costs one day until the next run.
"""

from collections.abc import Mapping
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


def keep_partitions(connection: Connection, now: datetime, *, retention_days: int) -> Kept:
    """Have a partition for every fact table from yesterday to `DAYS_AHEAD` days ahead, and none older than `retention_days`."""
    return Kept(made=make_ahead(connection, now), dropped=drop_old(connection, now, retention_days=retention_days))


def make_ahead(connection: Connection, now: datetime) -> int:
    """Make the missing days around `now`; returns how many. Yesterday is for facts that arrive after midnight."""
    today = now.date()
    made = 0
    for parent in partitions.FACT_TABLES:
        for offset in range(-1, DAYS_AHEAD + 1):
            with connection.transaction():
                made += partitions.ensure_day(connection, parent, today + timedelta(days=offset))
    return made


def drop_old(connection: Connection, now: datetime, *, retention_days: int) -> int:
    """Drop the days that ended more than `retention_days` days ago; returns how many."""
    oldest = now.date() - timedelta(days=retention_days)
    dropped = 0
    for parent in partitions.FACT_TABLES:
        for day in [day for day in partitions.existing_days(connection, parent) if day < oldest]:
            with connection.transaction():
                partitions.drop_day(connection, parent, day)
            dropped += 1
    return dropped


def storage_sizes(connection: Connection) -> Mapping[str, int]:
    """Bytes on disk by kind of data."""
    return partitions.sizes(connection)
