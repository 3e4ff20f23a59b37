"""Pings by ping key and slug, and heartbeats that their first ping creates."""

import json
import time
from base64 import b64decode, b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from core.contracts.heartbeat_keys import KEY_SORT_KEY, STATE_SORT_KEY, key_partition, run_attribute, slugs_partition
from core.contracts.heartbeat_table import HeartbeatItem, PingKeyItem, SlugItem
from tests.aws_stand_in import AwsStandIn
from tests.integration.test_ping_lambda import WORKSPACE, app, heartbeat, pending, pings_of, proxy_event, received, state_of

__all__ = ["app"]  # a fixture

KEY = "6f1c2a345b6d4e7f8a90b1c2d3e4f506"
CREATE = {"create": ["1"]}


@pytest.fixture
def key(aws: AwsStandIn) -> str:
    PingKeyItem(key_partition(KEY), KEY_SORT_KEY, workspace_id=str(WORKSPACE)).save()
    return KEY


def named(slug: str = "backup") -> str:
    uid = heartbeat()
    SlugItem(slugs_partition(str(WORKSPACE)), slug, heartbeat_id=uid).save()
    return uid


def created() -> list[HeartbeatItem]:
    return list(HeartbeatItem.scan(HeartbeatItem.sk == STATE_SORT_KEY, consistent_read=True))


def post(app: Any, path: str, query: dict[str, list[str]] | None = None, **event: Any) -> tuple[int, dict[str, str]]:
    answer = app(proxy_event(KEY, path, query=query, **event), None)
    return answer["statusCode"], answer["headers"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("backup", "success"), ("BackUp/start", "start"), ("backup/fail", "fail"), ("backup/7", "fail"), ("backup/log", "log")],
)
def test_a_name_is_the_heartbeat_that_has_it(app: Any, key: str, path: str, kind: str) -> None:
    uid = named()
    assert post(app, path)[0] == 200
    assert [item.kind for item in pings_of(uid)] == [kind]


@pytest.mark.parametrize(("path", "status"), [("other", 404), ("start", 400), ("backup/stop", 400)])
def test_a_name_that_is_none_records_nothing(app: Any, key: str, path: str, status: int) -> None:
    uid = named()
    assert post(app, path)[0] == status
    assert (pings_of(uid), pending()) == ([], [])


def test_a_key_that_was_replaced_is_good_until_its_time(app: Any, key: str) -> None:
    uid, item = named(), PingKeyItem.get(key_partition(KEY), KEY_SORT_KEY)
    now = int(time.time() * 1000)
    item.update([PingKeyItem.valid_until.set(now + 60_000)])
    assert post(app, "backup")[0] == 200
    item.update([PingKeyItem.valid_until.set(now - 60_000)])
    assert post(app, "backup")[0] == 404
    assert len(pings_of(uid)) == 1


def test_the_first_ping_creates_its_heartbeat(aws: AwsStandIn, app: Any, key: str) -> None:
    query = CREATE | {"period": ["1h"], "grace": ["90"], "tags": ["db, nightly,db"]}
    status, headers = post(app, "backup/start", query | {"rid": [str(uuid4())]})
    assert status == 201
    assert "Ping-Warning" not in headers
    [beat] = created()
    assert (beat.sequence, beat.workspace_id, beat.slug) == (1, str(WORKSPACE), "backup")
    [item] = pings_of(beat.pk)
    assert (item.kind, item.sequence) == ("start", 1)
    [sent] = received(aws)
    expected = {"slug": "backup", "tags": ["db", "nightly"], "period_s": 3600, "grace_s": 90, "schedule": "", "time_zone": "UTC"}
    assert sent.data.creation
    assert {name: getattr(sent.data.creation, name) for name in expected} == expected
    assert (str(sent.data.heartbeat_id), sent.data.sequence) == (beat.pk, 1)
    status, headers = post(app, "backup", query)
    assert (status, headers["Ping-Warning"]) == (200, "the heartbeat exists, so the options of create are ignored")
    [again] = received(aws)
    assert again.data.creation == sent.data.creation, "every ping carries it until the core has the heartbeat"
    assert post(app, "backup", CREATE)[1].get("Ping-Warning") is None


def test_eight_first_pings_at_once_create_one_heartbeat(aws: AwsStandIn, app: Any, key: str) -> None:
    def ping(_number: int) -> int:
        for _ in range(5):
            status = post(app, "backup", CREATE)[0]
            if status != 503:
                return status
        return 503

    with ThreadPoolExecutor(8) as clients:
        answers = Counter(clients.map(ping, range(8)))
    assert answers == {201: 1, 200: 7}
    [beat] = created()
    assert len(pings_of(beat.pk)) == 8
    assert {str(sent.data.heartbeat_id) for sent in received(aws)} == {beat.pk}
    assert PingKeyItem.get(key_partition(KEY), KEY_SORT_KEY).created == 1


@pytest.mark.parametrize(
    ("query", "culprit"),
    [
        ({"period": ["9"]}, "period"),
        ({"period": ["1y"]}, "period"),
        ({"period": ["60", "70"]}, "period"),
        ({"period": ["9999999w"]}, "period"),
        ({"grace": ["0"]}, "grace"),
        ({"grace": ["-5"]}, "grace"),
        ({"tags": [",".join(map(str, range(21)))]}, "tags"),
        ({"tags": ["x" * 51]}, "tags"),
        ({"period": ["60"], "schedule": ["0 3 * * *"]}, "schedule"),
        ({"priod": ["60"]}, "'priod' is no option"),
        ({"create": ["true"]}, "create must be 1"),
        ({"create": ["1", "1"]}, "create must be 1"),
    ],
)
def test_bad_options_create_nothing_and_are_named(app: Any, key: str, query: dict[str, list[str]], culprit: str) -> None:
    event = proxy_event(KEY, "backup", query=CREATE | query)
    answer = app(event, None)
    assert answer["statusCode"] == 400
    assert culprit in decoded(answer)
    assert (created(), pending()) == ([], [])
    assert list(SlugItem.query(slugs_partition(str(WORKSPACE)))) == []


def decoded(answer: dict[str, Any]) -> str:
    return b64decode(answer["body"]).decode()


def test_bad_options_cost_no_ping_of_a_heartbeat_that_exists(app: Any, key: str) -> None:
    uid = named()
    status, headers = post(app, "backup", CREATE | {"period": ["nonsense"]})
    assert (status, "ignored" in headers["Ping-Warning"]) == (200, True)
    assert len(pings_of(uid)) == 1


def test_a_uuid_creates_nothing(app: Any) -> None:
    uid = str(uuid4())
    answer = app(proxy_event(uid, query=CREATE), None)
    assert (answer["statusCode"], created()) == (404, [])
    known = heartbeat()
    assert "create" in app(proxy_event(known, query=CREATE), None)["headers"]["Ping-Warning"]


def test_a_workspace_creates_so_many_a_day(app: Any, key: str) -> None:
    day = int(time.time() * 1000) // 86_400_000
    item = PingKeyItem.get(key_partition(KEY), KEY_SORT_KEY)
    item.update([PingKeyItem.created_day.set(day), PingKeyItem.created.set(100)])
    status, headers = post(app, "one", CREATE)
    assert (status, int(headers["Retry-After"]) <= 86_400) == (429, True)
    assert created() == []
    item.update([PingKeyItem.created_day.set(day - 1)])
    assert post(app, "one", CREATE)[0] == 201
    assert PingKeyItem.get(key_partition(KEY), KEY_SORT_KEY).created == 1


def test_a_replayed_creation_is_one_ping(aws: AwsStandIn, app: Any, key: str) -> None:
    event = proxy_event(KEY, "backup", query=CREATE)
    assert [app(event, None)["statusCode"] for _ in range(2)] == [201, 200]
    [beat] = created()
    assert (len(pings_of(beat.pk)), len(received(aws))) == (1, 1)


def raw_item(aws: AwsStandIn, uid: str) -> dict[str, Any]:
    key = {"pk": {"S": uid}, "sk": {"S": STATE_SORT_KEY}}
    found: dict[str, Any] = aws.client("dynamodb").get_item(TableName=aws.names.heartbeats_table, Key=key, ConsistentRead=True)[
        "Item"
    ]
    return found


def test_the_item_knows_the_open_runs(aws: AwsStandIn, app: Any) -> None:
    uid, hung, quick = heartbeat(), str(uuid4()), str(uuid4())
    for action, rid in [("start", hung), ("start", quick), (None, quick), ("start", None), ("0", None)]:
        assert app(proxy_event(uid, action, query={"rid": [rid]} if rid else None), None)["statusCode"] == 200
    item = raw_item(aws, uid)
    assert {name for name in item if name.startswith("run#")} == {run_attribute(hung)}
    assert item[run_attribute(hung)]["M"]["sequence"] == {"N": "1"}
    assert (item["last_start_sequence"], item["last_end_sequence"]) == ({"N": "4"}, {"N": "5"})
    ends = {sent.data.sequence: sent.data.started_at is not None for sent in received(aws)}
    assert ends == {1: False, 2: False, 3: True, 4: False, 5: True}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_where_post_is_asked_for_nothing_else_counts(app: Any, method: str) -> None:
    uid = heartbeat()
    HeartbeatItem(uid, STATE_SORT_KEY).update([HeartbeatItem.post_only.set(True)])
    answer = app(proxy_event(uid, method=method), None)
    assert (answer["statusCode"], answer["headers"]["Allow"]) == (405, "POST")
    assert (pings_of(uid), state_of(uid).sequence) == ([], 0)
    assert app(proxy_event(uid, method="POST"), None)["statusCode"] == 200


@pytest.mark.parametrize(
    ("action", "body", "kind"),
    [
        (None, b"\xff ERROR \xc3", "fail"),
        (None, b"all done", "success"),
        (None, b"", "log"),
        ("0", b"ERROR", "fail"),
        ("fail", b"all done", "fail"),
        ("3", b"all done", "fail"),
        ("start", b"ERROR", "start"),
        ("log", b"ERROR", "log"),
    ],
)
def test_the_words_of_a_plain_ping_decide(app: Any, action: str | None, body: bytes, kind: str) -> None:
    uid = heartbeat()
    HeartbeatItem(uid, STATE_SORT_KEY).update([HeartbeatItem.filters.set(json.dumps({"fail": ["ERROR"], "success": ["done"]}))])
    event = proxy_event(uid, action, method="POST", body=b64encode(body).decode(), isBase64Encoded=True)
    assert app(event, None)["statusCode"] == 200
    [item] = pings_of(uid)
    assert item.kind == kind
    latest = {"success": "last_success_at", "fail": "last_fail_at", "start": "last_start_at"}
    state = state_of(uid)
    assert {name for name in latest.values() if getattr(state, name) is not None} == ({latest[kind]} if kind in latest else set())


def test_a_keyword_is_found_behind_a_character_that_the_limit_cuts(app: Any) -> None:
    uid = heartbeat()
    HeartbeatItem(uid, STATE_SORT_KEY).update([HeartbeatItem.filters.set(json.dumps({"fail": ["ERROR"]}))])
    body = b"x" * 20_000 + "я".encode() * 600_000
    for text in (body, b"ERROR" + body):
        event = proxy_event(uid, method="POST", body=b64encode(text).decode(), isBase64Encoded=True)
        assert app(event, None)["statusCode"] == 200
    assert Counter(item.kind for item in pings_of(uid)) == {"log": 1, "fail": 1}


def test_pings_beyond_the_rate_count_as_life_and_are_not_kept(aws: AwsStandIn, app: Any) -> None:
    uid, now = heartbeat(), int(time.time() * 1000)
    HeartbeatItem(uid, STATE_SORT_KEY).update(
        [
            HeartbeatItem.window_at.set(now),
            HeartbeatItem.window_sequence.set(1),
            HeartbeatItem.sequence.set(60),
            HeartbeatItem.last_success_sequence.set(60),
            HeartbeatItem.last_success_at.set(now - 5),
        ]
    )
    answer = app(proxy_event(uid), None)
    assert answer["statusCode"] == 429
    assert 50 <= int(answer["headers"]["Retry-After"]) <= 60
    state = state_of(uid)
    assert (state.touched_success_at >= now, state.touched_success_sequence) == (True, 61)
    assert (state.last_success_at, state.last_success_sequence) == (now - 5, 60), "those that are kept are told apart"
    assert (pings_of(uid), pending(), received(aws)) == ([], [], [])
    assert app(proxy_event(uid, "fail"), None)["statusCode"] == 200, "a failure after all these successes is news"
    assert len(pings_of(uid)) == 1
