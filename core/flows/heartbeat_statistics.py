"""How the runs of a heartbeat went: what is noted with each ping, what is rolled up of it, and what is told.

Invariant: an hour is written whole from all its pings, in the transaction that rolls up its uptime (`core.flows.rollups`, ADR 67).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, reduce
from operator import add
from uuid import UUID

from core.adapters.database import Connection
from core.adapters.store import run_rollups as store
from core.adapters.store.uptime import rolled_until
from core.contracts.events import HeartbeatPinged
from core.domain import run_statistics as rules
from core.domain.heartbeat import Heartbeat
from core.domain.run_statistics import RunStatistics
from core.domain.uptime import DAY, HOUR, Pieces, Span, floor_day, floor_hour, pieces


def due_times(heartbeats: Mapping[UUID, Heartbeat], pings: Iterable[HeartbeatPinged]) -> dict[UUID, datetime]:
    """When the successes among these pings were due, by the id of the ping; `heartbeats` as they were before them."""
    successes: dict[UUID, list[HeartbeatPinged]] = defaultdict(list)
    for ping in sorted(pings, key=lambda ping: ping.sequence):
        if ping.kind == "success":
            successes[ping.heartbeat_id].append(ping)
    due: dict[UUID, datetime] = {}
    for heartbeat_id, of_one in successes.items():
        times = rules.due_times(heartbeats[heartbeat_id], [ping.pinged_at for ping in of_one])
        due |= {ping.ping_id: at for ping, at in zip(of_one, times, strict=True) if at}
    return due


def roll(connection: Connection, hour: datetime) -> None:
    """Write the statistics of one hour of all heartbeats, with the day that it completes."""
    store.roll_hour(connection, hour)
    day = floor_day(hour)
    if hour + HOUR == day + DAY:
        store.roll_day(connection, day)


def measure(connection: Connection, monitor_id: int, created_at: datetime, spans: Sequence[Span]) -> list[RunStatistics]:
    """The statistics of one heartbeat within each span (as `core.domain.uptime.counted_range` gives it). Reads only."""
    rolled = rolled_until(connection) or floor_hour(created_at)
    from_pings = cache(lambda span: store.from_pings(connection, monitor_id, span))  # spans that end now share their end
    return [_put_together(connection, monitor_id, pieces(span, rolled), from_pings) for span in spans]


def _put_together(
    connection: Connection, monitor_id: int, parts: Pieces, from_pings: Callable[[Span], RunStatistics]
) -> RunStatistics:
    found = RunStatistics()
    if parts.days or parts.hours:
        found = store.from_rollups(connection, monitor_id, parts.days, parts.hours)
    return reduce(add, map(from_pings, parts.facts), found)
