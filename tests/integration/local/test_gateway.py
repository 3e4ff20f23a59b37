"""The ping gateway: API Gateway's shapes, the journal before the answer, and pings that wait for the AWS stand-in."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.store import edge
from core.local.api_gateway import Event, Route, find_route, proxy_event, to_response
from core.local.gateway import Gateway
from core.local.http_listener import Request
from core.local.journal import Entry, Journal, JournalUnavailable, read_living
from core.local.ping_lambda import Result
from core.local.ping_runner import PingRunner
from core.local.reconciler import OVERDUE_S, Reconciler
from tests.processes import wait_until

ROUTES = {"/ping/{token}": {"GET", "POST"}, "/ping/{token}/{name}": {"GET"}, "/ping/{token}/{name}/{action}": {"GET"}}
REQUEST_ID = UUID(int=5)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
HEARTBEAT, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/ping/abc", Route("/ping/{token}", {"token": "abc"})),
        ("GET", "/api/ping/abc/", Route("/ping/{token}", {"token": "abc"})),
        ("GET", "/api/ping/abc/start/", Route("/ping/{token}/{name}", {"token": "abc", "name": "start"})),
        ("GET", "/api/ping/a/b/c", Route("/ping/{token}/{name}/{action}", {"token": "a", "name": "b", "action": "c"})),
        ("POST", "/api/ping/abc/start", None),
        ("GET", "/ping/abc", None),
        ("GET", "/api/ping//", None),
        ("GET", "/api/ping/abc//", None),
        ("GET", "/api", None),
        ("GET", "/api/ping/a/b/c/d", None),
    ],
)
def test_a_path_finds_its_route_under_the_stage(method: str, path: str, expected: Route | None) -> None:
    assert find_route(ROUTES, method, path) == expected


def request(method: str = "GET", target: str = f"/api/ping/{HEARTBEAT}", body: bytes = b"", **headers: str) -> Request:
    return Request(method, target, tuple(headers.items()), body, "192.0.2.7")


def test_the_event_is_the_one_of_a_rest_api() -> None:
    sent = Request(
        "POST",
        "/api/ping/abc/?a=1&a=2&b=",
        (("X-Twice", "1"), ("X-Twice", "2"), ("User-Agent", "curl")),
        b"\xff\x00",
        "192.0.2.7",
    )
    event = proxy_event(sent, Route("/ping/{token}", {"token": "abc"}), REQUEST_ID, NOW_MS, binary=True)
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/ping/{token}", "/ping/abc/", "POST")
    assert event["pathParameters"] == {"token": "abc"}
    assert event["queryStringParameters"] == {"a": "2", "b": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [""]}
    assert (event["headers"]["X-Twice"], event["multiValueHeaders"]["X-Twice"]) == ("2", ["1", "2"])
    assert (event["isBase64Encoded"], base64.b64decode(event["body"])) == (True, b"\xff\x00")
    context = event["requestContext"]
    assert (context["requestId"], context["requestTimeEpoch"], context["stage"]) == (str(REQUEST_ID), NOW_MS, "api")
    assert (context["resourcePath"], context["path"], context["httpMethod"]) == ("/ping/{token}", "/api/ping/abc/", "POST")
    assert (context["identity"]["sourceIp"], context["requestTime"]) == ("192.0.2.7", "23/Nov/2026:12:00:00 +0000")


def test_a_request_without_body_has_none() -> None:
    event = proxy_event(request(), Route("/ping/{token}", {"token": "abc"}), REQUEST_ID, NOW_MS, binary=True)
    assert (event["body"], event["isBase64Encoded"], event["queryStringParameters"]) == (None, False, None)


def test_a_result_becomes_an_answer() -> None:
    result = {
        "statusCode": 201,
        "headers": {"Content-Type": "text/plain", "Set-Cookie": "lost"},
        "multiValueHeaders": {"Set-Cookie": ["a", "b"]},
        "body": base64.b64encode(b"\x00\xff").decode(),
        "isBase64Encoded": True,
    }
    answer = to_response(result, REQUEST_ID)
    assert (answer.status, answer.body) == (201, b"\x00\xff")
    assert [value for name, value in answer.headers if name == "Set-Cookie"] == ["a", "b"]
    assert ("x-amzn-RequestId", str(REQUEST_ID)) in answer.headers


class FakeLambda:
    """Answers as told: a status for each path, or for all; hangs while `hanging` is set."""

    def __init__(self) -> None:
        self.status = 200
        self.statuses: dict[str, int] = {}
        self.hanging = threading.Event()
        self.release = threading.Event()
        self.calls: list[str] = []
        self.reachable = True

    def invoke(self, event: Event) -> Result:
        if self.hanging.is_set():
            self.release.wait(20)
        path = str(event["path"])
        self.calls.append(path)
        return {"statusCode": self.statuses.get(path, self.status), "headers": {}, "body": "OK"}


@pytest.fixture
def fake() -> FakeLambda:
    return FakeLambda()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def runner(fake: FakeLambda, journal: Journal) -> Iterator[PingRunner]:
    made = PingRunner(fake.invoke, journal, lambda: fake.reachable, patience_s=0.2)
    yield made
    fake.release.set()
    made.close()


@pytest.fixture
def gateway(journal: Journal, runner: PingRunner) -> Gateway:
    return Gateway(journal, runner, lambda: NOW_MS)


def ping(gateway: Gateway, heartbeat: UUID = HEARTBEAT, action: str = "") -> Any:
    return gateway.answer(request(target=f"/api/ping/{heartbeat}/{action}"))


def is_queued(answer: Any) -> bool:
    return answer.status == 200 and answer.body == b"OK" and ("Ping-Warning", "queued") in answer.headers


def test_a_ping_is_on_the_disk_before_the_lambda_is_asked(
    gateway: Gateway, fake: FakeLambda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_call: list[list[UUID]] = []

    def look_first(event: Event) -> Result:
        at_call.append([entry.heartbeat for entry in read_living(tmp_path)])
        return fake.invoke(event)

    monkeypatch.setattr(gateway._runner, "_invoke", look_first)
    answer = ping(gateway)
    assert (answer.status, answer.body) == (200, b"OK")
    assert at_call == [[HEARTBEAT]]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_ping_that_the_lambda_cannot_take_is_answered_ok_and_run_again(
    gateway: Gateway, fake: FakeLambda, runner: PingRunner, status: int
) -> None:
    fake.status = status
    assert is_queued(ping(gateway))
    fake.status = 200
    runner.retry_round()
    assert len(fake.calls) == 2
    assert runner.waiting() == set()
    assert not is_queued(ping(gateway))


def test_later_pings_of_a_heartbeat_never_overtake_one_that_waits(gateway: Gateway, fake: FakeLambda, runner: PingRunner) -> None:
    fake.status = 503
    assert is_queued(ping(gateway, action="fail"))
    fake.status = 200
    assert is_queued(ping(gateway))
    assert not is_queued(ping(gateway, OTHER)), "another heartbeat has nothing to wait for"
    fake.calls.clear()
    runner.retry_round()
    assert fake.calls == [f"/ping/{HEARTBEAT}/fail", f"/ping/{HEARTBEAT}/"]


def test_a_heartbeat_that_always_fails_does_not_hold_up_the_others(
    gateway: Gateway, fake: FakeLambda, runner: PingRunner
) -> None:
    fake.status = 503
    heartbeats = [uuid4() for _ in range(10)]
    for heartbeat in heartbeats:
        ping(gateway, heartbeat)
    fake.status = 200
    for poisoned in heartbeats[:4]:
        fake.statuses[f"/ping/{poisoned}/"] = 500
    for _ in range(5):
        runner.retry_round()
    assert len(runner.waiting()) == 4


def test_a_lambda_that_hangs_costs_the_client_its_patience_only(gateway: Gateway, fake: FakeLambda, runner: PingRunner) -> None:
    fake.hanging.set()
    assert is_queued(ping(gateway))
    runner.retry_round()
    assert fake.calls == [], "the late call is still running: the ping must not run twice at once"
    fake.hanging.clear()
    fake.release.set()
    wait_until(lambda: len(fake.calls) == 1)
    runner.retry_round()
    assert runner.waiting() == set()
    assert len(fake.calls) == 1, "the late call ended well, so there is nothing to run again"


def test_while_the_stand_in_is_away_pings_are_queued_without_trying(gateway: Gateway, fake: FakeLambda) -> None:
    fake.status, fake.reachable = 503, False
    ping(gateway)
    fake.calls.clear()
    assert is_queued(ping(gateway, OTHER))
    assert fake.calls == []


def test_what_waits_is_run_soon_after_the_stand_in_is_back(gateway: Gateway, fake: FakeLambda, runner: PingRunner) -> None:
    fake.status, fake.reachable = 503, False
    ping(gateway)
    stop = threading.Event()
    thread = threading.Thread(target=runner.retry_until, args=(stop,))
    thread.start()
    fake.calls.clear()
    fake.status, fake.reachable = 200, True
    wait_until(lambda: runner.waiting() == set(), timeout_s=5)
    stop.set()
    thread.join(5)
    assert len(fake.calls) == 1


def test_without_a_disk_the_lambdas_word_counts(gateway: Gateway, fake: FakeLambda, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_entry: Entry) -> None:
        raise JournalUnavailable("no space")

    monkeypatch.setattr(gateway._journal, "append", full)
    assert ping(gateway).status == 200
    fake.status = 503
    assert ping(gateway).status == 503


def test_pings_by_name_are_journaled_and_keep_their_order(gateway: Gateway, fake: FakeLambda, runner: PingRunner) -> None:
    fake.status = 503
    path = f"/api/ping/{'k' * 32}/backup"
    assert is_queued(gateway.answer(request(target=f"{path}/fail?create=1")))
    fake.status = 200
    assert is_queued(gateway.answer(request(target=path.replace("backup", "BackUp")))), "the same heartbeat in upper case"
    assert not is_queued(gateway.answer(request(target=path.replace("backup", "other"))))
    fake.calls.clear()
    runner.retry_round()
    assert fake.calls == [f"{path}/fail".removeprefix("/api"), path.replace("backup", "BackUp").removeprefix("/api")]


def test_what_is_no_ping_is_not_journaled(gateway: Gateway, fake: FakeLambda, journal: Journal) -> None:
    fake.status = 400
    assert gateway.answer(request(target="/api/ping/not-a-uuid")).status == 400
    assert gateway.answer(request("PUT")).status == 400
    assert gateway.answer(request("OPTIONS")).status == 400
    assert gateway.answer(request(target=f"/api/ping/{'k' * 32}")).status == 400
    assert gateway.answer(request(target="/api/nothing")).status == HTTPStatus.FORBIDDEN
    assert gateway.answer(request("POST", body=b"x" * 5_000_000)).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert journal.living() == []


class TestReconciler:
    """With a real PostgreSQL."""

    @pytest.fixture
    def pool(self, database_url: str) -> Iterator[Pool]:
        with open_pool(database_url, application="test", size=1) as opened:
            yield opened

    @pytest.fixture
    def clock(self) -> list[datetime]:
        return [NOW]

    @pytest.fixture
    def reconciler(self, journal: Journal, runner: PingRunner, pool: Pool, clock: list[datetime]) -> Reconciler:
        return Reconciler(journal, runner, pool, lambda: clock[0])

    @staticmethod
    def store(pool: Pool, ping_id: UUID) -> None:
        with pool.connection() as connection:
            connection.execute(
                "INSERT INTO ping (id, monitor_id, sequence, pinged_at, body_size, body_truncated, kind, method, source_ip, user_agent) "
                "VALUES (%s, 1, 1, %s, 0, false, 'success', 'GET', '', '')",
                (ping_id, NOW),
            )

    def test_a_stored_ping_leaves_the_journal(
        self, gateway: Gateway, journal: Journal, pool: Pool, reconciler: Reconciler
    ) -> None:
        ping(gateway)
        ping(gateway)
        first, second = (entry.id for entry in journal.living())
        self.store(pool, first)
        reconciler.round()
        assert [entry.id for entry in journal.living()] == [second]

    @pytest.mark.parametrize("status", [400, 404])
    def test_a_ping_that_was_refused_leaves_the_journal(
        self, gateway: Gateway, fake: FakeLambda, journal: Journal, reconciler: Reconciler, status: int
    ) -> None:
        fake.status = status
        assert ping(gateway).status == status
        reconciler.round()
        assert journal.living() == []

    def test_a_ping_of_our_canary_leaves_the_journal_once_it_was_taken(
        self, gateway: Gateway, fake: FakeLambda, runner: PingRunner, pool: Pool, reconciler: Reconciler
    ) -> None:
        with pool.connection() as connection:
            canary = edge.canary_id(connection)
        fake.status = 503
        ping(gateway, canary)
        reconciler.round()
        assert [entry.heartbeat for entry in runner._journal.living()] == [canary], "it waits"
        fake.status = 200
        runner.retry_round()
        reconciler.round()
        assert runner._journal.living() == []

    def test_a_ping_that_is_overdue_is_run_again_with_growing_pauses(
        self, gateway: Gateway, fake: FakeLambda, runner: PingRunner, reconciler: Reconciler, clock: list[datetime]
    ) -> None:
        ping(gateway)
        runs: list[int] = []
        for second in range(0, 100, 2):
            clock[0] = NOW + timedelta(seconds=second)
            before = len(fake.calls)
            reconciler.round()
            runner.retry_round()
            if len(fake.calls) > before:
                runs.append(second)
        assert runs == [OVERDUE_S, 30, 70]

    def test_a_restart_runs_what_is_left_in_order(
        self, gateway: Gateway, fake: FakeLambda, journal: Journal, runner: PingRunner
    ) -> None:
        fake.status = 503
        for action in ("start", "fail", ""):
            ping(gateway, action=action)
        restarted = PingRunner(fake.invoke, journal, lambda: True)
        restarted.requeue(journal.living())
        fake.status = 200
        fake.calls.clear()
        restarted.retry_round()
        restarted.close()
        assert fake.calls == [f"/ping/{HEARTBEAT}/start", f"/ping/{HEARTBEAT}/fail", f"/ping/{HEARTBEAT}/"]


def test_the_journaled_event_is_what_the_lambda_got(gateway: Gateway, tmp_path: Path) -> None:
    gateway.answer(request("POST", body=b"\x00body"))
    [entry] = read_living(tmp_path)
    event = json.loads(entry.event)
    assert (event["requestContext"]["requestId"], event["requestContext"]["requestTimeEpoch"]) == (
        str(entry.id),
        entry.received_ms,
    )
    assert base64.b64decode(event["body"]) == b"\x00body"
