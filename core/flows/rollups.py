"""Facts become hourly rollups, and those daily ones.

Invariants: hours are rolled up in their order, each in a transaction of its own together with the day that it completes; an hour is
written whole from all its facts, so doing it again changes nothing; the hour that is still open is never written. One run does a
bounded part, the next goes on: after days off the rollups catch up by themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.adapters.database import Connection
from core.adapters.store import maintenance as windows
from core.adapters.store import partitions
from core.adapters.store import rollups as store
from core.adapters.store import uptime as uptime_store
from core.domain.maintenance import spans_by_window
from core.domain.uptime import DAY, HOUR, Span, floor_day, floor_hour
from core.flows import heartbeat_statistics

SETTLE: Final = timedelta(minutes=2)
"""How long after its end an hour is left alone: results of its last seconds are being flushed."""

LATE: Final = 3
"""Hours that are looked at again for results which came after they were rolled up."""

HOURS_A_RUN: Final = 48

NOTES_KEPT: Final = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Rolled:
    """What a run did: hours of all monitors, and hours mended for the monitors of changed incidents and maintenance windows."""

    hours: int
    mended: int


def aggregate(connection: Connection, now: datetime, limit: int = HOURS_A_RUN) -> Rolled:
    """Roll up what is due, in at most `limit` passes over an hour each."""
    reopen_late(connection)
    hours = mended = 0
    while hours < limit and _roll_next(connection, now):
        hours += 1
    while hours + mended < limit and _mend_next(connection):
        mended += 1
    return Rolled(hours, mended)


def reopen_late(connection: Connection) -> datetime | None:
    """Reopen the latest hours from the first one that has other facts than it was made of; returns that hour."""
    with connection.transaction():
        store.lock(connection)
        until = uptime_store.rolled_until(connection)
        if until is None:
            return None
        for hour, facts in store.rolled_facts(connection, until - LATE * HOUR):
            if store.count_facts(connection, hour) != facts:
                store.reopen(connection, hour)
                return hour
    return None


def _roll_next(connection: Connection, now: datetime) -> bool:
    """Roll up the next closed hour of all monitors; False when there is none."""
    with connection.transaction():
        store.lock(connection)
        hour = uptime_store.rolled_until(connection) or _beginning(connection)
        if hour is None or hour + HOUR + SETTLE > now:
            return False
        facts = store.count_facts(connection, hour)
        _roll(connection, hour, None)
        heartbeat_statistics.roll(connection, hour)
        store.note_hour(connection, hour, facts, now)
        store.forget_hours(connection, now - NOTES_KEPT)
    return True


def _mend_next(connection: Connection) -> bool:
    """Roll up one hour again for the monitors whose incidents or windows changed it; False when there is none.

    Facts past their retention are no more, so what was made of them stays.
    """
    with connection.transaction():
        store.lock(connection)
        until = uptime_store.rolled_until(connection) or _beginning(connection)
        if until is None:
            return False
        store.drop_stale(connection, until)
        marks = store.stale(connection)
        if not marks:
            return False
        hour = floor_hour(marks[0].since)
        if oldest := _oldest_facts(connection):
            hour = max(hour, oldest)
        touched = [mark for mark in marks if mark.since < hour + HOUR]
        if hour < until:
            _roll(connection, hour, sorted({mark.monitor_id for mark in touched}))
        store.move_stale(connection, [mark.id for mark in touched], hour + HOUR)
    return True


def _roll(connection: Connection, hour: datetime, monitor_ids: Sequence[int] | None) -> None:
    day = floor_day(hour)
    partitions.ensure_day(connection, "rollup_hourly", day.date())
    span = Span(hour, hour + HOUR)
    store.roll_hour(connection, hour, monitor_ids, spans_by_window(windows.of_all(connection, span), span))
    if hour + HOUR == day + DAY:
        store.roll_day(connection, day.date(), monitor_ids)


def _beginning(connection: Connection) -> datetime | None:
    """The hour of the first monitor, or of the oldest facts that are still kept; None without monitors."""
    first = store.first_hour(connection)
    oldest = _oldest_facts(connection)
    return max(first, oldest) if first and oldest else first


def _oldest_facts(connection: Connection) -> datetime | None:
    days = partitions.existing_days(connection, "check_result")
    return partitions.beginning(days[0]) if days else None
