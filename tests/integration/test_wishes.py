"""Checks that somebody waits for: asked over Redis, made or joined by workers, answered after the commit."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
import redis

from core.adapters.check_reports import CheckReports
from core.checker.runtime import Runtime
from core.checker.settings import CheckerSettings
from core.contracts.check_reports import CheckReport, Hop
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import Hop as RedirectHop
from core.domain.probes import ProbeRequest, ProbeResult
from core.env import Env
from core.flows.websites import claim_due
from tests.certificates import seen_chain
from tests.conftest import free_port
from tests.engines import FakeEngine, result
from tests.reports import good_report
from tests.waiting import until
from tests.websites import make_website, make_workspace

END = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


@pytest.fixture
def reports(valkey_url: str) -> Iterator[CheckReports]:
    desk = CheckReports(valkey_url)
    yield desk
    desk.close()


@pytest.fixture
def start(database_url: str, valkey_url: str) -> Iterator[Callable[[FakeEngine], Runtime]]:
    made: list[Runtime] = []
    environ = {
        "DATABASE_URL": database_url,
        "REDIS_URL": valkey_url,
        "DRAIN_S": "0.3",
        "CANARY_URLS": "none",
        "CANARY_NAMES": "none",
    }

    def make(engine: FakeEngine) -> Runtime:
        made.append(Runtime(CheckerSettings.from_env(Env(environ)), lambda: engine))
        return made[-1]

    yield make
    for runtime in made:
        runtime.stop()


def website(database: psycopg.Connection, now: datetime | None = None) -> UUID:
    monitor_id = make_website(
        database, make_workspace(database, datetime.now(UTC)), now or datetime.now(UTC), url="http://a.test/"
    )
    row = database.execute("SELECT uid FROM monitor WHERE id = %s", (monitor_id,)).fetchone()
    assert row
    uid: UUID = row[0]
    return uid


def found(request: ProbeRequest) -> ProbeResult:
    """What the probe finds; the certificate only if somebody wants to see it."""
    seen = seen_chain("a.test", END, error="certificate has expired")
    return result(
        Outcome.DOWN,
        Reason.HTTP_STATUS,
        detail="status 503",
        status_code=503,
        dns_us=1500,
        total_us=33_000,
        address="192.0.2.7",
        redirects=("https://a.test/",),
        hops=(RedirectHop("http://a.test/", "192.0.2.1", 301),),
        http_version="1.1",
        body_bytes=512,
        certificate=seen if request.shows_certificate else None,
    )


def test_who_asks_is_answered_with_all_that_was_found(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime], reports: CheckReports
) -> None:
    uid = website(database)
    check_id = reports.ask(uid)
    assert reports.find(uid, check_id) is None
    assert start(FakeEngine(found)).check_one(uid)
    report = reports.wait(check_id, 10) or reports.wait(check_id, 10)
    assert report is not None
    assert (report.website, report.outcome, report.reason, report.detail) == (uid, "down", "http_status", "status 503")
    assert (report.state, report.status_code, report.address, report.joined) == ("new", 503, "192.0.2.7", False)
    assert (report.dns_ms, report.connect_ms, report.total_ms) == (1.5, None, 33.0)
    assert (report.http_version, report.body_bytes) == ("1.1", 512)
    assert report.hops == (
        Hop(url="http://a.test/", address="192.0.2.1", status_code=301),
        Hop(url="https://a.test/", address="192.0.2.7", status_code=503),
    )
    assert report.certificate is not None
    assert (report.certificate.valid, report.certificate.error) == (False, "certificate has expired")
    assert report.certificate.chain[0].names == ("a.test",)
    assert database.execute("SELECT outcome, status_code FROM check_result").fetchall() == [(2, 503)]
    assert reports.find(uid, check_id) == report


def test_a_check_under_way_in_another_process_is_joined(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime], reports: CheckReports
) -> None:
    uid = website(database)
    gate = threading.Event()
    busy, idle = start(FakeEngine(found, gate=gate)), start(FakeEngine(found))
    assert busy.check(claim_due(database, datetime.now(UTC), horizon=timedelta(seconds=1), limit=9)) == 1
    check_id = reports.ask(uid)
    assert not idle.check_one(uid)
    until(lambda: uid in busy._wishes._wanted)
    gate.set()
    report = reports.wait(check_id, 10) or reports.wait(check_id, 10)
    assert report is not None
    assert (report.outcome, report.joined, report.http_version, report.address) == ("down", True, "1.1", "192.0.2.7")
    assert (len(report.hops), report.certificate) == (2, None)
    assert database.execute("SELECT count(*) FROM check_result").fetchone() == (1,), "one check served both"


def test_a_check_that_waits_for_its_time_in_another_process_is_made_at_once(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime], reports: CheckReports
) -> None:
    """Where little is checked, websites are claimed seconds ahead."""
    now = datetime.now(UTC)
    engine = FakeEngine(found)
    holder, asker = start(engine), start(FakeEngine(found))
    monitor_id = make_website(database, make_workspace(database, now), now + timedelta(seconds=8))
    (uid,) = database.execute("SELECT uid FROM monitor WHERE id = %s", (monitor_id,)).fetchone() or ()
    assert holder.check(claim_due(database, now, horizon=timedelta(seconds=10), limit=9)) == 1
    check_id = reports.ask(uid)

    until(lambda: asker.check_one(uid) or reports.find(uid, check_id), 5)  # who waits asks again: the first time may be too early
    assert engine.started[0][1] < (now + timedelta(seconds=8)).timestamp()


def test_all_who_wait_for_a_website_are_answered_by_one_check(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime], reports: CheckReports
) -> None:
    uid, other = website(database), website(database)
    mine, theirs, elsewhere = reports.ask(uid), reports.ask(uid), reports.ask(other)
    start(FakeEngine(found)).check_one(uid)
    until(lambda: reports.find(uid, theirs) is not None)
    assert reports.find(uid, mine) == reports.find(uid, theirs)
    assert reports.find(other, elsewhere) is None


def test_a_check_that_was_voided_answers_nobody_and_the_next_one_does(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime], reports: CheckReports
) -> None:
    uid = website(database)
    gate = threading.Event()
    runtime = start(FakeEngine(found, gate=gate))
    check_id = reports.ask(uid)
    assert runtime.check_one(uid)
    database.execute("UPDATE website SET config_version = 2")
    database.execute("UPDATE website_state SET lease_id = NULL, leased_until = NULL")
    gate.set()
    until(lambda: runtime.check_one(uid))
    until(lambda: reports.find(uid, check_id) is not None)
    assert database.execute("SELECT count(*) FROM check_result").fetchone() == (1,)


def test_nobody_is_answered_about_what_is_paused(
    database: psycopg.Connection, start: Callable[[FakeEngine], Runtime], reports: CheckReports
) -> None:
    uid = website(database)
    database.execute("UPDATE monitor SET paused_at = now()")
    check_id = reports.ask(uid)
    assert not start(FakeEngine(found)).check_one(uid)
    assert reports.wait(check_id, 0.05) is None


def test_a_report_belongs_to_its_website_and_is_kept_for_a_while(reports: CheckReports, valkey_url: str) -> None:
    uid = uuid4()
    check_id = reports.ask(uid)
    assert reports.answer(uid, lambda: good_report(uid)) == 1
    for other in (uuid4(), uid):
        with pytest.raises(KeyError):
            reports.find(other, uuid4() if other == uid else check_id)
    assert reports.find(uid, check_id) == good_report(uid)
    with redis.Redis.from_url(valkey_url) as client:
        lifetimes = [client.ttl(key) for key in client.scan_iter("check:*") if str(check_id).encode() in key]
    assert len(lifetimes) == 3
    assert all(500 < int(seconds) <= 600 for seconds in lifetimes)


def test_without_a_wish_no_report_is_made(reports: CheckReports) -> None:
    def make() -> CheckReport:
        raise AssertionError("nobody asked")

    assert reports.answer(uuid4(), make) == 0


def test_a_listener_outlives_a_lost_redis_and_never_stops_a_worker(database_url: str) -> None:
    lost = CheckReports(f"redis://127.0.0.1:{free_port()}/0")
    lost.listen(lambda _: None)
    with pytest.raises(redis.RedisError):
        lost.ask(uuid4())
    lost.close()
