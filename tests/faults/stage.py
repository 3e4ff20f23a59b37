"""The stage of the trouble tests: a whole fleet, 2,000 websites that are up, some of which really fail meanwhile.

Websites are called down by a single failure here, so that not even one may count. `FAULTS_SCALE=0.1` makes everything a tenth as large
and as long, for developing.
"""

import asyncio
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg
import pytest

from core.domain.outcomes import Outcome, Reason
from core.local import valkey
from tests.faults.servers import Broker, Database
from tests.faults.targets import Targets
from tests.fleet import Fleet
from tests.hostile import NameServer, Zone
from tests.waiting import until
from tests.websites import make_website, make_workspace

SCALE: Final = float(os.environ.get("FAULTS_SCALE", "1"))
WEBSITES: Final = round(2000 * SCALE)
FAILING: Final = max(round(40 * SCALE), 10)
EVERY_S: Final = 10
STRICT: Final = {"interval_s": EVERY_S, "retry_interval_s": 2, "failure_threshold": 1, "timeout_ms": 2000}
PATIENCE_S: Final = 90.0


def spell(seconds: float) -> float:
    """How long a trouble lasts that has `seconds` at full scale."""
    return max(seconds * SCALE, min(seconds, 2.5 * EVERY_S))


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


@dataclass
class Stage:
    """Everything together. Most websites are on `healthy`; of those that really fail, half will refuse and half will hang.

    `clock_set_by` is by how much the fleet's wall clock differs from ours.
    """

    database: Database
    fleet: Fleet
    healthy: Targets
    refusing: Targets
    hanging: Targets
    clock_set_by: timedelta = timedelta()
    failing: set[int] = field(default_factory=set)
    figures: dict[str, object] = field(default_factory=dict)
    unknown_before: Counter[str] = field(default_factory=Counter)

    def rise(self) -> None:
        """Watch, start, and return once every website was found up."""
        self.watch({self.healthy: WEBSITES, self.refusing: FAILING // 2, self.hanging: FAILING - FAILING // 2})
        self.fleet.start()
        self.all_up()
        self.unknown_before = self.unknown_checks()

    def watch(self, sites: dict[Targets, int]) -> None:
        """So many websites on each, due one after the other; those that are not `healthy` will fail."""
        now = datetime.now(UTC)
        with psycopg.connect(self.database.server.dsn(), options="-c timezone=UTC") as connection:
            workspace = make_workspace(connection, now)
            for targets, number in sites.items():
                for n in range(number):
                    due = now + timedelta(seconds=EVERY_S * n / number)
                    made = make_website(connection, workspace, due, url=targets.url(f"shop{targets.port}-{n}.test"), **STRICT)
                    if targets is not self.healthy:
                        self.failing.add(made)

    def all_up(self) -> None:
        until(lambda: self.count("state = 'up'") == WEBSITES + FAILING, PATIENCE_S, 0.5)

    def suffer(self, seconds: float) -> None:
        """Let the trouble last; in the middle of it the failing ones really fail."""
        time.sleep(seconds / 2)
        self.begin_outage()
        time.sleep(seconds / 2)

    def begin_outage(self) -> None:
        self.refusing.kill()
        self.hanging.hang()

    def only_they_are_down(self) -> None:
        """The trouble is over: those that really failed are found, and nobody else ever was called down."""
        began = time.monotonic()
        until(lambda: self.count("state = 'down'") >= FAILING, PATIENCE_S, 0.2)
        self.figures["outage_found_after_s"] = round(time.monotonic() - began, 1)
        self.checked_since(datetime.now(UTC) + self.clock_set_by)
        self.figures["all_known_again_after_s"] = round(time.monotonic() - began, 1)
        self.figures |= {"checks": self.database.checks(), "unknown": dict(self.unknown_checks())}
        print(f"\n{self.figures}")  # noqa: T201  (the figures of these tests)
        blamed = self.database.ask(
            "SELECT monitor_id, created_at, facts->'incident'->>'reason', facts->'incident'->>'detail' FROM alert WHERE alert_type = 'down'"
        )
        falsely = [list(map(str, row)) for row in blamed if row[0] not in self.failing]
        assert not falsely, f"{len(falsely)} called down falsely, among them {falsely[:10]}"
        assert {row[0] for row in blamed} == self.failing
        failed = {row[0] for row in self.database.ask(f"SELECT monitor_id FROM check_result WHERE outcome = {Outcome.DOWN:d}")}
        assert failed == self.failing
        assert self.count("state = 'up'") == WEBSITES

    def checked_since(self, moment: datetime) -> None:
        """Everybody was checked and judged again."""
        known = f"last_checked_at > '{moment}' AND last_outcome <> {Outcome.UNKNOWN:d}"
        until(lambda: self.count(known) == WEBSITES + FAILING, PATIENCE_S, 0.5)

    def count(self, where: str) -> int:
        return int(self.database.ask(f"SELECT count(*) FROM website_state WHERE {where}")[0][0])

    def unknown_checks(self) -> Counter[str]:
        """By reason, since everything was up: before, a fleet that started slowly may have missed a window."""
        query = f"SELECT reason, count(*) FROM check_result WHERE outcome = {Outcome.UNKNOWN:d} GROUP BY reason"
        return Counter({Reason(reason).label: count for reason, count in self.database.ask(query)}) - self.unknown_before


@pytest.fixture
def names() -> Iterator[Names]:
    held = Names()
    yield held
    held.close()


def environ_of(database: Database, broker: Broker, *, name_server: str, canary: str) -> dict[str, str]:
    """Canaries are on the same network and ask the same name server as the websites."""
    return {
        "DATABASE_URL": database.server.dsn(),
        "REDIS_URL": valkey.url(broker.port),
        "PRIVATE_TARGETS": "true",
        "NAME_SERVERS": name_server,
        "CANARY_URLS": canary,
        "CANARY_NAMES": "canary.test",
    }


@pytest.fixture
def stage(database: Database, broker: Broker, names: Names, tmp_path: Path) -> Iterator[Stage]:
    """Everything on loopback."""
    targets = Targets(), Targets(), Targets()
    environ = environ_of(database, broker, name_server=names.server.address, canary=targets[0].url())
    fleet = Fleet(tmp_path, environ)
    yield Stage(database, fleet, *targets)
    fleet.close()
    for each in targets:
        each.kill()
