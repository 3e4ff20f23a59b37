"""What a proxy event asks for, and what the Lambda makes of odd requests and of a DynamoDB that refuses."""

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts import events
from core.contracts.heartbeat_keys import INLINE_BODY_LIMIT, PENDING_SHARDS, pending_partition, pending_partitions
from lambdas.ping.aws import OUTAGES, AwsError
from lambdas.ping.event import detail
from lambdas.ping.publish import Publisher
from lambdas.ping.record import ATTEMPTS, Busy, Recorder, UnknownHeartbeat
from lambdas.ping.request import BadRequest, Ping
from lambdas.ping.request import parse as parse_event
from lambdas.ping.service import PingService

HEARTBEAT = "0190f5c2-1b2c-7d3e-8f40-123456789abc"
REQUEST = "5e1d9f6a-7d3c-4a0e-9b1e-0a1b2c3d4e5f"
PINGED_AT = 1_795_435_200_123


def proxy_event(
    *, body: Any = None, base64_encoded: bool = False, method: str = "POST", headers: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "headers": headers or {},
        "body": body,
        "isBase64Encoded": base64_encoded,
        "requestContext": {
            "requestId": REQUEST,
            "requestTimeEpoch": PINGED_AT,
            "httpMethod": method,
            "identity": {"sourceIp": "203.0.113.9"},
        },
    }


def parse(event: dict[str, Any], token: str, action: str | None) -> Ping:
    return parse_event(event, token, action, now_ms=1, new_id="new")


def test_a_plain_ping_is_a_success() -> None:
    ping = parse(proxy_event(method="GET", headers={"User-Agent": "curl/8"}), HEARTBEAT, None)
    assert ping == Ping(HEARTBEAT, REQUEST, "success", None, PINGED_AT, "GET", "203.0.113.9", "curl/8", b"", 0)


@pytest.mark.parametrize(
    ("action", "kind", "exit_status"),
    [
        ("start", "start", None),
        ("fail", "fail", None),
        ("log", "log", None),
        ("0", "success", 0),
        ("-0", "success", 0),
        ("000", "success", 0),
        ("1", "fail", 1),
        ("255", "fail", 255),
        ("-1", "fail", -1),
        ("3221225477", "fail", 3_221_225_477),
        ("-2147483648", "fail", -(2**31)),
        ("4294967295", "fail", 2**32 - 1),
    ],
)
def test_an_action_gives_kind_and_exit_status(action: str, kind: str, exit_status: int | None) -> None:
    ping = parse(proxy_event(), HEARTBEAT, action)
    assert (ping.kind, ping.exit_status) == (kind, exit_status)


@pytest.mark.parametrize(
    "action", ["", "Start", "stop", "4294967296", "-2147483649", "1.0", "+1", "0x1", "1e3", "\u0663", "9" * 5000, "fail "]
)
def test_any_other_action_is_refused(action: str) -> None:
    with pytest.raises(BadRequest):
        parse(proxy_event(), HEARTBEAT, action)


@pytest.mark.parametrize(
    "token",
    ["", "x", HEARTBEAT[:-1], HEARTBEAT + "0", HEARTBEAT.replace("-", ""), f"{{{HEARTBEAT}}}", "\u0660" * 36, f" {HEARTBEAT}"],
)
def test_a_malformed_token_is_refused(token: str) -> None:
    with pytest.raises(BadRequest):
        parse(proxy_event(), token, None)


def test_an_upper_case_token_is_the_same_heartbeat() -> None:
    assert parse(proxy_event(), HEARTBEAT.upper(), None).heartbeat_id == HEARTBEAT


def test_a_request_id_that_is_no_uuid_still_gives_one_id() -> None:
    event = proxy_event()
    event["requestContext"]["requestId"] = "not-a-uuid"
    first, second = parse(event, HEARTBEAT, None), parse(event, HEARTBEAT, None)
    assert first.ping_id == second.ping_id
    assert UUID(first.ping_id).version == 5


def test_an_event_without_time_and_id_gets_them_from_the_caller() -> None:
    event = proxy_event()
    del event["requestContext"]["requestId"], event["requestContext"]["requestTimeEpoch"]
    ping = parse_event(event, HEARTBEAT, None, now_ms=PINGED_AT + 5, new_id=REQUEST)
    assert (ping.ping_id, ping.pinged_at) == (REQUEST, PINGED_AT + 5)


def test_the_body_is_cut_and_marked() -> None:
    long = bytes(range(256)) * 41
    ping = parse(proxy_event(body=base64.b64encode(long).decode(), base64_encoded=True), HEARTBEAT, None)
    assert ping.body == long[:INLINE_BODY_LIMIT]
    assert (ping.body_size, ping.body_truncated) == (len(long), True)
    exact = parse(proxy_event(body="x" * INLINE_BODY_LIMIT), HEARTBEAT, None)
    assert (exact.body_size, exact.body_truncated) == (INLINE_BODY_LIMIT, False)


@given(st.one_of(st.none(), st.text(st.characters()), st.binary()), st.booleans())
def test_no_body_is_an_error(body: str | bytes | None, base64_encoded: bool) -> None:
    ping = parse(proxy_event(body=body, base64_encoded=base64_encoded), HEARTBEAT, None)
    assert ping.body_size >= len(ping.body)


@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_the_client_calls_itself_the_event_can_be_read(user_agent: str, source_ip: str) -> None:
    event = proxy_event(headers={"USER-agent": user_agent})
    event["requestContext"]["identity"]["sourceIp"] = source_ip
    ping = parse(event, HEARTBEAT, "7")
    text = detail(ping, 12, "0190f5c2-0000-7000-8000-000000000000")
    read = events.decode(events.HeartbeatPinged, text)
    assert read.data.user_agent == ping.user_agent
    assert "\x00" not in read.data.user_agent + read.data.source_ip
    assert len(read.data.user_agent) <= 200


def test_the_event_says_what_the_ping_said() -> None:
    ping = parse(proxy_event(body="héllo", headers={"User-Agent": "curl/8"}), HEARTBEAT, "3")
    first = events.decode(events.HeartbeatPinged, detail(ping, 12, "0190f5c2-0000-7000-8000-000000000000"))
    assert first.data == events.HeartbeatPinged(
        ping_id=UUID(REQUEST),
        heartbeat_id=UUID(HEARTBEAT),
        sequence=12,
        kind="fail",
        exit_status=3,
        pinged_at=first.metadata.occurred_at,
        method="POST",
        source_ip="203.0.113.9",
        user_agent="curl/8",
        body_size=6,
    )
    assert first.metadata.occurred_at.timestamp() * 1000 == pytest.approx(PINGED_AT)
    assert first.metadata.event_id.version == 7
    assert first.metadata.event_id.int >> 80 == PINGED_AT


@given(st.uuids())
def test_every_ping_has_its_pending_partition(ping_id: UUID) -> None:
    assert pending_partition(str(ping_id)) in pending_partitions()
    assert len(set(pending_partitions())) == PENDING_SHARDS


def refusal(code: str, reasons: Sequence[str] = ()) -> AwsError:
    """An error as DynamoDB answers it."""
    return AwsError(code, answer={"CancellationReasons": [{"Code": reason} for reason in reasons]})


class ScriptedTable:
    """Answers each transaction by the next line of the script, then takes everything."""

    def __init__(self, transactions: Sequence[Exception] = (), updates: Sequence[Exception] = ()) -> None:
        self.script, self.updates = list(transactions), list(updates)
        self.taken: list[list[dict[str, Any]]] = []

    def update_item(self, **_request: Any) -> dict[str, Any]:
        if self.updates:
            raise self.updates.pop(0)
        return {"Attributes": {"sequence": {"N": "4"}, "workspace_id": {"S": "0190f5c2-0000-7000-8000-000000000000"}}}

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        if self.script:
            raise self.script.pop(0)
        self.taken.append(request["TransactItems"])
        return {}


def cancelled(*reasons: str) -> AwsError:
    return refusal("TransactionCanceledException", reasons)


def recorder(table: ScriptedTable, pauses: list[float] | None = None) -> Recorder:
    pause: Callable[[float], None] = pauses.append if pauses is not None else lambda _: None
    return Recorder(table, "t", pause=pause, jitter=lambda: 1.0)


SUCCESS = parse(proxy_event(), HEARTBEAT, None)


def test_conflicts_are_retried_with_growing_pauses_until_the_ping_is_in() -> None:
    table = ScriptedTable([cancelled("None", "None", "TransactionConflict"), cancelled("None", "ThrottlingError", "None")])
    pauses: list[float] = []
    assert recorder(table, pauses).record(SUCCESS)
    assert pauses == [0.01, 0.02]
    assert len(table.taken) == 1


def test_an_older_ping_is_stored_without_touching_the_newer_times() -> None:
    table = ScriptedTable([cancelled("None", "None", "ConditionalCheckFailed")])
    assert recorder(table).record(SUCCESS)
    assert [next(iter(part)) for part in table.taken[0]] == ["Put", "Put"]


def test_a_ping_that_is_there_already_is_not_written_again() -> None:
    table = ScriptedTable([cancelled("ConditionalCheckFailed", "None", "ConditionalCheckFailed")])
    assert recorder(table).record(SUCCESS) is None
    assert table.taken == []


def test_a_log_leaves_the_state_alone() -> None:
    table = ScriptedTable()
    recorder(table).record(parse(proxy_event(), HEARTBEAT, "log"))
    assert [next(iter(part)) for part in table.taken[0]] == ["Put", "Put"]


def test_an_unknown_heartbeat_is_told_apart_from_trouble() -> None:
    with pytest.raises(UnknownHeartbeat):
        recorder(ScriptedTable(updates=[refusal("ConditionalCheckFailedException")])).record(SUCCESS)
    with pytest.raises(AwsError):
        recorder(ScriptedTable(updates=[refusal("AccessDeniedException")])).record(SUCCESS)
    with pytest.raises(AwsError):
        recorder(ScriptedTable([cancelled("None", "ValidationError", "None")])).record(SUCCESS)


def test_endless_conflicts_end() -> None:
    conflict = cancelled("None", "None", "TransactionConflict")
    pauses: list[float] = []
    with pytest.raises(Busy):
        recorder(ScriptedTable([conflict] * ATTEMPTS), pauses).record(SUCCESS)
    assert sum(pauses) < 4
    with pytest.raises(Busy):
        recorder(ScriptedTable(updates=[refusal("TransactionConflictException")] * ATTEMPTS)).record(SUCCESS)


class ScriptedBus:
    def __init__(self, answer: dict[str, Any] | Exception) -> None:
        self.answer = answer

    def put_events(self, **_request: Any) -> dict[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer", [refusal("InternalException"), {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}]
)
def test_a_bus_that_fails_costs_the_client_nothing(answer: dict[str, Any] | Exception) -> None:
    reports: list[str] = []
    publisher = Publisher(ScriptedBus(answer), "bus", OUTAGES, reports.append)
    service = PingService(recorder(ScriptedTable()), publisher, OUTAGES)
    assert service.answer(proxy_event(), HEARTBEAT, None).status == 200
    assert len(reports) == 1


def test_trouble_with_the_table_asks_to_try_again_and_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    publisher = Publisher(ScriptedBus({}), "bus", OUTAGES, lambda _: None)
    service = PingService(recorder(ScriptedTable(updates=[refusal("InternalServerError")])), publisher, OUTAGES)
    answer = service.answer(proxy_event(), HEARTBEAT, None)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines] == ["ping.not_recorded", "ping.answered"]
    assert {"timestamp", "level", "service", "request_id", "user_id", "duration_ms", "status_code"} <= set(lines[0])
