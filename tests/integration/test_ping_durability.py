"""Whatever was answered with OK ends in PostgreSQL, once: crowds, throttling, a bus that loses, queues that vanish, poison."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.ping_canary import NOBODY
from core.adapters.queues import SqsQueue
from core.checker import heartbeats as checker
from core.flows.heartbeat_metrics import HeartbeatSeries
from core.flows.heartbeats import CREATION, SWEEP_AFTER, apply_pings, sweep_pending
from core.inbox.consumer import Consumer
from core.inbox.handlers import PingHandler
from lambdas.ping.service import PingService
from tests.fake_dynamodb import FakeDynamoDb, FakeEdgeTable
from tests.fakes import FakeEvents, FakeQueue, FakeSqs
from tests.heartbeat_day import LossyEvents, NoKicks
from tests.heartbeats import make_heartbeat, minutes, pinged
from tests.ping_in_memory import ping_service

CLIENTS = 50
ACTIONS = (None, "start", "fail", "log", "0")


class Edge:
    """The real ping handler in front of DynamoDB, a bus and a queue in memory; and the real inbox behind them."""

    def __init__(self, pool: Pool, trouble: float = 0.0) -> None:
        self._dice = random.Random(5)
        self.dynamodb = FakeDynamoDb(lambda _: "ThrottlingException" if self._dice.random() < trouble else None)
        self.table = FakeEdgeTable(self.dynamodb)
        self.queue = FakeQueue(visibility_s=0.2, max_receive_count=3)
        self.events = FakeEvents({"HeartbeatPinged": self.queue})
        self.pool = pool

    def service(self) -> PingService:
        """A Lambda sandbox of its own, as each concurrent request has one."""
        return ping_service(self.dynamodb, self.events)

    def ping(self, uid: UUID, action: str | None = None, service: PingService | None = None) -> int:
        """One request; its status."""
        context = {
            "requestId": str(uuid4()),
            "requestTimeEpoch": int(datetime.now(UTC).timestamp() * 1000),
            "httpMethod": "GET",
            "identity": {"sourceIp": "203.0.113.9"},
        }
        return (
            (service or self.service()).answer({"requestContext": context, "headers": {}, "body": None}, str(uid), action).status
        )

    def consume(self) -> None:
        """The inbox takes what is there."""
        handler = PingHandler(self.pool, self.table, NoKicks(), HeartbeatSeries())
        queue = SqsQueue(FakeSqs({"pings": self.queue}), "pings")  # type: ignore[arg-type]  # the calls that are made
        consumer = Consumer(queue, handler, threading.Event())
        while len(self.queue):
            consumer.turn()


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with open_pool(database_url, application="test", size=4) as opened:
        yield opened


@pytest.fixture
def edge(pool: Pool) -> Edge:
    return Edge(pool)


def made(edge: Edge, connection: psycopg.Connection, name: str = "backup") -> UUID:
    uid = make_heartbeat(connection, datetime.now(UTC), name)
    connection.commit()
    edge.table.provision(uid, NOBODY)
    return uid


def one(connection: psycopg.Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    connection.commit()
    return row


def unsettled(edge: Edge) -> int:
    return len(edge.table.pending(datetime.now(UTC) + minutes(9), timedelta(0), resting=True))


def test_fifty_clients_at_once_lose_nothing(pool: Pool, connection: psycopg.Connection) -> None:
    edge = Edge(pool, trouble=0.05)
    uid = made(edge, connection)
    barrier = threading.Barrier(CLIENTS)

    def client(number: int) -> list[int]:
        service = edge.service()
        barrier.wait()
        return [edge.ping(uid, ACTIONS[(number + n) % len(ACTIONS)], service) for n in range(4)]

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = [status for statuses in clients.map(client, range(CLIENTS)) for status in statuses]
    assert answers == [200] * 4 * CLIENTS
    assert edge.dynamodb.conflicts > 0, "they did meet"
    items = edge.table.pings_of(uid)
    assert sorted(int(item["sequence"]["N"]) for item in items) == list(range(1, 4 * CLIENTS + 1)), "no update was lost"
    latest = edge.table.latest([uid])[uid]
    newest = {
        kind: max(int(item["sequence"]["N"]) for item in items if item["kind"]["S"] == kind)
        for kind in ("success", "fail", "start")
    }
    assert latest.success and latest.fail and latest.start  # noqa: PT018  (for the type checker)
    assert newest == {"success": latest.success.sequence, "fail": latest.fail.sequence, "start": latest.start.sequence}

    edge.consume()
    assert one(connection, "SELECT count(*), count(DISTINCT id), count(DISTINCT sequence) FROM ping") == (200, 200, 200)
    assert one(connection, "SELECT last_sequence, pings FROM heartbeat_state") == (200, 200)
    last_word = max((item for item in items if item["kind"]["S"] in newest and item["kind"]["S"] != "start"), key=_sequence)
    assert one(connection, "SELECT state FROM heartbeat_state") == ({"success": "up", "fail": "down"}[last_word["kind"]["S"]],)
    assert unsettled(edge) == 0


def _sequence(item: dict[str, dict[str, Any]]) -> int:
    return int(item["sequence"]["N"])


def test_what_the_bus_or_the_queue_lost_is_published_again(edge: Edge, connection: psycopg.Connection) -> None:
    uid = made(edge, connection)
    edge.events = LossyEvents(random.Random(1), edge.queue, refused=1.0)
    assert [edge.ping(uid, action) for action in ACTIONS] == [200] * 5
    assert len(edge.queue) == 0
    edge.events = lossless = LossyEvents(random.Random(1), edge.queue, refused=0.0)
    assert edge.ping(uid, "fail") == 200
    edge.queue.purge()
    later = datetime.now(UTC) + SWEEP_AFTER + timedelta(seconds=1)
    assert sweep_pending(edge.table, lossless, later) == 6
    assert sweep_pending(edge.table, lossless, later) == 0, "they rest meanwhile"
    edge.queue.purge()
    assert sweep_pending(edge.table, lossless, later + minutes(5)) == 6, "lost again, published again"
    edge.consume()
    assert one(connection, "SELECT count(*), max(state) FROM ping, heartbeat_state") == (6, "down")
    assert unsettled(edge) == 0


def test_a_ping_of_a_heartbeat_that_is_about_to_be_created_stays_pending_until_it_is(
    edge: Edge, connection: psycopg.Connection
) -> None:
    uid, gone = uuid4(), uuid4()
    for heartbeat in (uid, gone):
        edge.table.provision(heartbeat, NOBODY)
    connection.execute("INSERT INTO edge_orphan VALUES (%s, now())", (uid,))
    connection.commit()
    assert (edge.ping(uid), edge.ping(gone)) == (200, 200)
    edge.consume()
    assert unsettled(edge) == 1, "the one that nothing is known of was deleted, and is dropped"
    make_heartbeat(connection, datetime.now(UTC), uid=uid)
    connection.commit()
    bus = LossyEvents(random.Random(1), edge.queue, refused=0.0)
    assert sweep_pending(edge.table, bus, datetime.now(UTC) + SWEEP_AFTER + timedelta(seconds=1)) == 1
    edge.consume()
    assert (unsettled(edge), one(connection, "SELECT state, pings FROM heartbeat_state")) == (0, ("up", 1))


def test_the_task_that_stores_one_ping_lets_it_wait_as_well(
    edge: Edge, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checker, "runtime", lambda: SimpleNamespace(pool=edge.pool))
    monkeypatch.setattr(checker, "heartbeat_table", lambda: edge.table)
    monkeypatch.setattr(checker, "_follow", lambda _: None)
    uid, now = uuid4(), datetime.now(UTC)
    edge.table.provision(uid, NOBODY)
    connection.execute("INSERT INTO edge_orphan VALUES (%s, now())", (uid,))
    connection.commit()
    edge.ping(uid)
    [pending] = edge.table.pending(now + minutes(9), timedelta(0), resting=True)
    checker.process(pending.detail, now)
    assert unsettled(edge) == 1
    make_heartbeat(connection, now, uid=uid)
    connection.commit()
    checker.process(pending.detail, now)
    assert (unsettled(edge), one(connection, "SELECT pings FROM heartbeat_state")) == (0, (1,))


def test_a_note_that_is_old_holds_nothing(edge: Edge, connection: psycopg.Connection) -> None:
    uid = uuid4()
    edge.table.provision(uid, NOBODY)
    connection.execute("INSERT INTO edge_orphan VALUES (%s, %s)", (uid, datetime.now(UTC) - CREATION))
    connection.commit()
    edge.ping(uid)
    edge.consume()
    assert unsettled(edge) == 0


def test_poison_ends_among_the_dead_letters_while_its_batch_goes_on(edge: Edge, connection: psycopg.Connection) -> None:
    uid = made(edge, connection)
    poison = [
        "{",
        "null",
        '{"detail-type": "HeartbeatPinged", "detail": {"data": 7}}',
        '{"detail-type": "AlertDelivered", "detail": {}}',
    ]
    for body in poison:
        assert edge.ping(uid) == 200
        edge.queue.send(body)
    edge.consume()
    assert sorted(message.body for message in edge.queue.dead) == sorted(poison)
    assert one(connection, "SELECT count(*) FROM ping") == (4,)


class Statements:
    """Counts what is sent to PostgreSQL; a transaction is two."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[str] = []
        execute = psycopg.Cursor.execute

        def counted(cursor: Any, query: Any, *args: Any, **more: Any) -> Any:
            self.sent.extend(str(query).split()[:1])
            return execute(cursor, query, *args, **more)

        monkeypatch.setattr(psycopg.Cursor, "execute", counted)


def test_a_batch_takes_two_statements_a_ping_at_the_very_most(
    edge: Edge, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [made(edge, connection, f"job {number}") for number in range(10)]
    now = datetime.now(UTC)
    pings = [pinged(uid, n, now, "fail" if n % 5 == 0 else "success") for n in range(1, 11) for uid in uids]
    with edge.pool.connection() as own:
        statements = Statements(monkeypatch)
        applied = apply_pings(own, pings, now)
    assert len(applied.pings) == 100
    assert len(applied.alert_ids) == 30, "two outages and an end of each heartbeat"
    assert len(statements.sent) + 2 <= 40, statements.sent
    with edge.pool.connection() as own:
        statements.sent.clear()
        apply_pings(own, [pinged(uid, 11, now) for uid in uids], now)
    assert len(statements.sent) + 2 <= 2 * len(uids), statements.sent
