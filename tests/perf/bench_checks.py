"""CPU of a check from due to stored and decided, all processes counted: beat, schedule worker, worker, PostgreSQL and Valkey.

PostgreSQL has 256 MB of buffers, a quarter of what the smallest server on AWS has. Every four monitors share a host name with a TTL of
a minute, and one in fifty hangs to its time-out. blackbox_exporter probes the same pages on the same machine at the beginning.
"""

import os
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import psycopg

from core.domain.schedule import next_check_at
from tests.fleet import LARGE, Fleet
from tests.perf import blackbox
from tests.perf.machine import Meter, canned_aws, deployed_python, postgres_server, valkey_server, work_folder
from tests.perf.settings import SETTINGS
from tests.perf.websites import ZONE, Websites, websites
from tests.waiting import until
from tests.websites import SETTINGS as WEBSITE
from tests.websites import make_workspace

HANG_EVERY: Final = 50
MONITORS_OF_A_NAME: Final = 4
"""A site is checked at several URLs, over HTTP and HTTPS. With a time to live of a minute its name is asked for once in each."""
TIMEOUT_MS: Final = 10_000
TOLERANCE: Final = timedelta(milliseconds=100)

type Scheme = Literal["http", "https"]


@dataclass(frozen=True)
class Load:
    """So many monitors, each checked every `interval_s`, measured for `measure_s` once everyone has had two turns."""

    scheme: Scheme
    monitors: int
    interval_s: int
    measure_s: int


@dataclass(frozen=True)
class Plan:
    """The cost curve over HTTP, from few to many; one load over HTTPS; probes of the peer.

    `idle_s`: until a fleet without monitors has loaded what its periodic tasks need and found out that it has little to do; then measured.
    """

    http: tuple[Load, ...]
    restart_at: int
    https: Load
    probes: int
    idle_s: tuple[int, int]


FULL = Plan(
    http=(Load("http", 1000, 60, 60), Load("http", 20_000, 60, 60), Load("http", 100_000, 60, 180)),
    restart_at=20_000,
    https=Load("https", 24_000, 60, 60),
    probes=4000,
    idle_s=(40, 60),
)
QUICK = Plan(
    http=(Load("http", 200, 10, 10), Load("http", 4000, 10, 10)),
    restart_at=4000,
    https=Load("https", 2000, 10, 10),
    probes=800,
    idle_s=(12, 10),
)


def run(quick: bool) -> dict[str, float]:
    """Milliseconds of CPU per check, how late checks start, and what a worker and a result take."""
    plan = QUICK if quick else FULL
    with stack_of_servers() as bench:
        figures = blackbox.probe_cpu_ms(bench.folder, bench.sites, plan.probes)
        figures |= bench.idle(*plan.idle_s)
        costs = []
        for load in plan.http:
            bench.resize(load)
            measured = bench.measure(load)
            costs.append(measured["cpu_ms"])
            figures |= {f"http_{load.monitors}_{key}": value for key, value in measured.items()}
            if load.monitors == plan.restart_at:
                figures["restart_full_coverage_s"] = bench.restart()
        last = plan.http[-1]
        figures |= {
            "monitors": last.monitors,
            "interval_s": last.interval_s,
            "http_check_cpu_ms": costs[-1],
            "lateness_p99_s": figures[f"http_{last.monitors}_lateness_p99_s"],
            "worker_rss_mb": figures[f"http_{last.monitors}_worker_rss_mb"],
            "bytes_per_result": bench.bytes_per_result(),
            "cost_1k_ms": costs[0],
            "cost_100k_over_20k": costs[-1] / costs[-2],
        }
        bench.resize(plan.https)
        https = bench.measure(plan.https)
        figures |= {f"https_{key}": value for key, value in https.items()} | {"https_check_cpu_ms": https["cpu_ms"]}
        for scheme in ("http", "https"):
            figures[f"{scheme}_over_blackbox"] = figures[f"{scheme}_check_cpu_ms"] / figures[f"blackbox_{scheme}_probe_cpu_ms"]
        return figures


class Bench:
    """The whole checker on real servers."""

    def __init__(
        self, folder: Path, sites: Websites, connection: psycopg.Connection, fleet: Fleet, servers: Mapping[str, int]
    ) -> None:
        self.folder = folder
        self.sites = sites
        self.fleet = fleet
        self._connection = connection
        self._servers = dict(servers)
        self._workspace: UUID = make_workspace(connection, datetime.now(UTC))

    def resize(self, load: Load) -> None:
        """Have `load.monitors` monitors in all, and wait until each has had its turn and what hangs has been found down."""
        self._connection.execute(
            "UPDATE website_state SET next_check_at = NULL FROM website w "
            "WHERE w.monitor_id = website_state.monitor_id AND w.url NOT LIKE %s",
            (f"{load.scheme}:%",),
        )
        (present,) = self._row("SELECT count(*) FROM website WHERE url LIKE %s", f"{load.scheme}:%")
        self._add(load, range(present, load.monitors))
        self._connection.execute("VACUUM ANALYZE")
        until(self._all_judged, 180 + 2 * load.interval_s, 0.5)
        time.sleep(load.interval_s)

    def idle(self, settle_s: int, measure_s: int) -> dict[str, float]:
        """What the fleet costs while there is nothing to check, in thousandths of a core."""
        until(lambda: all("ready" in self.fleet.log(name) for name in self.fleet.processes), 120)
        time.sleep(settle_s)
        meter = Meter(self._pids())
        time.sleep(measure_s)
        spent, wall_s = meter.spent(), meter.wall_s()
        del spent["this"]
        mcores = {f"idle_{name}_mcores": 1000 * value / wall_s for name, value in spent.items()}
        return {"idle_fleet_mcores": sum(mcores.values()), **mcores}

    def measure(self, load: Load) -> dict[str, float]:
        """Run for `load.measure_s`."""
        began = datetime.now(UTC)
        meter = Meter(self._pids())
        time.sleep(load.measure_s)
        spent, wall_s = meter.spent(), meter.wall_s()
        del spent["this"]
        rows = self._connection.execute(
            "SELECT monitor_id, checked_at, outcome FROM check_result WHERE checked_at >= %s AND checked_at < %s",
            (began, datetime.now(UTC)),
        ).fetchall()
        late = [_lateness_s(monitor_id, at, load.interval_s) for monitor_id, at, outcome in rows if outcome == 1]
        return {
            "cpu_ms": 1000 * sum(spent.values()) / len(rows),
            **{f"{name}_cpu_ms": 1000 * value / len(rows) for name, value in spent.items()},
            "cores": sum(spent.values()) / wall_s,
            "checks_per_s": len(rows) / wall_s,
            "required_checks_per_s": load.monitors / load.interval_s,
            "up": sum(outcome == 1 for _, _, outcome in rows),
            "down": sum(outcome == 2 for _, _, outcome in rows),
            "unknown": sum(outcome == 3 for _, _, outcome in rows),
            "lateness_p50_s": statistics.median(late),
            "lateness_p99_s": statistics.quantiles(late, n=100)[98],
            "worker_rss_mb": _rss_mb(self.fleet.processes["worker"].pid),
        }

    def restart(self) -> float:
        """Stop the fleet and start it again: seconds until every monitor has been checked by the new one."""
        for name in self.fleet.processes:
            self.fleet.stop(name, 30)
        stopped = datetime.now(UTC)
        began = time.monotonic()
        self.fleet.start()
        until(lambda: self._all_checked(stopped), 300, 0.25)
        return time.monotonic() - began

    def bytes_per_result(self) -> float:
        """On disk, with the index."""
        (size,) = self._row(
            "SELECT sum(pg_total_relation_size(relid)) / (SELECT count(*) FROM check_result) FROM pg_partition_tree('check_result')"
        )
        return float(size)

    def _pids(self) -> dict[str, int]:
        return {**{name: process.pid for name, process in self.fleet.processes.items()}, **self._servers}

    def _all_judged(self) -> bool:
        return self._row("SELECT count(*) FROM website_state WHERE next_check_at IS NOT NULL AND state = 'new'") == (0,)

    def _all_checked(self, since: datetime) -> bool:
        return self._row(
            "SELECT count(*) FROM website_state WHERE next_check_at IS NOT NULL AND last_checked_at < %s", since
        ) == (0,)

    def _row(self, query: str, *arguments: Any) -> tuple[Any, ...]:
        row = self._connection.execute(query, arguments).fetchone()
        assert row
        return row

    def _add(self, load: Load, numbers: range) -> None:
        port = self.sites.http_port if load.scheme == "http" else self.sites.https_port
        settings: dict[str, Any] = {**WEBSITE, "interval_s": load.interval_s, "timeout_ms": TIMEOUT_MS}
        del settings["url"]
        columns, places = ", ".join(settings), ", ".join(f"%({name})s" for name in settings)
        self._connection.execute(
            f"""
            WITH made AS (
                INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at)
                SELECT gen_random_uuid(), %(workspace)s, 'website', 'monitor ' || n, '{{}}', now()
                FROM generate_series(%(first)s::int, %(last)s::int) n
                RETURNING id
            ), settings AS (
                INSERT INTO website (monitor_id, url, {columns})
                SELECT id, %(scheme)s || '://site-' || id / {MONITORS_OF_A_NAME} || '.{ZONE}:'
                           || CASE WHEN id %% {HANG_EVERY} = 0 THEN %(silent)s ELSE %(port)s END || '/', {places}
                FROM made
            )
            INSERT INTO website_state (monitor_id, next_check_at) SELECT id, now() FROM made
            """,
            {
                **settings,
                "workspace": self._workspace,
                "scheme": load.scheme,
                "port": str(port),
                "silent": str(self.sites.silent_port),
                "first": numbers.start + 1,
                "last": numbers.stop,
            },
        )


@contextmanager
def stack_of_servers() -> Iterator[Bench]:
    """PostgreSQL, Valkey, targets and the fleet; all of it is gone after the block."""
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        dsn, database_pid = stack.enter_context(postgres_server(folder, shared_buffers="256MB"))
        broker_url, broker_pid = stack.enter_context(valkey_server())
        sites = stack.enter_context(websites(folder))
        environ = {
            **SETTINGS,
            "DATABASE_URL": dsn,
            "REDIS_URL": broker_url,
            "PRIVATE_TARGETS": "true",
            "AWS_ENDPOINT_URL": stack.enter_context(canned_aws()),
            "NAME_SERVERS": f"127.0.0.1:{sites.names_port}",
            "CA_FILE": str(sites.ca_file),
            "MALLOC_ARENA_MAX": "2",  # as one box and the containers have it
        }
        python = deployed_python()
        commands = {name: (python, *command[1:]) for name, command in LARGE.items()}
        fleet = Fleet(folder, environ, commands, {"worker": {"WORKER_TASKS": "websites"}})
        stack.callback(fleet.close)
        connection = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        fleet.start()
        yield Bench(folder, sites, connection, fleet, {"postgres": database_pid, "valkey": broker_pid})


def _lateness_s(monitor_id: int, at: datetime, interval_s: int) -> float:
    """Since the monitor's latest slot. Two clocks are at work, so a check may seem to start a moment before it."""
    following = next_check_at(monitor_id, interval_s, at + TOLERANCE)
    return interval_s - (following - at).total_seconds()


def _rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6
