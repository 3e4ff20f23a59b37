"""The website loop loses its parts, one at a time, and goes on by itself: nobody restarts a worker, nothing is reported falsely."""

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from core.local import valkey
from tests.faults.servers import Broker, Database, broker, database
from tests.fleet import Fleet, Target
from tests.waiting import until
from tests.websites import make_website, make_workspace

__all__ = ["broker", "database"]  # fixtures from their own module
pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

QUICK = {"interval_s": 2, "retry_interval_s": 1, "failure_threshold": 2, "timeout_ms": 2000}


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
