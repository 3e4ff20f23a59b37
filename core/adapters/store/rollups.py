"""Hourly and daily rollups in SQL. Every function works inside the caller's transaction, and hours are rolled up in their order.

`rolled_hour` says which hours are rolled up, and of how many facts. A row of `rollup_stale` says that an incident or a maintenance window
has changed a monitor's hours from `since` on, up to `until` where that is known.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

from psycopg.sql import SQL

from core.adapters.database import Connection
from core.adapters.store.uptime import TALLY_COLUMNS, as_parameters, measure
from core.domain.uptime import HOUR, Span

LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('rollups'))"
PATIENCE: Final = "SELECT set_config('statement_timeout', '600s', true), set_config('work_mem', '64MB', true)"
"""One pass over an hour of a large installation takes longer than any other statement may."""

FIRST_MONITOR: Final = "SELECT date_trunc('hour', min(created_at)) FROM monitor"

COUNT_FACTS: Final = """
    SELECT (SELECT count(*) FROM check_result WHERE checked_at >= %(hour)s AND checked_at < %(end)s)
         + (SELECT count(*) FROM ping WHERE pinged_at >= %(hour)s AND pinged_at < %(end)s)
"""
ROLLED_FACTS: Final = "SELECT hour, facts FROM rolled_hour WHERE hour >= %s ORDER BY hour"
REOPEN: Final = "DELETE FROM rolled_hour WHERE hour >= %s"
NOTE_HOUR: Final = """
    INSERT INTO rolled_hour (hour, facts, rolled_at) VALUES (%s, %s, %s)
    ON CONFLICT (hour) DO UPDATE SET facts = excluded.facts, rolled_at = excluded.rolled_at
"""
FORGET_HOURS: Final = "DELETE FROM rolled_hour WHERE hour < %s"

_CHANGED: Final = SQL("""
    last_at = excluded.last_at, last_known = excluded.last_known, up_ms = excluded.up_ms, down_ms = excluded.down_ms,
    unknown_ms = excluded.unknown_ms, maintenance_ms = excluded.maintenance_ms, results = excluded.results,
    responses = excluded.responses, response_sum_us = excluded.response_sum_us, response_min_us = excluded.response_min_us,
    response_max_us = excluded.response_max_us, buckets = excluded.buckets, bucket_counts = excluded.bucket_counts
""")
_ROLL_HOUR: Final = SQL("""
    INSERT INTO rollup_hourly (monitor_id, hour, last_at, last_known, {columns})
    SELECT monitor_id, %(start)s, last_at, last_known, {columns} FROM ({measure}) AS m
    ON CONFLICT (monitor_id, hour) DO UPDATE SET {changed}
""")
ROLL_HOUR: Final = _ROLL_HOUR.format(columns=TALLY_COLUMNS, changed=_CHANGED, measure=measure(chosen=False))
ROLL_HOUR_OF: Final = _ROLL_HOUR.format(columns=TALLY_COLUMNS, changed=_CHANGED, measure=measure(chosen=True))

_ROLL_DAY: Final = """
    WITH hourly AS NOT MATERIALIZED (
        SELECT * FROM rollup_hourly
        WHERE hour >= %(day)s::timestamp AT TIME ZONE 'UTC' AND hour < (%(day)s::timestamp + interval '1 day') AT TIME ZONE 'UTC' {those}
    ), bucket AS (
        SELECT monitor_id, bucket, sum(n)::int AS n
        FROM (SELECT monitor_id, unnest(buckets) AS bucket, unnest(bucket_counts) AS n FROM hourly) AS b
        GROUP BY monitor_id, bucket
    ), sketch AS (
        SELECT monitor_id, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(n ORDER BY bucket) AS counts
        FROM bucket GROUP BY monitor_id
    ), daily AS (
        SELECT monitor_id, sum(up_ms) AS up_ms, sum(down_ms) AS down_ms, sum(unknown_ms) AS unknown_ms,
               sum(maintenance_ms) AS maintenance_ms, sum(results) AS results, sum(responses) AS responses,
               sum(response_sum_us) AS response_sum_us, min(response_min_us) AS response_min_us, max(response_max_us) AS response_max_us
        FROM hourly JOIN (SELECT id AS monitor_id FROM monitor) AS m USING (monitor_id) GROUP BY monitor_id
    )
    INSERT INTO rollup_daily (monitor_id, day, {columns})
    SELECT d.monitor_id, %(day)s::date, up_ms, down_ms, unknown_ms, maintenance_ms, results, responses, response_sum_us,
           response_min_us, response_max_us, coalesce(s.buckets, '{{}}'), coalesce(s.counts, '{{}}')
    FROM daily d LEFT JOIN sketch s USING (monitor_id)
    ON CONFLICT (monitor_id, day) DO UPDATE
    SET up_ms = excluded.up_ms, down_ms = excluded.down_ms, unknown_ms = excluded.unknown_ms,
        maintenance_ms = excluded.maintenance_ms, results = excluded.results, responses = excluded.responses,
        response_sum_us = excluded.response_sum_us, response_min_us = excluded.response_min_us,
        response_max_us = excluded.response_max_us, buckets = excluded.buckets, bucket_counts = excluded.bucket_counts
"""
ROLL_DAY: Final = SQL(_ROLL_DAY).format(columns=TALLY_COLUMNS, those=SQL(""))
ROLL_DAY_OF: Final = SQL(_ROLL_DAY).format(columns=TALLY_COLUMNS, those=SQL("AND monitor_id = ANY(%(ids)s::bigint[])"))

STALE: Final = "SELECT id, monitor_id, since FROM rollup_stale ORDER BY since, id"
MOVE_STALE: Final = "UPDATE rollup_stale SET since = %s WHERE id = ANY(%s::bigint[])"
DROP_STALE: Final = "DELETE FROM rollup_stale WHERE since >= least(until, %s)"


class Mark(NamedTuple):
    """The hours of a monitor from `since` on are not what its incidents and maintenance windows say."""

    id: int
    monitor_id: int
    since: datetime


def lock(connection: Connection) -> None:
    """Be the only one to roll up until the transaction ends, and allow its statements more time than others have."""
    connection.execute(LOCK)
    connection.execute(PATIENCE)


def first_hour(connection: Connection) -> datetime | None:
    """The hour in which the oldest monitor was made; None without monitors."""
    row = connection.execute(FIRST_MONITOR).fetchone()
    return row[0] if row else None


def count_facts(connection: Connection, hour: datetime) -> int:
    """How many check results and pings there are now in an hour."""
    row = connection.execute(COUNT_FACTS, {"hour": hour, "end": hour + HOUR}).fetchone()
    assert row, "an aggregate has a row"
    return int(row[0])


def rolled_facts(connection: Connection, since: datetime) -> list[tuple[datetime, int]]:
    """The rolled hours from `since` on, ascending, and how many facts each was made of."""
    return [(row[0], row[1]) for row in connection.execute(ROLLED_FACTS, (since,)).fetchall()]


def reopen(connection: Connection, hour: datetime) -> None:
    """Take this hour and all after it for not rolled up; their rows stay until they are written anew."""
    connection.execute(REOPEN, (hour,))


def roll_hour(
    connection: Connection,
    hour: datetime,
    monitor_ids: Sequence[int] | None = None,
    maintenance: Sequence[tuple[UUID, Span]] = (),
) -> None:
    """Write the rows of one hour, of all monitors or of these; the hour before it must be written already.

    `maintenance` are the intervals of all windows that have a part in the hour.
    """
    bounds = {"start": hour, "end": hour + HOUR, "scan_from": hour, "hour_before": hour - HOUR}
    parameters = {**bounds, **as_parameters(maintenance)}
    if monitor_ids is None:
        connection.execute(ROLL_HOUR, parameters)
    else:
        connection.execute(ROLL_HOUR_OF, {**parameters, "ids": list(monitor_ids)})


def roll_day(connection: Connection, day: date, monitor_ids: Sequence[int] | None = None) -> None:
    """Write the rows of one day from its hours, of all monitors or of these."""
    if monitor_ids is None:
        connection.execute(ROLL_DAY, {"day": day})
    else:
        connection.execute(ROLL_DAY_OF, {"day": day, "ids": list(monitor_ids)})


def note_hour(connection: Connection, hour: datetime, facts: int, now: datetime) -> None:
    """Say that an hour is rolled up."""
    connection.execute(NOTE_HOUR, (hour, facts, now))


def forget_hours(connection: Connection, before: datetime) -> None:
    """Remove the notes about hours that nobody will look at again."""
    connection.execute(FORGET_HOURS, (before,))


def stale(connection: Connection) -> list[Mark]:
    """What incidents and windows have changed, the oldest hours first."""
    return [Mark(*row) for row in connection.execute(STALE).fetchall()]


def move_stale(connection: Connection, mark_ids: Sequence[int], since: datetime) -> None:
    """These hours are right again, up to `since`."""
    connection.execute(MOVE_STALE, (since, list(mark_ids)))


def drop_stale(connection: Connection, since: datetime) -> None:
    """Remove the marks about hours that are not rolled up yet, or are right again."""
    connection.execute(DROP_STALE, (since,))
