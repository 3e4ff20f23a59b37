"""How long the runs of heartbeats took and how far from its time each success came, in SQL: from pings, and from hourly rollups.

A duration is that of a run that succeeded and whose start was seen; a drift is how late a success came, negative where it was early. Both
are in microseconds, sketches as in `core.domain.uptime`. Every function works inside the caller's transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg.sql import SQL

from core.adapters.database import Connection
from core.adapters.store.uptime import pieces_as_parameters
from core.domain.run_statistics import RunStatistics
from core.domain.uptime import DAY, GROWTH, HOUR, ResponseTimes, Span

_COLUMNS: Final = SQL("""
    successes, failures, durations, duration_sum_us, duration_min_us, duration_max_us, duration_buckets, duration_counts,
    distances, distance_sum_us, distance_min_us, distance_max_us, distance_buckets, distance_counts, drift_sum_us
""")

_MEASURE: Final = """
    WITH ended AS {kept} (
        SELECT monitor_id, kind = 'success' AS good,
               CASE WHEN kind = 'success' AND started_at IS NOT NULL
                    THEN (extract(epoch FROM greatest(pinged_at - started_at, interval '0')) * 1000000)::bigint END AS duration_us,
               CASE WHEN kind = 'success' THEN (extract(epoch FROM pinged_at - due_at) * 1000000)::bigint END AS drift_us
        FROM ping
        WHERE pinged_at >= %(start)s AND pinged_at < %(end)s AND kind IN ('success', 'fail') {those}
    ), total AS (
        SELECT monitor_id, (count(*) FILTER (WHERE good))::int AS successes, (count(*) FILTER (WHERE NOT good))::int AS failures,
               count(duration_us)::int AS durations, coalesce(sum(duration_us), 0)::bigint AS duration_sum_us,
               min(duration_us) AS duration_min_us, max(duration_us) AS duration_max_us,
               count(drift_us)::int AS distances, coalesce(sum(abs(drift_us)), 0)::bigint AS distance_sum_us,
               min(abs(drift_us)) AS distance_min_us, max(abs(drift_us)) AS distance_max_us,
               coalesce(sum(drift_us), 0)::bigint AS drift_sum_us
        FROM ended GROUP BY monitor_id
    ), bucket AS (
        SELECT monitor_id, of_duration, ceil(ln(greatest(us, 1)::float8) / {ln_growth})::smallint AS bucket, count(*)::int AS n
        FROM (
            SELECT monitor_id, true AS of_duration, duration_us AS us FROM ended WHERE duration_us IS NOT NULL
            UNION ALL
            SELECT monitor_id, false, abs(drift_us) FROM ended WHERE drift_us IS NOT NULL
        ) AS values
        GROUP BY 1, 2, 3
    ), sketch AS (
        SELECT monitor_id,
               array_agg(bucket ORDER BY bucket) FILTER (WHERE of_duration) AS duration_buckets,
               array_agg(n ORDER BY bucket) FILTER (WHERE of_duration) AS duration_counts,
               array_agg(bucket ORDER BY bucket) FILTER (WHERE NOT of_duration) AS distance_buckets,
               array_agg(n ORDER BY bucket) FILTER (WHERE NOT of_duration) AS distance_counts
        FROM bucket GROUP BY monitor_id
    )
    SELECT monitor_id, successes, failures, durations, duration_sum_us, duration_min_us, duration_max_us,
           coalesce(duration_buckets, '{{}}') AS duration_buckets, coalesce(duration_counts, '{{}}') AS duration_counts,
           distances, distance_sum_us, distance_min_us, distance_max_us,
           coalesce(distance_buckets, '{{}}') AS distance_buckets, coalesce(distance_counts, '{{}}') AS distance_counts, drift_sum_us
    FROM total LEFT JOIN sketch USING (monitor_id)
"""
_LN_GROWTH: Final = SQL(f"ln({GROWTH}::float8)")

_CHANGED: Final = SQL("""
    successes = excluded.successes, failures = excluded.failures, durations = excluded.durations,
    duration_sum_us = excluded.duration_sum_us, duration_min_us = excluded.duration_min_us,
    duration_max_us = excluded.duration_max_us, duration_buckets = excluded.duration_buckets,
    duration_counts = excluded.duration_counts, distances = excluded.distances, distance_sum_us = excluded.distance_sum_us,
    distance_min_us = excluded.distance_min_us, distance_max_us = excluded.distance_max_us,
    distance_buckets = excluded.distance_buckets, distance_counts = excluded.distance_counts, drift_sum_us = excluded.drift_sum_us
""")

ROLL_HOUR: Final = SQL("""
    INSERT INTO run_hourly (monitor_id, hour, {columns})
    SELECT monitor_id, %(start)s, {columns} FROM ({measure}) AS m
    ON CONFLICT (monitor_id, hour) DO UPDATE SET {changed}
""").format(
    columns=_COLUMNS,
    changed=_CHANGED,
    measure=SQL(_MEASURE).format(kept=SQL("MATERIALIZED"), those=SQL(""), ln_growth=_LN_GROWTH),
)

_MERGE: Final = """
    bucket AS (
        SELECT monitor_id, of_duration, bucket, sum(n)::int AS n
        FROM (
            SELECT monitor_id, true AS of_duration, unnest(duration_buckets) AS bucket, unnest(duration_counts) AS n FROM part
            UNION ALL
            SELECT monitor_id, false, unnest(distance_buckets), unnest(distance_counts) FROM part
        ) AS values
        GROUP BY monitor_id, of_duration, bucket
    ), sketch AS (
        SELECT monitor_id,
               array_agg(bucket ORDER BY bucket) FILTER (WHERE of_duration) AS duration_buckets,
               array_agg(n ORDER BY bucket) FILTER (WHERE of_duration) AS duration_counts,
               array_agg(bucket ORDER BY bucket) FILTER (WHERE NOT of_duration) AS distance_buckets,
               array_agg(n ORDER BY bucket) FILTER (WHERE NOT of_duration) AS distance_counts
        FROM bucket GROUP BY monitor_id
    ), total AS (
        SELECT monitor_id, sum(successes)::int AS successes, sum(failures)::int AS failures, sum(durations)::int AS durations,
               sum(duration_sum_us)::bigint AS duration_sum_us, min(duration_min_us) AS duration_min_us,
               max(duration_max_us) AS duration_max_us, sum(distances)::int AS distances,
               sum(distance_sum_us)::bigint AS distance_sum_us, min(distance_min_us) AS distance_min_us,
               max(distance_max_us) AS distance_max_us, sum(drift_sum_us)::bigint AS drift_sum_us
        FROM part GROUP BY monitor_id
    ), merged AS (
        SELECT monitor_id, successes, failures, durations, duration_sum_us, duration_min_us, duration_max_us,
               coalesce(duration_buckets, '{{}}') AS duration_buckets, coalesce(duration_counts, '{{}}') AS duration_counts,
               distances, distance_sum_us, distance_min_us, distance_max_us,
               coalesce(distance_buckets, '{{}}') AS distance_buckets, coalesce(distance_counts, '{{}}') AS distance_counts, drift_sum_us
        FROM total LEFT JOIN sketch USING (monitor_id)
    )
"""
_MERGED: Final = SQL(_MERGE).format()

ROLL_DAY: Final = SQL("""
    WITH part AS MATERIALIZED (
        SELECT h.* FROM run_hourly h JOIN monitor m ON m.id = h.monitor_id WHERE hour >= %(start)s AND hour < %(end)s
    ), {merge}
    INSERT INTO run_daily (monitor_id, day, {columns})
    SELECT monitor_id, %(day)s::date, {columns} FROM merged
    ON CONFLICT (monitor_id, day) DO UPDATE SET {changed}
""").format(merge=_MERGED, columns=_COLUMNS, changed=_CHANGED)

FROM_PINGS: Final = SQL("SELECT {columns} FROM ({measure}) AS m").format(
    columns=_COLUMNS,
    measure=SQL(_MEASURE).format(kept=SQL("MATERIALIZED"), those=SQL("AND monitor_id = %(monitor_id)s"), ln_growth=_LN_GROWTH),
)

FROM_ROLLUPS: Final = SQL("""
    WITH part AS MATERIALIZED (
        SELECT monitor_id, {columns} FROM run_daily
        WHERE monitor_id = %(monitor_id)s AND day >= %(day_from)s::date AND day < %(day_to)s::date
        UNION ALL
        SELECT monitor_id, {columns} FROM run_hourly
        WHERE monitor_id = %(monitor_id)s AND hour >= %(from_1)s AND hour < %(to_1)s
        UNION ALL
        SELECT monitor_id, {columns} FROM run_hourly
        WHERE monitor_id = %(monitor_id)s AND hour >= %(from_2)s AND hour < %(to_2)s
    ), {merge}
    SELECT {columns} FROM merged
""").format(merge=_MERGED, columns=_COLUMNS)


def roll_hour(connection: Connection, hour: datetime) -> None:
    """Write the rows of one hour of all heartbeats from all its pings."""
    connection.execute(ROLL_HOUR, {"start": hour, "end": hour + HOUR})


def roll_day(connection: Connection, day: datetime) -> None:
    """Write the rows of the day that begins then from its hours."""
    connection.execute(ROLL_DAY, {"start": day, "end": day + DAY, "day": day.date()})


def from_pings(connection: Connection, monitor_id: int, span: Span) -> RunStatistics:
    """What the pings of a span say about one heartbeat."""
    row = connection.execute(FROM_PINGS, {"monitor_id": monitor_id, "start": span.start, "end": span.end}).fetchone()
    return _statistics(row) if row else RunStatistics()


def from_rollups(connection: Connection, monitor_id: int, days: Sequence[Span], hours: Sequence[Span]) -> RunStatistics:
    """What the rollups of whole days (one span at most) and whole hours (two at most) say about one heartbeat."""
    row = connection.execute(FROM_ROLLUPS, {"monitor_id": monitor_id, **pieces_as_parameters(days, hours)}).fetchone()
    return _statistics(row) if row else RunStatistics()


def _statistics(row: Sequence[Any]) -> RunStatistics:
    return RunStatistics(row[0], row[1], _sketch(row[2:8]), _sketch(row[8:14]), row[14])


def _sketch(part: Sequence[Any]) -> ResponseTimes:
    count, total, least, most, buckets, counts = part
    return ResponseTimes(count, total, least, most, dict(zip(buckets, counts, strict=True)))
