"""One worker's inside against PostgreSQL and Valkey, with an engine that answers what it is told to."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
import redis
from prometheus_client import REGISTRY

from core.checker.dispatch import BATCH, MOST_WAITING, claim_limit, dispatch_due
from core.checker.pace import PROMPT_S, Pacer
from core.checker.runtime import Runtime
from core.checker.settings import CheckerSettings
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeRequest, ProbeResult
from core.env import Env, SettingError
from core.flows.websites import Claim, claim_due
from tests.engines import FakeEngine, result
from tests.waiting import until
from tests.websites import make_website, make_workspace


def utc_now() -> datetime:
    return datetime.now(UTC)


def settings(database_url: str, valkey_url: str, **environ: str) -> CheckerSettings:
    quiet = {"DRAIN_S": "0.3", "CANARY_URLS": "none", "CANARY_NAMES": "none"}
    return CheckerSettings.from_env(Env({"DATABASE_URL": database_url, "REDIS_URL": valkey_url} | quiet | environ))


def down(_: ProbeRequest) -> ProbeResult:
    return result(Outcome.DOWN, Reason.CONNECT_REFUSED, detail="refused", total_us=900)


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


@pytest.fixture
def start(database_url: str, valkey_url: str) -> Iterator[Callable[[FakeEngine], Runtime]]:
    made: list[Runtime] = []

    def make(engine: FakeEngine) -> Runtime:
        made.append(Runtime(settings(database_url, valkey_url), lambda: engine))
        return made[-1]

    yield make
    for runtime in made:
        runtime.stop()


def due(database: psycopg.Connection, count: int = 1, **values: int) -> list[int]:
    workspace = make_workspace(database, utc_now())
    return [make_website(database, workspace, utc_now(), **values) for _ in range(count)]


def claim(database: psycopg.Connection) -> Claim:
    return claim_due(database, utc_now(), horizon=timedelta(seconds=1), limit=100)


def leased(database: psycopg.Connection) -> int:
    row = database.execute("SELECT count(*) FROM website_state WHERE lease_id IS NOT NULL").fetchone()
    assert row
    return int(row[0])


def last_reasons(database: psycopg.Connection) -> set[int | None]:
    return {row[0] for row in database.execute("SELECT last_reason FROM website_state")}


def test_a_batch_is_probed_stored_and_its_leases_end(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime]
) -> None:
    due(database, 20)
    runtime = start(FakeEngine(lambda _: result(status_code=200, total_us=1000, dns_us=10, connect_us=20)))
    assert runtime.check(claim(database)) == 20
    until(lambda: leased(database) == 0)
    assert database.execute("SELECT count(*), min(status_code) FROM check_result").fetchone() == (20, 200)


def test_an_outage_kicks_its_alert_and_moves_the_metrics(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime]
) -> None:
    due(database, failure_threshold=1)
    runtime = start(FakeEngine(down))
    waiting = runtime.queue.lengths(["alerts"])["alerts"]
    runtime.check(claim(database))
    until(lambda: runtime.queue.lengths(["alerts"])["alerts"] == waiting + 1)
    row = database.execute("SELECT uid FROM monitor").fetchone()
    assert row
    monitor = {"monitor_id": str(row[0]), "monitor_name": "shop"}
    until(lambda: REGISTRY.get_sample_value("uptime_website_checks_total", {**monitor, "status": "down"}) == 1)
    downtime = {**monitor, "monitor_type": "website", "reason": "connect_refused"}
    until(lambda: REGISTRY.get_sample_value("uptime_downtime_events_total", downtime) == 1)


def test_stopping_stores_what_finished_and_hands_back_what_did_not_start(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime]
) -> None:
    [running] = due(database)
    runtime = start(engine := FakeEngine(gate=threading.Event()))
    runtime.check(claim(database))
    until(lambda: engine.started)
    workspace = make_workspace(database, utc_now())
    later = make_website(database, workspace, utc_now() + timedelta(seconds=30))
    held = claim_due(database, utc_now(), horizon=timedelta(seconds=60), limit=10)
    assert held.ids == [later]
    runtime.check(held)
    runtime.stop()
    assert leased(database) == 0
    assert database.execute("SELECT monitor_id, reason FROM check_result").fetchall() == [(running, Reason.SHUTTING_DOWN)]
    assert claim_due(database, utc_now(), horizon=timedelta(seconds=60), limit=10).ids != []


def test_what_comes_while_stopping_is_handed_back(database: psycopg.Connection, database_url: str, valkey_url: str) -> None:
    due(database)
    runtime = Runtime(settings(database_url, valkey_url), FakeEngine)
    runtime.check(claim(database))
    until(lambda: leased(database) == 0)
    held = claim_due(database, utc_now(), horizon=timedelta(days=1), limit=10)
    assert runtime._loop
    runtime._loop.stop(0.1)
    runtime._stopped = True
    assert runtime.check(held) == 0
    assert leased(database) == 0
    runtime._stopped = False
    runtime.stop()


def test_a_probe_loop_that_died_is_started_anew(database: psycopg.Connection, start: Callable[[FakeEngine], Runtime]) -> None:
    due(database)
    engine = FakeEngine()
    runtime = start(engine)
    runtime.check(claim(database))
    until(lambda: engine.started)
    assert runtime._loop
    runtime._loop.stop(1.0)
    until(lambda: leased(database) == 0)
    again = claim_due(database, utc_now(), horizon=timedelta(days=1), limit=10)
    assert runtime.check(again) == 1


def test_settings_that_nobody_can_read_are_stored_as_our_trouble(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime]
) -> None:
    due(database)
    database.execute("UPDATE website SET accepted_status = 'nonsense'")
    assert start(FakeEngine()).check(claim(database)) == 0
    until(lambda: last_reasons(database) == {Reason.INTERNAL})


class Broker:
    """Takes `capacity` tasks, and says that `waiting` batches wait."""

    def __init__(self, capacity: int = 1000, waiting: int = 0) -> None:
        self.capacity = capacity
        self.waiting = waiting
        self.sent: list[tuple[object, ...]] = []

    def lengths(self, queues: object) -> dict[str, int]:
        return {"checks": self.waiting}

    def send(self, task_name: str, *args: object, expires_s: float | None = None) -> bool:
        if len(self.sent) >= self.capacity:
            return False
        self.sent.append((task_name, *args))
        return True


class Board:
    """Nobody has said anything; keeps what is told."""

    def __init__(self, told: float | None = None) -> None:
        self.pace = told
        self.heard: list[float] = []

    def told(self) -> float | None:
        return self.pace

    def tell(self, seconds: float) -> None:
        self.heard.append(seconds)


def test_the_tick_sends_batches_under_one_lease(database: psycopg.Connection, start: Callable[[FakeEngine], Runtime]) -> None:
    ids = due(database, BATCH + 5)
    broker = Broker()
    assert dispatch_due(start(FakeEngine()).pool, broker, utc_now(), Pacer(Board())) == BATCH + 5
    assert [(task, len(batch)) for task, batch, _ in broker.sent if isinstance(batch, list)] == [
        ("check_websites", BATCH),
        ("check_websites", 5),
    ]
    assert sorted(n for _, batch, _ in broker.sent if isinstance(batch, list) for n in batch) == ids
    [lease] = {lease for _, _, lease in broker.sent}
    assert database.execute("SELECT DISTINCT lease_id FROM website_state").fetchall() == [(UUID(str(lease)),)]


def test_what_the_broker_did_not_take_is_due_again_at_once(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime]
) -> None:
    due(database, BATCH + 5)
    assert dispatch_due(start(FakeEngine()).pool, Broker(capacity=1), utc_now(), Pacer(Board())) == BATCH
    assert leased(database) == BATCH


def test_while_the_queue_is_long_less_is_claimed(database: psycopg.Connection, start: Callable[[FakeEngine], Runtime]) -> None:
    assert claim_limit(0) == MOST_WAITING * BATCH
    assert claim_limit(MOST_WAITING - 1) == BATCH
    assert claim_limit(MOST_WAITING + 7) == 0
    due(database)
    assert dispatch_due(start(FakeEngine()).pool, Broker(waiting=MOST_WAITING), utc_now(), Pacer(Board())) == 0
    assert leased(database) == 0


@pytest.mark.parametrize(
    ("told", "ahead_s", "reached"),
    [(None, None, 2), (4.0, None, 5), (None, 4.0, 5), (4.0, 1.0, 2)],
    ids=["asked for, ordinary pace", "asked for, calm pace", "calm tick", "prompt tick"],
)
def test_a_tick_reaches_to_the_next_one_and_a_moment_further(
    database: psycopg.Connection,
    start: Callable[[FakeEngine], Runtime],
    told: float | None,
    ahead_s: float | None,
    reached: int,
) -> None:
    now = utc_now()
    workspace = make_workspace(database, now)
    for second in range(10):
        make_website(database, workspace, now + timedelta(seconds=second))
    board = Board(told)
    assert dispatch_due(start(FakeEngine()).pool, Broker(), now, Pacer(board), ahead_s) == reached
    assert board.heard == [PROMPT_S], "after a start nobody knows yet how much there is to do"


@pytest.fixture
def broker(valkey_url: str) -> Iterator[redis.Redis]:
    """The real one, without what other tests asked for."""
    with redis.Redis.from_url(valkey_url) as client:
        client.delete("schedule")
        yield client


def test_who_is_due_before_the_next_look_asks_for_one(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime], broker: redis.Redis
) -> None:
    """A failure whose retry comes in a second would wait four where little is checked."""
    due(database)
    database.execute("UPDATE website SET retry_interval_s = 1")
    start(FakeEngine(down)).check(claim(database))
    until(lambda: broker.llen("schedule") == 1)


def test_who_is_not_asks_for_none(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime], broker: redis.Redis
) -> None:
    due(database)
    database.execute("UPDATE website SET interval_s = 86400, retry_interval_s = 60")
    runtime = start(FakeEngine(down))
    runtime.check(claim(database))
    until(lambda: last_reasons(database) == {Reason.CONNECT_REFUSED})
    runtime.stop()
    assert broker.llen("schedule") == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_IN_FLIGHT", "0"), ("REDIS_URL", "http://x"), ("DATABASE_URL", "sqlite:///x"), ("LAG_LIMIT_S", "soon")],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        settings("postgresql://u@h/d", "redis://h/0", **{name: value})
