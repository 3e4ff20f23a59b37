"""Upkeep of the tables that are partitioned by day: days are made ahead and dropped when their time is over.

Invariant: retention drops whole days and never deletes row by row; each day is a transaction of its own, so a lock that cannot be
had costs one day until the next run. What is worth keeping of old pings moves to their archive, which is made anew whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.adapters.database import Connection
from core.adapters.store import alerts, delays, outbox, partitions, ping_archive
from core.domain.retention import Retention

DAYS_AHEAD: Final = 14


@dataclass(frozen=True, slots=True)
class Kept:
    """How many day partitions were made and dropped; `archived` is how many old pings are kept, None when no day of them has ended."""

    made: int
    dropped: int
    archived: int | None = None


@dataclass(frozen=True, slots=True)
class Delays:
    """How far behind we are, in seconds: with checks, with deadlines of heartbeats, and with events that the bus should have."""

    checks_s: float
    silence_s: float
    outbox_s: float


def keep_partitions(connection: Connection, now: datetime, retention: Retention) -> Kept:
    """Have a partition of every table from yesterday to `DAYS_AHEAD` days ahead, and none past its retention."""
    made = make_ahead(connection, now)
    dropped = drop_old(connection, now, ("check_result",), retention.days)
    dropped += drop_old(connection, now, partitions.ROLLUP_TABLES, retention.rollup_days)
    ended, archived = archive_pings(connection, now, retention)
    return Kept(made, dropped + ended, archived)


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


def archive_pings(connection: Connection, now: datetime, retention: Retention) -> tuple[int, int | None]:
    """Drop the days of pings that are past their retention, keeping what is worth it; returns how many days, and what is kept of all."""
    oldest = now.date() - timedelta(days=retention.days)
    with connection.transaction():
        ping_archive.lock(connection)
        ended = [day for day in partitions.existing_days(connection, "ping") if day < oldest]
        if not ended:
            return 0, None
        failures_since = now - timedelta(days=retention.failure_days)
        kept = ping_archive.rebuild(
            connection, partitions.beginning(oldest), failures_since=failures_since, newest=retention.pings
        )
    return len(ended), kept


def storage_sizes(connection: Connection) -> Mapping[str, int]:
    """Bytes on disk by kind of data."""
    return partitions.sizes(connection)


def silent_workspaces(connection: Connection) -> int:
    """How many workspaces have nobody left who could be told."""
    return alerts.silent_workspaces(connection)


def measure_delays(connection: Connection, now: datetime) -> Delays:
    """What should have happened by now and has not. All of it grows while nothing happens, whatever the reason."""
    return Delays(
        checks_s=delays.check_delay_s(connection, now),
        silence_s=delays.silence_delay_s(connection, now),
        outbox_s=max(outbox.oldest_age_s(connection, now), 0.0),
    )
