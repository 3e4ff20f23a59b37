"""CPU of a check from due to stored and decided, all processes counted: beat, schedule worker, worker, PostgreSQL and Valkey."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from core.domain.schedule import next_check_at
from tests.fleet import Fleet
from tests.perf.machine import cpu_s, postgres_server, valkey_server, work_folder
from tests.perf.settings import SETTINGS
from tests.waiting import until
from tests.websites import SETTINGS as WEBSITE
from tests.websites import make_workspace


@dataclass(frozen=True)
class Load:
    """So many monitors, checked every `interval_s`, measured for `measure_s` after everyone has had a turn."""

    monitors: int
    interval_s: int
    measure_s: int


def run(quick: bool) -> dict[str, float]:
    """Milliseconds of CPU per check, and how late checks start."""
    load = Load(monitors=500, interval_s=5, measure_s=10) if quick else Load(monitors=2000, interval_s=10, measure_s=30)
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        dsn, database_pid = stack.enter_context(postgres_server(folder))
        broker_url, broker_pid = stack.enter_context(valkey_server())
        target = stack.enter_context(_target())
        fleet = Fleet(folder, {**SETTINGS, "DATABASE_URL": dsn, "REDIS_URL": broker_url, "PRIVATE_TARGETS": "true"})
        stack.callback(fleet.close)
        connection = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        _fill(connection, load, target)
        fleet.start()
        pids = {name: process.pid for name, process in fleet.processes.items()}
        return _measure(connection, load, {**pids, "postgres": database_pid, "valkey": broker_pid})


def _measure(connection: psycopg.Connection, load: Load, pids: dict[str, int]) -> dict[str, float]:
    query = "SELECT count(*) FROM website_state WHERE last_checked_at IS NULL"
    until(lambda: connection.execute(query).fetchone() == (0,), 60 + load.interval_s, 0.5)
    time.sleep(load.interval_s)  # the crowd that was due at once finds its own slots
    began, before = datetime.now(UTC), {name: cpu_s(pid) for name, pid in pids.items()}
    time.sleep(load.measure_s)
    spent = {name: cpu_s(pid) - before[name] for name, pid in pids.items()}
    rows = connection.execute(
        "SELECT monitor_id, checked_at FROM check_result WHERE checked_at >= %s AND outcome = 1", (began,)
    ).fetchall()
    late = [_lateness_s(monitor_id, at, load.interval_s) for monitor_id, at in rows]
    size = connection.execute(
        "SELECT sum(pg_total_relation_size(relid)) / (SELECT count(*) FROM check_result) FROM pg_partition_tree('check_result')"
    ).fetchone()
    return {
        "http_check_cpu_ms": 1000 * sum(spent.values()) / len(rows),
        **{f"http_check_cpu_{name}_ms": 1000 * value / len(rows) for name, value in spent.items()},
        "monitors": load.monitors,
        "interval_s": load.interval_s,
        "checks": len(rows),
        "lateness_p50_s": statistics.median(late),
        "lateness_p99_s": statistics.quantiles(late, n=100)[98],
        "worker_rss_mb": _rss_mb(pids["worker"]),
        "bytes_per_result": float(size[0]) if size else 0.0,
    }


def _lateness_s(monitor_id: int, at: datetime, interval_s: int) -> float:
    following = next_check_at(monitor_id, interval_s, at)
    return interval_s - (following - at).total_seconds()


def _fill(connection: psycopg.Connection, load: Load, url: str) -> None:
    now = datetime.now(UTC)
    workspace = make_workspace(connection, now)
    connection.execute(
        "INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at) "
        "SELECT gen_random_uuid(), %s, 'website', 'monitor ' || n, '{}', %s FROM generate_series(1, %s) n",
        (workspace, now, load.monitors),
    )
    settings: dict[str, Any] = {**WEBSITE, "url": url, "interval_s": load.interval_s}
    columns, places = ", ".join(settings), ", ".join(f"%({name})s" for name in settings)
    connection.execute(f"INSERT INTO website (monitor_id, {columns}) SELECT id, {places} FROM monitor", settings)
    connection.execute("INSERT INTO website_state (monitor_id, next_check_at) SELECT id, now() FROM monitor")
    connection.execute("ANALYZE")


@contextmanager
def _target() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", "tests.perf.target"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.terminate()


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6
