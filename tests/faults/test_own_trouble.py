"""Trouble of our own while every target is up: nobody is called down, and an outage that begins meanwhile is found afterwards.

Websites are called down by a single failure here, so that not even one may count.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from core.local import valkey
from tests.faults.targets import Targets
from tests.faults.test_checker_faults import Broker, Database, broker, database
from tests.fleet import Fleet
from tests.hostile import NameServer, Zone
from tests.waiting import until
from tests.websites import make_website, make_workspace

__all__ = ["broker", "database"]  # fixtures that these tests share
pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

WEBSITES = 280
FAILING = 20
EVERY_S = 5
STRICT = {"interval_s": EVERY_S, "retry_interval_s": 2, "failure_threshold": 1, "timeout_ms": 2000}


class Names:
    """A name server of the test's own, on a thread: every name is on loopback, until it falls silent."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._zone = Zone(("127.0.0.1",), ttl=5)
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)  # a burst of questions must not be lost
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)
        making = self._loop.create_datagram_endpoint(lambda: NameServer({}, self._zone), sock=listening)
        self._transport, self.server = asyncio.run_coroutine_threadsafe(making, self._loop).result(10)

    def answer(self, zone: Zone | None = None) -> None:
        """Answer every question like this from now on."""
        self.server.otherwise = zone or self._zone

    def close(self) -> None:
        """Stop."""
        self._loop.call_soon_threadsafe(self._transport.close)
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.05), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def names() -> Iterator[Names]:
    held = Names()
    yield held
    held.close()


@pytest.fixture
def targets() -> Iterator[tuple[Targets, Targets]]:
    """Most websites are on the first, those that really fail on the second."""
    held = Targets(), Targets()
    yield held
    for each in held:
        each.kill()


@pytest.fixture
def fleet(database: Database, broker: Broker, names: Names, targets: tuple[Targets, Targets], tmp_path: Path) -> Iterator[Fleet]:
    """Canaries are on the same network and ask the same name server as the websites."""
    environ = {
        "DATABASE_URL": database.server.dsn(),
        "REDIS_URL": valkey.url(broker.port),
        "PRIVATE_TARGETS": "true",
        "NAME_SERVERS": names.server.address,
        "CANARY_URLS": targets[0].url(),
        "CANARY_NAMES": "canary.test",
    }
    running = Fleet(tmp_path, environ)
    yield running
    running.close()


def watch(database: Database, targets: tuple[Targets, Targets]) -> set[int]:
    """The ids of the websites that will really fail."""
    now = datetime.now(UTC)
    with psycopg.connect(database.server.dsn(), options="-c timezone=UTC") as connection:
        workspace = make_workspace(connection, now)
        for number in range(WEBSITES):
            due = now + timedelta(seconds=2 * EVERY_S * number / WEBSITES)  # all at once would be more than one name server takes
            make_website(connection, workspace, due, url=targets[0].url(f"shop{number}.test"), **STRICT)
        return {
            make_website(connection, workspace, now, url=targets[1].url(f"down{number}.test"), **STRICT)
            for number in range(FAILING)
        }


def count(database: Database, where: str) -> int:
    return int(database.ask(f"SELECT count(*) FROM website_state WHERE {where}")[0][0])


def all_up(database: Database) -> None:
    until(lambda: count(database, "state = 'up'") == WEBSITES + FAILING, 60, 0.2)


def checked_since(database: Database, moment: datetime) -> None:
    """Everybody was checked and judged again."""
    known = f"last_checked_at > '{moment}' AND last_outcome <> 3"
    until(lambda: count(database, known) == WEBSITES + FAILING, 60, 0.2)


def only_they_are_down(database: Database, failing: set[int]) -> None:
    """Those that really failed are down by now, and nobody else ever was."""
    until(lambda: count(database, "state = 'down'") >= FAILING, 60, 0.2)
    checked_since(database, datetime.now(UTC))
    told = dict(database.ask("SELECT monitor_id, facts->'incident'->>'detail' FROM alert WHERE alert_type = 'down'"))
    assert {monitor_id: detail for monitor_id, detail in told.items() if monitor_id not in failing} == {}
    assert told.keys() == failing


def unknown_checks(database: Database) -> dict[int, int]:
    return dict(database.ask("SELECT reason, count(*) FROM check_result WHERE outcome = 3 GROUP BY reason"))


def test_a_worker_that_was_stopped_blames_nobody(database: Database, fleet: Fleet, targets: tuple[Targets, Targets]) -> None:
    failing = watch(database, targets)
    fleet.start()
    all_up(database)
    os.kill(fleet.processes["worker"].pid, signal.SIGSTOP)
    time.sleep(10)
    targets[1].kill()
    time.sleep(10)
    os.kill(fleet.processes["worker"].pid, signal.SIGCONT)
    only_they_are_down(database, failing)
    assert unknown_checks(database).get(84, 0) > 0, "windows were missed"


@contextmanager
def starved(fleet: Fleet) -> Iterator[None]:
    """Busy processes on every core, which go first."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        for thread in Path(f"/proc/{fleet.processes['worker'].pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), 19)
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait(10)


def test_a_starved_worker_blames_nobody(database: Database, fleet: Fleet, targets: tuple[Targets, Targets]) -> None:
    failing = watch(database, targets)
    fleet.start()
    all_up(database)
    with starved(fleet):
        time.sleep(15)
        targets[1].kill()
        time.sleep(15)
    only_they_are_down(database, failing)


@pytest.mark.parametrize("answer", [Zone(silent=True), Zone(rcode=2), Zone(rcode=3)], ids=["silent", "servfail", "nxdomain"])
def test_a_dead_name_server_is_nobody_s_outage(
    database: Database, fleet: Fleet, targets: tuple[Targets, Targets], names: Names, answer: Zone
) -> None:
    failing = watch(database, targets)
    fleet.start()
    all_up(database)
    names.answer(answer)
    until(lambda: unknown_checks(database).get(80, 0) > WEBSITES, 60, 0.2)
    targets[1].kill()
    time.sleep(10)
    names.answer()
    only_they_are_down(database, failing)


def test_a_network_that_is_cut_off_is_nobody_s_outage(database: Database, fleet: Fleet, targets: tuple[Targets, Targets]) -> None:
    failing = watch(database, targets)
    fleet.start()
    all_up(database)
    for each in targets:
        each.hang()
    until(lambda: unknown_checks(database).get(81, 0) > WEBSITES, 60, 0.2)
    targets[1].kill()
    time.sleep(10)
    targets[0].go_on()
    only_they_are_down(database, failing)
    assert fleet.log("worker").count("own_trouble.began") == 1


def test_a_large_hoster_that_fails_is_down_for_each_and_on_time(
    database: Database, fleet: Fleet, targets: tuple[Targets, Targets]
) -> None:
    """The canary is on the other one."""
    now = datetime.now(UTC)
    with psycopg.connect(database.server.dsn(), options="-c timezone=UTC") as connection:
        workspace = make_workspace(connection, now)
        for number in range(WEBSITES + FAILING):
            make_website(connection, workspace, now, url=targets[number % 10 < 7].url(f"shop{number}.test"), **STRICT)
    fleet.start()
    all_up(database)
    targets[1].kill()
    until(lambda: count(database, "state = 'down'") == (WEBSITES + FAILING) * 7 // 10, EVERY_S + 10, 0.2)
    assert unknown_checks(database).keys() <= {82, 84}
