"""Our own outages: a canary pings our public address, and silence in its gaps is nobody's fault. Real PostgreSQL, the edge in memory."""

import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.ping_canary import NOBODY, PingCanary
from core.adapters.store import edge_gaps as store
from core.adapters.store import unknown_silence
from core.domain.edge_gaps import PATIENCE
from core.domain.transitions import WentDown
from core.domain.uptime import Span
from core.flows.edge_watch import EdgeWatcher
from core.flows.heartbeats import apply_pings
from core.flows.rollups import aggregate
from core.flows.silence import CATCH_UP, Detector
from core.flows.uptime import measure_uptime
from tests.fake_dynamodb import FakeDynamoDb, FakeEdgeTable
from tests.heartbeats import make_heartbeat, minutes, pinged
from tests.statements import explain_all

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVERY = timedelta(seconds=30)


@dataclass
class World:
    """A clock, a canary that is well or not, and the flows between them. Heartbeats: every 1 h, grace 5 min."""

    pool: Pool
    now: datetime = NOON
    well: bool = True
    asked: list[UUID] = field(default_factory=list)
    table: FakeEdgeTable = field(default_factory=lambda: FakeEdgeTable(FakeDynamoDb()))

    def __post_init__(self) -> None:
        self.watcher = EdgeWatcher(self.pool, self.table, self, EVERY, lambda: self.now)
        self.detector = Detector(self.pool, self.table, self.watcher)

    def is_well(self, canary_id: UUID) -> bool:
        self.asked.append(canary_id)
        return self.well

    def look(self, at: datetime, *, well: bool = True) -> None:
        self.now, self.well = at, well
        self.watcher.look()

    def look_until(self, at: datetime, *, well: bool = True) -> None:
        """The canary is well, or not, all the time until then."""
        while self.now < at:
            self.look(min(self.now + 2 * EVERY, at), well=well)

    def judge(self, at: datetime, *, well: bool = True) -> list[type]:
        self.now, self.well = at, well
        return [type(transition) for transition in self.detector.judge_due(at).transitions]

    def ping(self, uid: UUID, sequence: int, at: datetime, kind: Any = "success", *, stored: bool = True) -> None:
        """A ping that the edge has, and the core too if `stored`."""
        self.table.provision(uid, NOBODY)
        ms = str(round(at.timestamp() * 1000))
        item = self.table.dynamodb.item((str(uid), "state"))
        assert item
        item |= {"sequence": {"N": str(sequence)}, f"last_{kind}_at": {"N": ms}, f"last_{kind}_sequence": {"N": str(sequence)}}
        if stored:
            with self.pool.connection() as connection:
                apply_pings(connection, [pinged(uid, sequence, at, kind)], at)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    with open_pool(database_url, application="test", size=4) as pool:
        yield World(pool)


@pytest.fixture
def uid(world: World, connection: psycopg.Connection) -> UUID:
    made = make_heartbeat(connection, NOON)
    connection.commit()
    world.ping(made, 1, NOON - minutes(60))
    world.ping(made, 2, NOON)
    return made


def deadline(connection: psycopg.Connection) -> Any:
    row = connection.execute("SELECT state, deadline_at FROM heartbeat_state").fetchone()
    connection.commit()
    return row


def test_every_statement_fits_the_migrated_schema(connection: psycopg.Connection) -> None:
    assert explain_all(connection, store) == 9
    assert explain_all(connection, unknown_silence) == 1


def test_silence_while_the_edge_was_away_is_unknown_and_the_next_ping_is_armed(
    world: World, connection: psycopg.Connection, uid: UUID
) -> None:
    world.look(NOON + minutes(58))
    world.look(NOON + minutes(58.5), well=False)
    assert world.judge(NOON + minutes(66), well=False) == [], "what is not over is not judged"
    world.look(NOON + minutes(70))
    found = world.detector.judge_due(world.now)
    assert ([monitor.uid for monitor in found.unknown], found.transitions) == ([uid], [])
    assert deadline(connection) == ("up", NOON + minutes(70 + 65))
    world.look_until(NOON + minutes(136))
    assert world.judge(NOON + minutes(136)) == [WentDown], "a job that died meanwhile is found a period later"


def seconds(world: World, connection: psycopg.Connection, now: datetime) -> dict[str, float]:
    """How long the heartbeat was what, from its first ping at 11:00 to `now`."""
    row = connection.execute("SELECT id, created_at FROM monitor").fetchone()
    assert row
    aggregate(connection, now)
    connection.commit()
    tally = measure_uptime(connection, row[0], NOON - minutes(60), Span(NOON - minutes(60), now))
    connection.commit()
    return {"up": tally.up_ms / 1000, "down": tally.down_ms / 1000, "unknown": tally.unknown_ms / 1000}


class TestUptime:
    """What a gap of ours leaves unknown is unknown in uptime, too: from the deadline that passed in it to the next ping."""

    DEADLINE_S = 60 * 125

    def until_unknown(self, world: World, gap_ends: datetime) -> None:
        world.look(NOON + minutes(58))
        while world.now < gap_ends:
            world.look(min(world.now + EVERY, gap_ends - EVERY / 2), well=False)
            if world.now >= gap_ends - EVERY:
                world.look(gap_ends)
        assert world.detector.judge_due(world.now).unknown

    def test_from_the_deadline_to_the_next_ping(self, world: World, connection: psycopg.Connection, uid: UUID) -> None:
        self.until_unknown(world, NOON + minutes(70))
        assert seconds(world, connection, NOON + minutes(75)) == {"up": self.DEADLINE_S, "down": 0, "unknown": 10 * 60}
        world.ping(uid, 3, NOON + minutes(80))
        assert seconds(world, connection, NOON + minutes(90)) == {
            "up": self.DEADLINE_S + 10 * 60,
            "down": 0,
            "unknown": 15 * 60,
        }

    def test_until_it_is_missed(self, world: World, connection: psycopg.Connection, uid: UUID) -> None:
        """It died meanwhile: what lies between the two deadlines stays unknown, and only what follows is down."""
        self.until_unknown(world, NOON + minutes(70))
        world.look_until(NOON + minutes(136))
        assert world.judge(NOON + minutes(136)) == [WentDown]
        found = seconds(world, connection, NOON + minutes(140))
        assert found == {"up": self.DEADLINE_S, "down": 5 * 60, "unknown": 70 * 60}

    def test_hours_that_were_rolled_up_before_the_gap_was_over_are_mended(
        self, world: World, connection: psycopg.Connection, uid: UUID
    ) -> None:
        world.look(NOON + minutes(58))
        while world.now < NOON + minutes(200):
            world.look(world.now + EVERY, well=False)
        assert world.judge(NOON + minutes(200), well=False) == []
        before = seconds(world, connection, NOON + minutes(200))
        assert before["unknown"] >= 20 * 60, "the hour that is open knows that nobody has judged it"
        world.look(NOON + minutes(201))
        assert world.detector.judge_due(world.now).unknown
        world.ping(uid, 3, NOON + minutes(205))
        found = seconds(world, connection, NOON + minutes(250))
        assert found == {"up": self.DEADLINE_S + 45 * 60, "down": 0, "unknown": 140 * 60}

    def test_a_pause_ends_it(self, world: World, connection: psycopg.Connection, uid: UUID) -> None:
        self.until_unknown(world, NOON + minutes(70))
        for paused, now in ((NOON + minutes(72), NOON + minutes(72)), (None, NOON + minutes(82))):
            connection.execute("UPDATE monitor SET paused_at = %s, updated_at = %s", (paused, now))
        found = seconds(world, connection, NOON + minutes(85))
        assert found == {"up": self.DEADLINE_S + 3 * 60, "down": 0, "unknown": 7 * 60}

    def test_what_the_edge_lost_is_unknown_as_well(self, world: World, connection: psycopg.Connection, uid: UUID) -> None:
        world.table.remove(uid)
        world.judge(NOON + minutes(66))
        assert seconds(world, connection, NOON + minutes(75))["unknown"] == 10 * 60

    def test_who_is_overdue_and_not_judged_is_unknown(self, world: World, connection: psycopg.Connection, uid: UUID) -> None:
        world.table.away = True
        assert world.detector.judge_due(NOON + minutes(75)).edge_unreachable
        assert seconds(world, connection, NOON + minutes(75)) == {"up": self.DEADLINE_S, "down": 0, "unknown": 10 * 60}


def test_silence_outside_of_the_gap_is_missed(world: World, uid: UUID) -> None:
    world.look_until(NOON + minutes(30))
    world.look(NOON + minutes(30.5), well=False)
    world.look_until(NOON + minutes(66))
    assert world.judge(NOON + minutes(66)) == [WentDown]


def test_nobody_is_called_missed_without_a_fresh_proof_that_pings_come_in(world: World, uid: UUID) -> None:
    world.look(NOON + minutes(64.6))
    before = len(world.asked)
    assert world.judge(NOON + minutes(65.1), well=False) == [], "the edge died half a minute ago, between two canaries"
    assert len(world.asked) == before + 1
    assert world.judge(NOON + minutes(65.2), well=False) == []
    assert len(world.asked) == before + 1, "whoever is not judged needs no proof"
    world.look(NOON + minutes(66))
    assert world.judge(NOON + minutes(66.1)) == []


def test_while_the_core_was_away_the_pings_of_others_prove_the_edge(
    world: World, connection: psycopg.Connection, uid: UUID
) -> None:
    other = make_heartbeat(connection, NOON, "busy")
    connection.commit()
    world.look(NOON + minutes(1))
    for number in range(1, 130):
        world.ping(other, number, NOON + minutes(number), stored=False)
        pend(world, other, number)
    assert world.judge(NOON + minutes(130)) == [], "they are not stored yet"
    assert world.judge(NOON + minutes(131)) == []
    with world.pool.connection() as own:
        apply_pings(own, [pinged(other, number, NOON + minutes(number)) for number in range(1, 130)], world.now)
    world.table.settle(pending_ids(world))
    world.look(NOON + minutes(131.1))
    assert world.judge(NOON + minutes(131.2)) == [WentDown], "no gap: the edge took a ping each minute"


def test_while_everything_was_away_nobody_is_blamed(world: World, connection: psycopg.Connection, uid: UUID) -> None:
    world.look(NOON + minutes(1))
    assert world.judge(NOON + minutes(300)) == []
    world.judge(NOON + minutes(300.1))
    assert deadline(connection) == ("up", NOON + minutes(300 + 65))


def test_a_ping_that_never_arrives_holds_nothing_up_for_ever(world: World, connection: psycopg.Connection, uid: UUID) -> None:
    world.look(NOON + minutes(1))
    pend(world, uid, 2)
    assert world.judge(NOON + minutes(300)) == []
    world.look_until(NOON + minutes(300) + PATIENCE)
    world.judge(world.now)
    assert deadline(connection)[1] > NOON + minutes(310), "settled without it"


def test_a_canary_that_was_never_well_has_no_say(world: World, uid: UUID) -> None:
    world.look(NOON + minutes(60), well=False)
    assert world.judge(NOON + minutes(66), well=False) == [WentDown]


def test_a_canary_that_fails_while_pings_come_in_is_not_believed(world: World, connection: psycopg.Connection, uid: UUID) -> None:
    other = make_heartbeat(connection, NOON, "busy")
    connection.commit()
    world.look(NOON + minutes(50))
    world.look_until(NOON + minutes(65.9), well=False)
    assert world.judge(NOON + minutes(66), well=False) == []
    world.ping(other, 1, NOON + minutes(66))
    world.look(NOON + minutes(66), well=False)
    assert world.judge(NOON + minutes(66.1), well=False) == [WentDown]


def test_what_was_pinged_comes_before_what_silence_says(world: World, connection: psycopg.Connection, uid: UUID) -> None:
    """The core was away: a failure and its end wait in the queue, and then nothing came. Both outages are told."""
    world.watcher = EdgeWatcher(world.pool, world.table, None, EVERY, lambda: world.now)
    world.detector = Detector(world.pool, world.table, world.watcher)
    fail, success = pinged(uid, 3, NOON + minutes(10), "fail"), pinged(uid, 4, NOON + minutes(12))
    world.ping(uid, 3, NOON + minutes(10), "fail", stored=False)
    world.ping(uid, 4, NOON + minutes(12), stored=False)
    assert world.judge(NOON + minutes(180)) == []
    with world.pool.connection() as own:
        apply_pings(own, [success, fail], world.now)
    assert world.judge(NOON + minutes(180.1)) == [WentDown]
    assert connection.execute("SELECT count(*), count(resolved_at) FROM incident").fetchone() == (2, 1)


def test_a_dead_letter_holds_a_verdict_up_for_a_while_only(world: World, uid: UUID) -> None:
    world.detector = Detector(world.pool, world.table)
    world.ping(uid, 3, NOON + minutes(12), stored=False)
    assert world.judge(NOON + minutes(180)) == []
    assert world.judge(NOON + minutes(180) + CATCH_UP) == [WentDown]


def test_an_edge_that_cannot_be_read_judges_nobody(world: World, uid: UUID) -> None:
    world.table.away = True
    assert world.detector.judge_due(NOON + minutes(99)).edge_unreachable
    world.table.away = False
    world.look(NOON + minutes(99))


def pend(world: World, uid: UUID, number: int) -> None:
    ping_id = UUID(int=number << 8 | number % 16)
    at = str(round((NOON + minutes(number)).timestamp() * 1000))
    shard = f"pending#{number % 16:02d}"
    world.table.dynamodb.put((shard, str(ping_id)), {"pinged_at": {"N": at}, "detail": {"S": "{}"}})


def pending_ids(world: World) -> list[UUID]:
    return [ping.ping_id for ping in world.table.pending(NOON + minutes(999), timedelta(0), resting=True)]


class Edge(http.server.ThreadingHTTPServer):
    """A ping address that answers with the statuses that it was told, and counts."""

    def __init__(self, statuses: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.statuses = statuses
        self.paths: list[str] = []


class Answers(http.server.BaseHTTPRequestHandler):
    server: Edge

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.statuses.pop(0))
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.mark.parametrize(
    ("statuses", "well", "asked"),
    [
        ([200], True, 1),
        ([429], True, 1),
        ([503, 200], True, 2),
        ([500, 502], False, 2),
        ([404, 200], True, 2),
        ([301, 301], False, 2),
    ],
)
def test_the_canary_pings_as_a_job_would(statuses: list[int], well: bool, asked: int) -> None:
    server = Edge(list(statuses))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        table, uid = FakeEdgeTable(FakeDynamoDb()), uuid4()
        assert PingCanary(f"http://127.0.0.1:{server.server_port}/", table).is_well(uid) is well
        assert server.paths == [f"/api/ping/{uid}/"] * asked
        assert set(table.latest([uid])) == ({uid} if 404 in statuses else set()), "it makes its own heartbeat at the edge"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_address_where_nobody_listens_is_not_well() -> None:
    assert not PingCanary("http://127.0.0.1:1", FakeEdgeTable(FakeDynamoDb())).is_well(uuid4())
