"""The ping Lambda behind API Gateway's event shape, with DynamoDB, EventBridge and SQS of the stand-in."""

import base64
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from chalice.test import Client

from core.contracts import events
from core.contracts.heartbeat_keys import BODY_LIMIT, INLINE_BODY_LIMIT, STATE_SORT_KEY, pending_partitions, ping_sort_key
from core.contracts.heartbeat_table import HeartbeatItem, PendingItem, PingItem
from lambdas.ping.app import app as chalice_app
from tests.aws_stand_in import AwsStandIn

WORKSPACE = UUID("0190f5c2-0000-7000-8000-000000000000")


@pytest.fixture
def app(aws: AwsStandIn) -> Any:
    """The Chalice app, in front of an empty stand-in."""
    return chalice_app


def heartbeat() -> str:
    uid = str(uuid4())
    HeartbeatItem(uid, STATE_SORT_KEY, workspace_id=str(WORKSPACE)).save()
    return uid


def proxy_event(
    uid: str,
    action: str | None = None,
    *,
    method: str = "GET",
    query: dict[str, list[str]] | None = None,
    body: str | None = None,
    request_id: str | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """The event of a REST API with Lambda proxy integration, as API Gateway documents it."""
    names = [uid, *(action or "").split("/")] if action else [uid]
    resource = "/ping/" + "/".join(["{token}", "{name}", "{action}"][: len(names)])
    path = f"/ping/{'/'.join(names)}/"
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "ping.example.com", "User-Agent": "curl/8.5.0"},
        "multiValueHeaders": {"Host": ["ping.example.com"], "User-Agent": ["curl/8.5.0"]},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} if query else None,
        "multiValueQueryStringParameters": query,
        "pathParameters": dict(zip(("token", "name", "action"), names, strict=False)),
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "path": "/api" + path,
            "httpMethod": method,
            "stage": "api",
            "requestId": request_id or str(uuid4()),
            "requestTimeEpoch": int(time.time() * 1000),
            "identity": {"sourceIp": "203.0.113.9", "userAgent": "curl/8.5.0"},
        },
        "body": body,
        "isBase64Encoded": False,
        **extra,
    }


def state_of(uid: str) -> HeartbeatItem:
    return HeartbeatItem.get(uid, STATE_SORT_KEY, consistent_read=True)


def pings_of(uid: str) -> list[PingItem]:
    return list(PingItem.query(uid, PingItem.sk.startswith("ping#"), consistent_read=True))


def pending() -> list[PendingItem]:
    return [item for partition in pending_partitions() for item in PendingItem.query(partition, consistent_read=True)]


def received(aws: AwsStandIn) -> list[events.Detail[events.HeartbeatPinged]]:
    sqs, found = aws.client("sqs"), []
    while messages := sqs.receive_message(QueueUrl=aws.queue_urls["pings"], MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(events.decode(events.HeartbeatPinged, json.dumps(json.loads(message["Body"])["detail"])))
            sqs.delete_message(QueueUrl=aws.queue_urls["pings"], ReceiptHandle=message["ReceiptHandle"])
    return found


def test_a_ping_is_in_the_table_pending_and_on_its_way(aws: AwsStandIn, app: Any) -> None:
    uid = heartbeat()
    event = proxy_event(uid, "7", method="POST", body=base64.b64encode(b"\xff\x00log").decode(), isBase64Encoded=True)
    answer = app(event, None)
    assert (answer["statusCode"], base64.b64decode(answer["body"]), answer["isBase64Encoded"]) == (200, b"OK", True)
    assert answer["headers"]["Content-Type"].startswith("text/plain")
    assert answer["headers"]["Access-Control-Allow-Origin"] == "*"
    state = state_of(uid)
    at = event["requestContext"]["requestTimeEpoch"]
    assert (state.sequence, state.last_fail_at, state.last_fail_sequence) == (1, at, 1)
    assert state_of(uid).to_simple_dict().get("last_success_at") is None
    [item] = pings_of(uid)
    assert (item.sk, item.sequence, item.kind) == (ping_sort_key(event["requestContext"]["requestId"]), 1, "fail")
    assert (item.exit_status, item.body, item.body_size, item.user_agent) == (7, b"\xff\x00log", 5, "curl/8.5.0")
    assert item.expires_at > at / 1000
    [marker] = pending()
    [sent] = received(aws)
    assert events.decode(events.HeartbeatPinged, marker.detail) == sent
    assert (str(sent.data.heartbeat_id), sent.data.exit_status, sent.metadata.workspace_id) == (uid, 7, WORKSPACE)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    ("action", "kind"), [(None, "success"), ("start", "start"), ("fail", "fail"), ("log", "log"), ("0", "success")]
)
def test_every_form_of_a_ping(app: Any, method: str, action: str | None, kind: str) -> None:
    uid = heartbeat()
    assert app(proxy_event(uid.upper(), action, method=method), None)["statusCode"] == 200
    [item] = pings_of(uid)
    assert (item.kind, item.method) == (kind, method)


def test_a_replayed_request_is_one_ping(aws: AwsStandIn, app: Any) -> None:
    uid, request_id = heartbeat(), str(uuid4())
    replayed = proxy_event(uid, request_id=request_id)
    assert app(replayed, None)["statusCode"] == 200
    assert app(proxy_event(uid, "fail"), None)["statusCode"] == 200
    for marker in pending():
        marker.delete()
    assert app(replayed, None)["statusCode"] == 200
    assert Counter(item.kind for item in pings_of(uid)) == {"success": 1, "fail": 1}
    assert state_of(uid).last_success_sequence < state_of(uid).last_fail_sequence
    assert pending() == []
    assert len(received(aws)) == 2


def patient_client(app: Any, event: dict[str, Any]) -> int:
    """Sends the same request again when told to; the stand-in handles one at a time, so the last of many may time out."""
    for _ in range(5):
        status: int = app(event, None)["statusCode"]
        if status != 503:
            return status
    return 503


def test_fifty_clients_at_once_lose_nothing(aws: AwsStandIn, app: Any) -> None:
    uid = heartbeat()
    actions = [None, "start", "fail", "log", "0"] * 10
    with ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(lambda action: patient_client(app, proxy_event(uid, action)), actions))
    assert answers == [200] * 50
    items = pings_of(uid)
    sequences = {item.sequence for item in items}
    assert (len(items), len(sequences)) == (50, 50), "gaps are allowed: the SDK repeats an update whose answer was late"
    state = state_of(uid)
    newest = {kind: max(item.sequence for item in items if item.kind == kind) for kind in ("success", "fail", "start")}
    assert newest == {
        "success": state.last_success_sequence,
        "fail": state.last_fail_sequence,
        "start": state.last_start_sequence,
    }
    assert len(pending()) == 50
    assert {sent.data.sequence for sent in received(aws)} <= sequences


@pytest.mark.parametrize(
    ("token", "action", "status"),
    [("01a208bd-0000-7000-8000-00000000dead", None, 404), ("nonsense", None, 400), (None, "stop", 400)],
)
def test_what_is_no_ping_leaves_nothing_behind(app: Any, token: str | None, action: str | None, status: int) -> None:
    known = heartbeat()
    assert app(proxy_event(token or known, action), None)["statusCode"] == status
    assert (pings_of(known), pending()) == ([], [])


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_no_pings(app: Any, method: str) -> None:
    uid = heartbeat()
    answer = app(proxy_event(uid, method=method), None)
    assert (answer["statusCode"], answer["headers"]["Allow"]) == (405, "GET, HEAD, POST")
    assert pings_of(uid) == []


def test_a_preflight_is_no_ping(app: Any) -> None:
    uid = heartbeat()
    answer = app(proxy_event(uid, method="OPTIONS"), None)
    assert (answer["statusCode"], answer["headers"]["Access-Control-Allow-Origin"]) == (204, "*")
    assert pings_of(uid) == []


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; charset=nonsense",
        ";;",
        "application/json",
    ],
)
def test_any_content_type_is_taken(app: Any, content_type: str) -> None:
    uid = heartbeat()
    answer = Client(app).http.post(f"/ping/{uid}/", headers={"Content-Type": content_type}, body=b"a=1&b=\xc3")
    assert answer.status_code == 200
    [item] = pings_of(uid)
    assert item.body_size == 7


@pytest.mark.parametrize(
    ("size", "place", "kept"),
    [
        (INLINE_BODY_LIMIT, "item", INLINE_BODY_LIMIT),
        (INLINE_BODY_LIMIT + 1, "s3", INLINE_BODY_LIMIT + 1),
        (BODY_LIMIT + 1, "s3", BODY_LIMIT),
    ],
)
def test_a_body_is_kept_where_it_fits(aws: AwsStandIn, app: Any, size: int, place: str, kept: int) -> None:
    uid, body = heartbeat(), bytes(range(256)) * (size // 256 + 1)
    answer = Client(app).http.post(f"/ping/{uid}/start", body=body[:size])
    assert (answer.status_code, answer.body) == (200, b"OK")
    assert answer.headers["Ping-Body-Limit"] == "1048576"
    assert ("Ping-Body-Truncated" in answer.headers) == (kept < size)
    item: Any = pings_of(uid)[0]
    assert (item.body_size, item.body_truncated, item.body_lost) == (size, kept < size, None)
    [sent] = received(aws)
    assert sent.data.body_key == (item.body_key or "")
    if place == "item":
        assert (item.body, item.body_key) == (body[:kept], None)
    else:
        assert (item.body, item.body_key) == (None, f"{uid}/{item.sk.removeprefix('ping#')}")
        stored = aws.client("s3").get_object(Bucket=aws.names.ping_bodies_bucket, Key=item.body_key)
        assert stored["Body"].read() == body[:kept]


def test_without_its_bucket_a_large_body_is_lost_and_the_ping_is_not(aws: AwsStandIn, app: Any) -> None:
    aws.client("s3").delete_bucket(Bucket=aws.names.ping_bodies_bucket)
    uid = heartbeat()
    assert Client(app).http.post(f"/ping/{uid}", body=b"x" * 50_000).status_code == 200
    [item] = pings_of(uid)
    assert (item.body, item.body_size, item.body_lost) == (b"x" * INLINE_BODY_LIMIT, 50_000, True)
    [sent] = received(aws)
    assert (sent.data.body_lost, sent.data.body_truncated) == (True, True)


def test_headers_may_be_missing_altogether(app: Any) -> None:
    uid = heartbeat()
    assert (
        app(proxy_event(uid, headers=None, multiValueHeaders=None, multiValueQueryStringParameters=None), None)["statusCode"]
        == 200
    )


def test_a_bus_that_is_away_costs_nothing_because_the_ping_is_pending(aws: AwsStandIn, app: Any) -> None:
    aws.client("events").delete_event_bus(Name=aws.names.bus)
    uid = heartbeat()
    assert app(proxy_event(uid), None)["statusCode"] == 200
    assert len(pending()) == 1
