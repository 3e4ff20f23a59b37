"""A heartbeat that is held by its rate limit, and then falls silent: found as fast as any other. Real PostgreSQL, the edge in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.contracts.events import HeartbeatPinged, decode
from core.domain.transitions import WentDown
from core.flows.heartbeats import apply_pings
from core.flows.silence import Detector
from lambdas.ping.bodies import Bodies
from lambdas.ping.record import Recorder
from lambdas.ping.request import Ping
from lambdas.ping.transaction import Patience
from tests.fake_dynamodb import FakeDynamoDb, FakeEdgeTable
from tests.heartbeats import GRACE_S, PERIOD_S, make_heartbeat

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
A_MINUTE = 3
FOUND_WITHIN = timedelta(seconds=8)
LOOKS = timedelta(seconds=4)


@dataclass
class Job:
    """A heartbeat whose pings go through the recorder of the Lambda; what is kept, the core stores unless `stored` is false."""

    pool: Pool
    uid: UUID
    dynamodb: FakeDynamoDb = field(default_factory=FakeDynamoDb)
    on_their_way: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = FakeEdgeTable(self.dynamodb)
        self.table.provision(self.uid, uuid4())
        self.detector = Detector(self.pool, self.table)
        self.recorder = Recorder(self.dynamodb, "t", Bodies(self, lambda _: None), limit=A_MINUTE, patience=Patience())

    def put(self, key: str, body: bytes) -> None:
        raise AssertionError(f"{key}: {len(body)} bytes are too many")

    def ping(self, at: datetime, kind: Any = "success", *, rid: UUID | None = None, stored: bool = True) -> bool:
        """Whether it was kept."""
        ping = Ping(str(uuid4()), kind, None, round(at.timestamp() * 1000), "GET", "203.0.113.9", "curl/8", b"", 0)
        if rid:
            ping = Ping(ping.ping_id, kind, None, ping.pinged_at, "GET", "203.0.113.9", "curl/8", b"", 0, rid=str(rid))
        recorded = self.recorder.record(str(self.uid), ping)
        if recorded.event:
            self.on_their_way.append(decode(HeartbeatPinged, recorded.event.encode()))
        if stored:
            with self.pool.connection() as connection:
                apply_pings(connection, self.on_their_way, at)
            self.on_their_way.clear()
        return recorded.event is not None

    def flood(self, since: datetime) -> datetime:
        """A ping every second for ninety seconds; the time of the last one, which was one too many."""
        kept = [self.ping(since + timedelta(seconds=n)) for n in range(90)]
        assert sum(kept) == 2 * A_MINUTE
        assert not kept[-1]
        return since + timedelta(seconds=89)

    def found_down(self, since: datetime) -> datetime:
        """When the detector, which looks every four seconds from `since` on, finds it down."""
        now = since
        while now < since + timedelta(hours=1):
            if [type(transition) for transition in self.detector.judge_due(now).transitions] == [WentDown]:
                return now
            now += LOOKS
        raise AssertionError("nobody was told")


@pytest.fixture
def job(database_url: str, connection: psycopg.Connection) -> Iterator[Job]:
    uid = make_heartbeat(connection, NOON)
    connection.commit()
    with open_pool(database_url, application="test", size=4) as pool:
        yield Job(pool, uid)


def test_silence_after_a_flood_is_found_within_eight_seconds(job: Job) -> None:
    last = job.flood(NOON)
    deadline = last + timedelta(seconds=PERIOD_S + GRACE_S)
    assert job.detector.judge_due(deadline).transitions == [], "what was one too many counts as life"
    assert deadline < job.found_down(deadline) <= deadline + FOUND_WITHIN


def test_a_run_whose_start_was_one_too_many_is_found_once_its_ping_is_due(job: Job) -> None:
    for n in range(A_MINUTE):
        job.ping(NOON + timedelta(seconds=n))
    assert not job.ping(NOON + timedelta(seconds=30), "start", rid=uuid4())
    due = NOON + timedelta(seconds=A_MINUTE - 1 + PERIOD_S + GRACE_S)
    assert due < job.found_down(due) <= due + FOUND_WITHIN


def test_a_ping_on_its_way_is_waited_for_behind_a_flood_too(job: Job) -> None:
    """The last one that was kept says failure, and the queue still has it: what it says comes before what silence says."""
    for n in range(A_MINUTE):
        job.ping(NOON + timedelta(seconds=n))
    assert job.ping(NOON + timedelta(seconds=10), "fail", stored=False)
    assert not job.ping(NOON + timedelta(seconds=11), "fail", stored=False)
    silent = NOON + timedelta(seconds=PERIOD_S + GRACE_S + 60)
    assert job.detector.judge_due(silent).transitions == []
    with job.pool.connection() as connection:
        told = apply_pings(connection, job.on_their_way, silent).transitions
    assert [type(transition) for transition in told] == [WentDown]
