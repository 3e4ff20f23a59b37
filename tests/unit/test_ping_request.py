"""What a proxy event asks for, and the event that tells of it."""

import base64
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts import events
from core.contracts.heartbeat_keys import BODY_LIMIT, PENDING_SHARDS, pending_partition, pending_partitions
from core.contracts.ping_filters import Filters
from lambdas.ping.address import read
from lambdas.ping.bodies import Kept
from lambdas.ping.event import detail
from lambdas.ping.item import Item, Run
from lambdas.ping.request import Ping
from lambdas.ping.request import parse as parse_event

HEARTBEAT = "0190f5c2-1b2c-7d3e-8f40-123456789abc"
REQUEST = "5e1d9f6a-7d3c-4a0e-9b1e-0a1b2c3d4e5f"
RID = "6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506"
WORKSPACE = "0190f5c2-0000-7000-8000-000000000000"
PINGED_AT = 1_795_435_200_123
ITEM = Item(HEARTBEAT, WORKSPACE, 12)


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


def parse(event: dict[str, Any], action: str | None = None) -> Ping:
    return parse_event(event, read(HEARTBEAT, action, None), now_ms=1, new_id="new")[0]


def test_a_plain_ping_is_a_success() -> None:
    ping = parse(proxy_event(method="GET", headers={"User-Agent": "curl/8", "X-Forwarded-For": "192.0.2.1"}))
    assert ping == Ping(REQUEST, "success", None, PINGED_AT, "GET", "203.0.113.9", "curl/8", b"", 0)


@pytest.mark.parametrize(
    ("rids", "rid", "warning"),
    [
        ([RID], RID, ""),
        ([RID.upper()], RID, ""),
        (["run-7"], None, "rid is no UUID"),
        ([""], None, "rid is no UUID"),
        ([RID, RID], None, "more than once"),
        ([RID[:-1] + "\u0660"], None, "rid is no UUID"),
    ],
)
def test_a_run_id_that_is_of_no_use_is_ignored_with_a_warning(rids: list[str], rid: str | None, warning: str) -> None:
    event = proxy_event() | {"multiValueQueryStringParameters": {"rid": rids}}
    ping, warnings = parse_event(event, read(HEARTBEAT, "start", None), now_ms=1, new_id="new")
    assert ping.rid == rid
    assert [text for text in warnings if warning in text] == warnings
    assert len(warnings) == bool(warning)


def test_a_query_comes_in_either_form() -> None:
    assert parse(proxy_event() | {"queryStringParameters": {"rid": RID}}).rid == RID
    assert parse(proxy_event() | {"queryStringParameters": None, "multiValueQueryStringParameters": None}).rid is None


def test_a_request_id_that_is_no_uuid_still_gives_one_id() -> None:
    event = proxy_event()
    event["requestContext"]["requestId"] = "not-a-uuid"
    first, second = parse(event), parse(event)
    assert first.ping_id == second.ping_id
    assert UUID(first.ping_id).version == 5


def test_an_event_without_time_and_id_gets_them_from_the_caller() -> None:
    event = proxy_event()
    del event["requestContext"]["requestId"], event["requestContext"]["requestTimeEpoch"]
    ping, _ = parse_event(event, read(HEARTBEAT, None, None), now_ms=PINGED_AT + 5, new_id=REQUEST)
    assert (ping.ping_id, ping.pinged_at) == (REQUEST, PINGED_AT + 5)


def test_the_body_is_cut() -> None:
    long = bytes(range(256)) * 4097
    ping = parse(proxy_event(body=base64.b64encode(long).decode(), base64_encoded=True))
    assert (ping.body, ping.body_size) == (long[:BODY_LIMIT], len(long))


@given(st.one_of(st.none(), st.text(st.characters()), st.binary()), st.booleans())
def test_no_body_is_an_error(body: str | bytes | None, base64_encoded: bool) -> None:
    ping = parse(proxy_event(body=body, base64_encoded=base64_encoded))
    assert ping.body_size >= len(ping.body)


@given(st.text(st.characters()), st.text(st.characters()))
def test_whatever_the_client_calls_itself_the_event_can_be_read(user_agent: str, source_ip: str) -> None:
    event = proxy_event(headers={"USER-agent": user_agent})
    event["requestContext"]["identity"]["sourceIp"] = source_ip
    ping = parse(event, "7")
    text = detail(ITEM, ping, Kept())
    read = events.decode(events.HeartbeatPinged, text)
    assert read.data.user_agent == ping.user_agent
    assert "\x00" not in read.data.user_agent + read.data.source_ip
    assert len(read.data.user_agent) <= 200


def test_the_event_says_what_the_ping_said() -> None:
    ping = parse(proxy_event(body="héllo", headers={"User-Agent": "curl/8"}), "3")
    first = events.decode(events.HeartbeatPinged, detail(ITEM, ping, Kept()))
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


def test_the_event_says_where_the_body_is_and_when_the_run_began() -> None:
    item = Item(HEARTBEAT, WORKSPACE, 12, runs={RID: Run(PINGED_AT - 5000, 9)}, creation='{"slug":"backup","period_s":60}')
    ping = parse(proxy_event() | {"queryStringParameters": {"rid": RID}})
    data = events.decode(events.HeartbeatPinged, detail(item, ping, Kept(key="a/b", truncated=True))).data
    assert (str(data.rid), data.body_key, data.body_truncated, data.body_lost) == (RID, "a/b", True, False)
    assert data.started_at
    assert data.started_at.timestamp() * 1000 == pytest.approx(PINGED_AT - 5000)
    assert data.creation == events.HeartbeatCreation(slug="backup", period_s=60)


@pytest.mark.parametrize(
    ("item", "rid", "started_at"),
    [
        (Item(HEARTBEAT, WORKSPACE, 9, start=Run(5, 8), end_sequence=7), None, 5),
        (Item(HEARTBEAT, WORKSPACE, 9, start=Run(5, 7), end_sequence=8), None, None),
        (Item(HEARTBEAT, WORKSPACE, 9, start=Run(5, 8), runs={RID: Run(3, 2)}), RID, 3),
        (Item(HEARTBEAT, WORKSPACE, 9, start=Run(5, 8)), RID, None),
    ],
)
def test_a_run_is_the_one_with_its_id(item: Item, rid: str | None, started_at: int | None) -> None:
    assert item.started_at(rid) == started_at


FILTERS = Filters.load(json.dumps({"fail": ["ERROR", "ошибка"], "success": ["done"], "start": ["begin"], "otherwise": "fail"}))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"done", "success"),
        (b"done, with an ERROR", "fail"),
        (b"an error, done", "success"),
        (b"begin", "start"),
        (b"begin ... done", "success"),
        (b"\xff\xfe\x00 done \xc3", "success"),
        ("была ошибка".encode(), "fail"),
        (b"", "fail"),
        (b"nothing", "fail"),
    ],
)
def test_the_first_kind_with_a_matching_keyword_decides(body: bytes, kind: str) -> None:
    assert FILTERS.kind([body]) == kind


def test_what_nothing_matches_is_ignored_unless_told_otherwise() -> None:
    assert Filters.load('{"success": ["done"]}').kind([b"half"]) == "log"


@given(st.binary(), st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)))
def test_no_body_breaks_a_filter(body: bytes, words: list[str]) -> None:
    filters = Filters.load(json.dumps({"success": words}))
    assert filters.kind([body]) == ("success" if any(word.encode() in body for word in words) else "log")


@given(st.uuids())
def test_every_ping_has_its_pending_partition(ping_id: UUID) -> None:
    assert pending_partition(str(ping_id)) in pending_partitions()
    assert len(set(pending_partitions())) == PENDING_SHARDS
