"""The core was away for fifty minutes: 100,000 pings wait, every deadline has passed, and only those are told who really fell silent."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.ping_canary import NOBODY
from core.adapters.queues import SqsQueue
from core.contracts.events import encode
from core.contracts.heartbeat_keys import pending_partition
from core.contracts.names import EVENT_SOURCE
from core.flows.edge_watch import EdgeWatcher
from core.flows.heartbeat_metrics import HeartbeatSeries
from core.flows.heartbeats import apply_pings
from core.flows.silence import Detector
from core.inbox.consumer import Consumer
from core.inbox.handlers import PingHandler
from tests.fake_dynamodb import FakeDynamoDb, FakeEdgeTable
from tests.fakes import FakeEvents, FakeQueue, FakeSqs
from tests.heartbeat_day import NoKicks
from tests.heartbeats import make_heartbeat, minutes, pinged
from tests.perf.machine import logging_to
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SCALE = float(os.environ.get("FAULTS_SCALE", "1"))
HEARTBEATS, AWAY_MINUTES, SILENT = max(round(2000 * SCALE), 100), 50, 20
PATIENCE_S = 300.0


class Well:
    """A canary that is well."""

    def is_well(self, canary_id: UUID) -> bool:
        return True


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with open_pool(database_url, application="test", size=6) as opened:
        yield opened


def test_100_000_pings_are_caught_up_without_a_false_alarm(pool: Pool, connection: psycopg.Connection, tmp_path: Path) -> None:
    began = datetime.now(UTC)
    left = began - minutes(AWAY_MINUTES + 1)
    table, queue = FakeEdgeTable(FakeDynamoDb()), FakeQueue(visibility_s=PATIENCE_S)
    # Nobody pings while the test runs: the grace is longer than it may take, and shorter than the silence of those who fell silent.
    uids = [make_heartbeat(connection, left, f"job {number}", period_s=60, grace_s=900) for number in range(HEARTBEATS)]
    connection.commit()
    for start in range(0, HEARTBEATS, 100):
        with pool.connection() as own:
            apply_pings(own, [pinged(uid, n, left + minutes(n - 2)) for n in (1, 2) for uid in uids[start : start + 100]], left)
    EdgeWatcher(pool, table, Well(), timedelta(seconds=30), lambda: left).look()
    queued = _queue(uids, table, queue, left)

    stopping = threading.Event()
    watcher = EdgeWatcher(pool, table, Well(), timedelta(seconds=30), lambda: datetime.now(UTC))
    handler = PingHandler(pool, table, NoKicks(), HeartbeatSeries())
    consumer = Consumer(SqsQueue(FakeSqs({"pings": queue}), "pings"), handler, stopping)  # type: ignore[arg-type]  # the calls that are made
    judge = Judge(Detector(pool, table, watcher), watcher, stopping)
    threads = [
        threading.Thread(target=consumer.run),
        threading.Thread(target=judge.run),
    ]
    clock = time.monotonic()
    with logging_to(tmp_path / "log"):
        for thread in threads:
            thread.start()
        try:
            until(lambda: len(queue) == 0, PATIENCE_S, 0.1)
            took_s = time.monotonic() - clock
            until(lambda: _told(connection) >= SILENT, PATIENCE_S, 0.1)
            ticks = judge.ticks
            until(lambda: judge.ticks >= ticks + 10, PATIENCE_S, 0.1)
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
    print(f"\n{queued} pings of {HEARTBEATS} heartbeats in {took_s:.0f} s, {queued / took_s:.0f} a second, beside the detector")  # noqa: T201  (the figures of this test)
    told = connection.execute("SELECT m.uid, a.alert_type FROM alert a JOIN monitor m ON m.id = a.monitor_id").fetchall()
    assert sorted(told) == sorted((uid, "down") for uid in uids[:SILENT])
    assert connection.execute("SELECT count(*) FROM ping").fetchone() == (queued + 2 * HEARTBEATS,)
    assert table.pending(datetime.now(UTC), timedelta(0), limit=1, resting=True) == []


def _queue(uids: list[UUID], table: FakeEdgeTable, queue: FakeQueue, left: datetime) -> int:
    """A ping a minute of each job, on the queue and at the edge; the first jobs fall silent in the middle."""
    bus, queued, at = FakeEvents({"HeartbeatPinged": queue}), 0, {"N": "0"}
    for number, uid in enumerate(uids):
        minutes_of = range(1, (AWAY_MINUTES // 2 if number < SILENT else AWAY_MINUTES) + 1)
        for minute in minutes_of:
            ping = pinged(uid, minute + 2, left + minutes(minute + number / HEARTBEATS))
            detail, ping_id = encode(ping.metadata, ping.data), str(ping.data.ping_id)
            bus.put_events(Entries=[{"Source": EVENT_SOURCE, "DetailType": "HeartbeatPinged", "Detail": detail}])
            at = {"N": str(round(ping.data.pinged_at.timestamp() * 1000))}
            table.dynamodb.put((pending_partition(ping_id), ping_id), {"pinged_at": at, "detail": {"S": detail}})
            queued += 1
        table.provision(uid, NOBODY)
        item = table.dynamodb.item((str(uid), "state"))
        assert item
        item |= {name: {"N": str(minutes_of[-1] + 2)} for name in ("sequence", "last_success_sequence", "last_end_sequence")}
        item["last_success_at"] = at
    return queued


class Judge:
    """The detector and the canary, more often than in life. Nothing is caught: an error ends the ticks, and so the test."""

    def __init__(self, detector: Detector, watcher: EdgeWatcher, stopping: threading.Event) -> None:
        self.ticks = 0
        self._detector = detector
        self._watcher = watcher
        self._stopping = stopping

    def run(self) -> None:
        while not self._stopping.wait(0.2):
            self._watcher.look()
            self._detector.judge_due(datetime.now(UTC))
            self.ticks += 1


def _told(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM alert").fetchone()
    connection.commit()
    assert row
    return int(row[0])
