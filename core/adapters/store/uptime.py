"""How long monitors were up, down, unknown or in maintenance, in SQL: from facts (`MEASURE`), and from rollups.

An observation is a check result, a ping, the end of a pause, or a deadline of a heartbeat that passed in a silence which proves nothing.
A known one holds until the next, but no longer than the website's tolerance (interval + time-out + retry interval); an unknown one until
the next. What no known observation covers is unknown.
Incidents are down, whatever else is known, but for maintenance; pauses are not counted; nothing is counted before the first check or ping.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from psycopg.sql import SQL, Composed, Literal

from core.adapters.database import Connection
from core.adapters.store.maintenance import IN_SCOPE
from core.domain.outcomes import Outcome
from core.domain.uptime import GROWTH, HOUR, ResponseTimes, Span, Tally

TALLY_COLUMNS: Final = SQL(
    "up_ms, down_ms, unknown_ms, maintenance_ms, results, responses, response_sum_us, response_min_us, response_max_us, "
    "buckets, bucket_counts"
)

_MEASURE: Final = """
    WITH watched AS (
        SELECT m.id AS monitor_id,
               (w.interval_s + w.retry_interval_s) * interval '1 second' + w.timeout_ms * interval '1 millisecond' AS tolerance
        FROM monitor m LEFT JOIN website w ON w.monitor_id = m.id
        WHERE true {monitors}
    ), fact AS {kept} (
        SELECT monitor_id, checked_at AS at, outcome <> {unknown} AS known, CASE outcome WHEN {up} THEN total_us END AS response_us
        FROM check_result WHERE checked_at >= %(scan_from)s AND checked_at < %(end)s {those}
        UNION ALL
        SELECT monitor_id, pinged_at, true, NULL
        FROM ping WHERE pinged_at >= %(scan_from)s AND pinged_at < %(end)s {those}
    ), observed AS (
        SELECT monitor_id, at, known, begins, lead(at) OVER (PARTITION BY monitor_id ORDER BY at, known) AS next_at
        FROM (
            SELECT monitor_id, at, known, true AS begins FROM fact
            UNION ALL
            SELECT monitor_id, last_at, last_known, true
            FROM rollup_hourly WHERE hour = %(hour_before)s {those}
            UNION ALL
            SELECT monitor_id, ended_at, true, false
            FROM monitor_pause WHERE ended_at >= %(scan_from)s AND ended_at < %(end)s {those}
            UNION ALL
            SELECT monitor_id, since, false, false
            FROM heartbeat_unknown WHERE since >= %(scan_from)s AND since < %(end)s {those}
            {overdue}
        ) AS o
    ), line AS (
        SELECT o.monitor_id, min(at) FILTER (WHERE begins) AS first_at, max(at) AS last_at,
               bool_or(known) FILTER (WHERE next_at IS NULL) AS last_known,
               range_agg(tstzrange(CASE WHEN known THEN at + tolerance ELSE at END, coalesce(next_at, 'infinity')))
                   FILTER (WHERE NOT known OR at + tolerance < coalesce(next_at, %(end)s)) AS gaps
        FROM observed o JOIN watched USING (monitor_id)
        GROUP BY o.monitor_id
        HAVING bool_or(begins)
    ), outage AS (
        SELECT monitor_id, range_agg(tstzrange(began_at, coalesce(resolved_at, 'infinity'))) AS spans
        FROM incident WHERE began_at < %(end)s AND (resolved_at IS NULL OR resolved_at > %(start)s) {those}
        GROUP BY monitor_id
    ), pause AS (
        SELECT monitor_id, range_agg(tstzrange(began_at, coalesce(ended_at, 'infinity'))) AS spans
        FROM monitor_pause WHERE began_at < %(end)s AND (ended_at IS NULL OR ended_at > %(start)s) {those}
        GROUP BY monitor_id
    ), work AS (
        SELECT m.id AS monitor_id, range_agg(tstzrange(i.starts_at, i.ends_at)) AS spans
        FROM unnest(%(window_ids)s::uuid[], %(windows_start)s::timestamptz[], %(windows_end)s::timestamptz[])
          AS i (window_id, starts_at, ends_at)
        JOIN maintenance_window w ON w.id = i.window_id
        JOIN monitor m ON m.workspace_id = w.workspace_id AND {in_scope} {monitors}
        GROUP BY m.id
    ), span AS (
        SELECT l.monitor_id, l.last_at, l.last_known,
               tstzmultirange(tstzrange(least(greatest(l.first_at, %(start)s), %(end)s), %(end)s)) - coalesce(p.spans, '{{}}') AS counted,
               coalesce(o.spans, '{{}}') AS down, coalesce(l.gaps, '{{}}') AS gaps, coalesce(w.spans, '{{}}') AS work
        FROM line l LEFT JOIN outage o USING (monitor_id) LEFT JOIN pause p USING (monitor_id) LEFT JOIN work w USING (monitor_id)
    ), length AS (
        SELECT monitor_id, last_at, last_known,
               {counted} AS counted_ms, {down} AS down_ms, {gaps} AS unknown_ms, {work} AS maintenance_ms
        FROM span
    ), bucket AS (
        SELECT monitor_id, ceil(ln(greatest(response_us, 1)::float8) / {ln_growth})::smallint AS bucket, count(*) AS results,
               count(response_us) AS responses, sum(response_us) AS sum_us, min(response_us) AS min_us, max(response_us) AS max_us
        FROM (SELECT monitor_id, response_us FROM fact WHERE at >= %(start)s) AS f
        GROUP BY monitor_id, ceil(ln(greatest(response_us, 1)::float8) / {ln_growth})::smallint
    ), sketch AS (
        SELECT monitor_id, sum(results) AS results, sum(responses) AS responses, sum(sum_us) AS sum_us, min(min_us) AS min_us,
               max(max_us) AS max_us, array_agg(bucket ORDER BY bucket) FILTER (WHERE responses > 0) AS buckets,
               array_agg(responses::int ORDER BY bucket) FILTER (WHERE responses > 0) AS counts
        FROM bucket GROUP BY monitor_id
    )
    SELECT l.monitor_id, l.last_at, l.last_known, l.counted_ms - l.down_ms - l.unknown_ms - l.maintenance_ms AS up_ms, l.down_ms,
           l.unknown_ms, l.maintenance_ms, coalesce(s.results, 0)::int AS results, coalesce(s.responses, 0)::int AS responses,
           coalesce(s.sum_us, 0)::bigint AS response_sum_us, s.min_us AS response_min_us, s.max_us AS response_max_us,
           coalesce(s.buckets, '{{}}') AS buckets, coalesce(s.counts, '{{}}') AS bucket_counts
    FROM length l LEFT JOIN sketch s USING (monitor_id)
"""

_OVERDUE: Final = SQL("""
            UNION ALL
            SELECT s.monitor_id, greatest(s.deadline_at, %(scan_from)s), false, false
            FROM heartbeat_state s JOIN monitor m ON m.id = s.monitor_id
            WHERE s.monitor_id = ANY(%(ids)s::bigint[]) AND s.deadline_at < %(end)s AND s.state <> 'down' AND m.paused_at IS NULL
""")
"""Heartbeats that nobody has judged yet. What is rolled up leaves them out: the verdict marks the hours that it changes."""

STORED: Final = SQL("""
    WITH part AS (
        SELECT {columns} FROM rollup_daily
        WHERE monitor_id = %(monitor_id)s AND day >= %(day_from)s::date AND day < %(day_to)s::date
        UNION ALL
        SELECT {columns} FROM rollup_hourly
        WHERE monitor_id = %(monitor_id)s AND (hour >= %(from_1)s AND hour < %(to_1)s)
        UNION ALL
        SELECT {columns} FROM rollup_hourly
        WHERE monitor_id = %(monitor_id)s AND (hour >= %(from_2)s AND hour < %(to_2)s)
    ), merged AS (
        SELECT bucket, sum(n)::bigint AS n
        FROM (SELECT unnest(buckets) AS bucket, unnest(bucket_counts) AS n FROM part) AS b GROUP BY bucket
    )
    SELECT coalesce(sum(up_ms), 0)::bigint, coalesce(sum(down_ms), 0)::bigint, coalesce(sum(unknown_ms), 0)::bigint,
           coalesce(sum(maintenance_ms), 0)::bigint, coalesce(sum(results), 0)::bigint, coalesce(sum(responses), 0)::bigint,
           coalesce(sum(response_sum_us), 0)::bigint, min(response_min_us), max(response_max_us),
           (SELECT coalesce(array_agg(bucket), '{{}}') FROM merged), (SELECT coalesce(array_agg(n), '{{}}') FROM merged)
    FROM part
""").format(columns=TALLY_COLUMNS)

_LENGTH: Final = """
    CASE WHEN isempty(multirange) THEN 0
    ELSE (SELECT round(1000 * sum(extract(epoch FROM upper(r) - lower(r)))) FROM unnest(multirange) AS r)::bigint END
"""

ROLLED_UNTIL: Final = "SELECT max(hour) + interval '1 hour' FROM rolled_hour"

EMPTY: Final = Span(datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC))


def measure(*, chosen: bool, judged: bool = True) -> Composed:
    """The statement that measures `start` to `end`, looking at facts since the hour `scan_from` and at what is kept of `hour_before`.

    All four are parameters, and none is computed in the statement: PostgreSQL leaves partitions out by constants only. So are the intervals
    of maintenance, see `as_parameters`.

    Gives `monitor_id, last_at, last_known` and `TALLY_COLUMNS` by name. With `chosen` for the ids in the parameter `ids` only, and then
    without `judged` unknown, too, where a heartbeat is overdue and waits for its verdict.
    """
    return SQL(_MEASURE).format(
        monitors=SQL("AND m.id = ANY(%(ids)s::bigint[])" if chosen else ""),
        those=SQL("AND monitor_id = ANY(%(ids)s::bigint[])" if chosen else ""),
        overdue=SQL("") if judged else _OVERDUE,
        up=Literal(int(Outcome.UP)),
        unknown=Literal(int(Outcome.UNKNOWN)),
        kept=SQL("MATERIALIZED" if chosen else "NOT MATERIALIZED"),
        ln_growth=SQL(f"ln({GROWTH}::float8)"),
        counted=_length("counted"),
        down=_length("counted * down - work"),
        gaps=_length("counted * gaps - down - work"),
        work=_length("counted * work"),
        in_scope=IN_SCOPE,
    )


def rolled_until(connection: Connection) -> datetime | None:
    """The end of the last hour that is rolled up; None when none is."""
    row = connection.execute(ROLLED_UNTIL).fetchone()
    return row[0] if row else None


def as_parameters(maintenance: Sequence[tuple[UUID, Span]]) -> dict[str, Any]:
    """Intervals of maintenance windows, with the ids of these, as `measure` wants them."""
    return {
        "window_ids": [window_id for window_id, _ in maintenance],
        "windows_start": [span.start for _, span in maintenance],
        "windows_end": [span.end for _, span in maintenance],
    }


def from_facts(
    connection: Connection, monitor_id: int, span: Span, scan_from: datetime, maintenance: Sequence[tuple[UUID, Span]] = ()
) -> Tally:
    """What the facts say about one monitor. Hours before `scan_from` are rolled up, or there are none."""
    parameters = {
        "start": span.start,
        "end": span.end,
        "scan_from": scan_from,
        "hour_before": scan_from - HOUR,
        "ids": [monitor_id],
        **as_parameters(maintenance),
    }
    row = connection.execute(_FROM_FACTS, parameters).fetchone()
    return _tally(row) if row else Tally()


def from_rollups(connection: Connection, monitor_id: int, days: Sequence[Span], hours: Sequence[Span]) -> Tally:
    """What the rollups of whole days (one span at most) and whole hours (two at most) say about one monitor."""
    row = connection.execute(STORED, {"monitor_id": monitor_id, **pieces_as_parameters(days, hours)}).fetchone()
    return _tally(row) if row else Tally()


def pieces_as_parameters(days: Sequence[Span], hours: Sequence[Span]) -> dict[str, Any]:
    """Whole days (one span at most) and whole hours (two at most) as parameters of a statement that reads rollups."""
    [day] = days or [EMPTY]
    first, second = [*hours, EMPTY, EMPTY][:2]
    return {
        "day_from": day.start.date(),
        "day_to": day.end.date(),
        "from_1": first.start,
        "to_1": first.end,
        "from_2": second.start,
        "to_2": second.end,
    }


def _tally(row: Sequence[Any]) -> Tally:
    times = ResponseTimes(row[5], row[6], row[7], row[8], dict(zip(row[9], row[10], strict=True)))
    return Tally(row[0], row[1], row[2], row[3], row[4], times)


def _length(multirange: str) -> SQL:
    """Milliseconds in a multirange; nothing is added up where it is empty, as it mostly is."""
    return SQL(_LENGTH.replace("multirange", multirange))


_FROM_FACTS: Final = SQL("SELECT {columns} FROM ({measure}) AS m").format(
    columns=TALLY_COLUMNS, measure=measure(chosen=True, judged=False)
)
