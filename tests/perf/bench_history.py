"""The history of a heartbeat that has pinged every minute for a year: its statistics, and pages of its pings, through the API.

The statistics are compared with the same figures computed from the pings themselves, in the same run.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from core.adapters.store.uptime import rolled_until
from core.domain.uptime import HOUR, floor_day, floor_hour
from core.flows import heartbeat_statistics
from tests.heartbeats import make_heartbeat
from tests.perf.machine import Meter, postgres_server, work_folder

DAYS, QUICK_DAYS = 365, 35
CALLS, QUICK_CALLS = 100, 20
RAW_CALLS = 5
ROLLED = timedelta(days=31)

FILL = """
    INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, method, source_ip, user_agent, body_size, body_truncated, rid,
                      started_at, due_at)
    SELECT gen_random_uuid(), %(monitor_id)s, n, at, CASE WHEN n %% 500 = 0 THEN 'fail' ELSE 'success' END, 'POST', '192.0.2.9',
           'curl/8.9.1', 512, false, gen_random_uuid(), at - random() * interval '40 seconds', at - random() * interval '3 seconds'
    FROM (SELECT n, %(begin)s::timestamptz + n * interval '1 minute' AS at FROM generate_series(1, %(pings)s) AS n) AS p
"""
RAW = """
    SELECT count(*), percentile_disc(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY pinged_at - started_at),
           avg(pinged_at - started_at), max(pinged_at - started_at), avg(pinged_at - due_at),
           percentile_disc(0.95) WITHIN GROUP (ORDER BY greatest(pinged_at - due_at, due_at - pinged_at))
    FROM ping WHERE monitor_id = %s AND pinged_at >= %s AND kind = 'success'
"""


def run(quick: bool) -> dict[str, float]:
    """CPU milliseconds of a call, the API's process and PostgreSQL together, and the median of a call by the clock."""
    days, calls = (QUICK_DAYS, QUICK_CALLS) if quick else (DAYS, CALLS)
    now = datetime.now(UTC)
    with ExitStack() as stack:
        dsn, database = stack.enter_context(postgres_server(stack.enter_context(work_folder())))
        monitor_id = _fill(dsn, now, days)
        roll_s = _roll(dsn, now)
        api = json.loads(
            subprocess.run(
                [sys.executable, "-m", "tests.perf.history_calls", dsn, str(database), str(calls)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout.splitlines()[-1]
        )
        with psycopg.connect(dsn, autocommit=True) as connection:
            raw = measured(
                lambda: connection.execute(RAW, (monitor_id, now - timedelta(days=30))).fetchall(),
                RAW_CALLS,
                {"postgres": database},
            )
    figures = {f"{what}_{key}": value for what, found in api.items() for key, value in found.items()}
    return {
        **figures,
        "statistics_from_pings_cpu_ms": raw["cpu_ms"],
        "statistics_from_pings_over_rollups": raw["cpu_ms"] / api["statistics"]["cpu_ms"],
        "roll_hour_ms": 1000 * roll_s,
        "days": days,
    }


def measured(call: Callable[[], Any], count: int, pids: dict[str, int]) -> dict[str, float]:
    """CPU and clock of one call, after some that nobody counts."""
    for _ in range(7):  # past the point where a statement is prepared
        call()
    walls = []
    meter = Meter(pids)
    for _ in range(count):
        began = time.perf_counter()
        call()
        walls.append(time.perf_counter() - began)
    return {"cpu_ms": 1000 * sum(meter.spent().values()) / count, "median_ms": 1000 * statistics.median(walls)}


def _fill(dsn: str, now: datetime, days: int) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        uid = make_heartbeat(connection, now - timedelta(days=days), "every minute")
        connection.execute("UPDATE monitor SET created_at = %s", (now - timedelta(days=days),))
        for parent, ago in (("ping", days), ("run_hourly", ROLLED.days + 1)):
            connection.execute(
                "SELECT ensure_day_partitions(%s, %s::date, %s)", (parent, (now - timedelta(days=ago)).date(), ago + 2)
            )
        row = connection.execute("SELECT id FROM monitor WHERE uid = %s", (uid,)).fetchone()
        assert row
        parameters = {"monitor_id": row[0], "begin": now - timedelta(days=days), "pings": days * 1440 - 1}
        connection.execute(FILL, parameters)
        connection.execute("VACUUM ANALYZE")
        return int(row[0])


def _roll(dsn: str, now: datetime) -> float:
    """Roll up the hours that the longest window needs; returns the seconds that one took."""
    last = floor_hour(now)
    hour, count = floor_day(last - ROLLED), 0
    began = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:
        while hour < last:
            heartbeat_statistics.roll(connection, hour)
            hour, count = hour + HOUR, count + 1
        took = time.perf_counter() - began
        connection.execute("INSERT INTO rolled_hour VALUES (%s, 0, %s)", (last - HOUR, now))
        connection.execute("VACUUM ANALYZE")
        assert rolled_until(connection) == last
    return took / count
