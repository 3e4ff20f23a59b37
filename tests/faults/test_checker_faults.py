"""The website loop loses its parts, one at a time, and goes on by itself: nobody restarts a worker, nothing is reported falsely."""

import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from core.local import postgres, valkey
from core.local.postgres import PostgresServer
from tests.conftest import _migrate, free_port
from tests.fleet import Fleet, Target
from tests.waiting import until
from tests.websites import make_website, make_workspace

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

QUICK = {"interval_s": 2, "retry_interval_s": 1, "failure_threshold": 2, "timeout_ms": 2000}


class Database:
    """A PostgreSQL of the test's own, which may be killed and started again."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.server.argv(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.server.process_options()
        )
        self.server.wait_ready()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(30)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.server.dsn(), options="-c timezone=UTC") as connection:
            return connection.execute(query).fetchall()

    def checks(self) -> int:
        return int(self.ask("SELECT count(*) FROM check_result")[0][0])


class Broker:
    """A Valkey of the test's own, on a port that it keeps."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(valkey.argv(self.port), stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(10)


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("postgres")
    for folder in (home, *home.parents):
        if not folder.stat().st_mode & 0o001 and folder.owner() == Path.home().owner():
            folder.chmod(folder.stat().st_mode | 0o011)
    home.chmod(0o755)
    held = Database(postgres.locate(home, free_port(), secrets.token_hex(8)))
    held.server.prepare()
    held.start()
    try:
        held.server.create_database()
        _migrate(held.server.dsn())
        yield held
    finally:
        held.stop(signal.SIGQUIT)


@pytest.fixture
def broker() -> Iterator[Broker]:
    held = Broker()
    held.start()
    yield held
    held.kill()


@pytest.fixture
def target() -> Iterator[Target]:
    served = Target()
    yield served
    served.close()


@pytest.fixture
def fleet(database: Database, broker: Broker, tmp_path: Path) -> Iterator[Fleet]:
    environ = {"DATABASE_URL": database.server.dsn(), "REDIS_URL": valkey.url(broker.port), "PRIVATE_TARGETS": "true"}
    running = Fleet(tmp_path, environ)
    yield running
    running.close()


def watch(database: Database, url: str, count: int = 1, **settings: int) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(database.server.dsn(), options="-c timezone=UTC") as connection:
        workspace = make_workspace(connection, now)
        for _ in range(count):
            make_website(connection, workspace, now, url=url, **{**QUICK, **settings})


def flows(database: Database, more: int = 10) -> None:
    """Checks are being stored."""
    before = database.checks()
    until(lambda: database.checks() >= before + more, 60, 0.1)


def nobody_was_alarmed(database: Database) -> None:
    assert database.ask("SELECT alert_type FROM alert") == []
    assert database.ask("SELECT count(*) FROM check_result WHERE outcome = 2") == [(0,)]


def test_the_broker_dies_and_comes_back_empty(database: Database, broker: Broker, fleet: Fleet, target: Target) -> None:
    watch(database, target.url, 5)
    fleet.start()
    flows(database)
    for _ in range(3):
        broker.kill()
        until(lambda: any("lost" in fleet.log(n).lower() or "error" in fleet.log(n).lower() for n in ("worker", "schedule")), 30)
        broker.start()
        flows(database)
    assert fleet.alive()
    nobody_was_alarmed(database)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_the_database_restarts(database: Database, fleet: Fleet, target: Target, how: signal.Signals) -> None:
    watch(database, target.url, 5)
    fleet.start()
    flows(database)
    for _ in range(2):
        database.stop(how)
        until(lambda: "Connection refused" in fleet.log("worker") and "Connection refused" in fleet.log("schedule"), 60)
        database.start()
        flows(database)
    assert fleet.alive()
    nobody_was_alarmed(database)


def test_what_a_killed_worker_held_is_checked_by_another_when_its_lease_ends(database: Database, fleet: Fleet) -> None:
    with ExitStack() as sockets:
        silent = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
        watch(database, f"http://127.0.0.1:{silent.getsockname()[1]}/", 3, timeout_ms=3000)
        fleet.start()
        silent.settimeout(40)
        held = [sockets.enter_context(silent.accept()[0]) for _ in range(3)]
        fleet.kill("worker")
        killed_at = datetime.now(UTC)
        leases = dict(database.ask("SELECT monitor_id, leased_until FROM website_state WHERE lease_id IS NOT NULL"))
        fleet.start("worker")
        again = f"SELECT monitor_id, min(checked_at) FROM check_result WHERE checked_at > '{killed_at}' GROUP BY monitor_id"
        until(lambda: len(database.ask(again)) == 3, 60)
        rechecked = dict(database.ask(again))
    assert len(held) == len(leases) == 3
    assert all(rechecked[monitor_id] >= leased_until for monitor_id, leased_until in leases.items())


def test_beat_is_killed_and_started_again(database: Database, fleet: Fleet, target: Target) -> None:
    watch(database, target.url, 5)
    fleet.start()
    flows(database)
    fleet.kill("beat")
    fleet.start("beat")
    flows(database)
    nobody_was_alarmed(database)


def test_the_fleet_waits_for_a_broker_and_a_database_that_come_later(
    database: Database, broker: Broker, fleet: Fleet, target: Target
) -> None:
    watch(database, target.url, 5)
    broker.kill()
    database.stop()
    fleet.start()
    until(lambda: all("Cannot connect" in fleet.log(name) for name in ("worker", "schedule")), 60)
    broker.start()
    until(lambda: "ready." in fleet.log("worker"), 60)
    database.start()
    flows(database)
    assert fleet.alive()
    nobody_was_alarmed(database)
