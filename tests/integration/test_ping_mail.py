"""Pings by e-mail from the queue of SES's notifications to the heartbeat table, with S3, DynamoDB, EventBridge and SQS of the stand-in."""

import json
from typing import Any
from uuid import uuid4

import pytest

from core.contracts.heartbeat_keys import (
    BODY_LIMIT,
    INLINE_BODY_LIMIT,
    KEY_SORT_KEY,
    STATE_SORT_KEY,
    key_partition,
    slugs_partition,
)
from core.contracts.heartbeat_table import HeartbeatItem, PingItem, PingKeyItem, SlugItem
from lambdas.ping import mail
from lambdas.ping.mail_service import READ_LIMIT
from tests.aws_stand_in import AwsStandIn
from tests.integration.test_ping_lambda import WORKSPACE, heartbeat, pending, pings_of, received, state_of
from tests.unit.test_ping_mail import DOMAIN, KEY, RECEIVED, notification

WORDS = {"fail": ["FAILED", "✗"], "success": ["finished"], "otherwise": "ignore"}
OUTPUT = b"From: root@db1.example.net\r\nSubject: Backup\r\n\r\nall tables\r\n"


def record(aws: AwsStandIn, *locals_: str, raw: bytes | None = OUTPUT, domain: str = DOMAIN, at: str = "") -> dict[str, Any]:
    """A message of the queue about a mail to these addresses, which SES has stored (unless there is no `raw`)."""
    message_id = uuid4().hex
    if raw is not None:
        aws.client("s3").put_object(Bucket=aws.names.ping_mail_bucket, Key=message_id, Body=RECEIVED + raw)
    said = notification()
    said["mail"]["messageId"] = said["receipt"]["action"]["objectKey"] = message_id
    said["mail"]["timestamp"] = at or said["mail"]["timestamp"]
    said["receipt"]["recipients"] = [f"{local}@{domain}" for local in locals_]
    return {"messageId": str(uuid4()), "body": json.dumps(said), "eventSource": "aws:sqs"}


def take(*records: dict[str, Any]) -> list[str]:
    """Handle a batch; the ids of what is to come again."""
    answer = mail.mail_handler({"Records": list(records)}, None)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def reasons(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line["reason"] for line in lines if line["message"] == "ping.mail_dropped"]


@pytest.fixture
def key(aws: AwsStandIn) -> str:
    PingKeyItem(key_partition(KEY), KEY_SORT_KEY, workspace_id=str(WORKSPACE)).save()
    return KEY


def test_a_mail_is_in_the_table_pending_and_on_its_way(aws: AwsStandIn) -> None:
    uid = heartbeat()
    assert take(record(aws, uid)) == []
    [item] = pings_of(uid)
    assert (item.kind, item.method, item.source_ip, item.body) == ("success", "EMAIL", "203.0.113.25", b"all tables\r\n")
    assert (item.user_agent, item.body_size, item.body_truncated) == ("root@db1.example.net: Backup", 12, False)
    assert item.pinged_at == state_of(uid).last_success_at == 1795780800250, "the time is when SES received it"
    assert len(pending()) == 1
    [sent] = received(aws)
    assert (str(sent.data.heartbeat_id), sent.data.kind, sent.data.method) == (uid, "success", "EMAIL")


@pytest.mark.parametrize(
    ("action", "kind", "status"),
    [("+start", "start", None), ("+fail", "fail", None), ("+log", "log", None), ("+7", "fail", 7), ("+0", "success", 0)],
)
def test_an_address_can_say_what_happened(aws: AwsStandIn, action: str, kind: str, status: int | None) -> None:
    uid = heartbeat()
    assert take(record(aws, uid.upper() + action)) == []
    [item] = pings_of(uid)
    assert (item.kind, item.exit_status) == (kind, status)


def test_a_name_is_the_heartbeat_that_has_it(aws: AwsStandIn, key: str) -> None:
    uid = heartbeat()
    SlugItem(slugs_partition(str(WORKSPACE)), "backup", heartbeat_id=uid).save()
    assert take(record(aws, f"{key}+backup"), record(aws, f"{key}+backup+fail")) == []
    assert sorted(item.kind for item in pings_of(uid)) == ["fail", "success"]


def test_a_notification_that_comes_twice_is_one_ping(aws: AwsStandIn) -> None:
    uid = heartbeat()
    message = record(aws, uid, uid.upper())
    assert take(message, message) == []
    assert take(message) == []
    assert len(pings_of(uid)) == 1
    assert len(received(aws)) == 1


def test_a_mail_to_several_heartbeats_pings_each(aws: AwsStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = heartbeat(), heartbeat()
    assert take(record(aws, first, "postmaster", f"{second}+fail", str(uuid4()))) == []
    assert [item.kind for uid in (first, second) for item in pings_of(uid)] == ["success", "fail"]
    assert len(pending()) == 2
    assert reasons(capsys) == ["the ping URL needs the heartbeat's UUID, or a ping key and a slug", "no such heartbeat"]


@pytest.mark.parametrize(
    ("subject", "text", "kind"),
    [
        (b"Backup finished", b"...", "success"),
        (b"Backup", b"finished in 3 s", "success"),
        (b"Backup finished", b"2 tables FAILED", "fail"),
        (b"=?utf-8?B?4pyXIEJhY2t1cA==?=", b"finished", "fail"),
        (b"Backup", b"???", "log"),
    ],
)
def test_filters_read_subject_and_text(aws: AwsStandIn, subject: bytes, text: bytes, kind: str) -> None:
    uid = str(uuid4())
    HeartbeatItem(uid, STATE_SORT_KEY, workspace_id=str(WORKSPACE), filters=json.dumps(WORDS)).save()
    assert take(record(aws, uid, raw=b"Subject: " + subject + b"\r\n\r\n" + text)) == []
    assert [item.kind for item in pings_of(uid)] == [kind]


@pytest.mark.parametrize("action", ["", "+start", "+fail"])
def test_an_automatic_answer_is_kept_and_says_nothing_of_the_job(aws: AwsStandIn, action: str) -> None:
    uid = heartbeat()
    assert take(record(aws, uid + action, raw=b"Auto-Submitted: auto-replied\r\n\r\nI am away")) == []
    [item] = pings_of(uid)
    assert (item.kind, item.body) == ("log", b"I am away")
    state: Any = state_of(uid)
    assert (state.last_success_at, state.last_fail_at, state.last_start_at) == (None, None, None)


@pytest.mark.parametrize(("late", "then"), [("+start", ""), ("+fail", ""), ("", "+fail")])
def test_mails_count_in_the_order_of_their_receipt(aws: AwsStandIn, late: str, then: str) -> None:
    """A queue may hand the first of two over last: what the second said stays true."""
    uid = heartbeat()
    first, second = record(aws, uid + late, at="2026-11-27T11:59:59Z"), record(aws, uid + then)
    assert take(second) == take(first) == []
    assert sorted(item.kind for item in pings_of(uid)) == sorted(["log", "fail" if then else "success"])
    state: Any = state_of(uid)
    assert {state.last_success_at, state.last_fail_at, state.last_start_at} == {None, 1795780800250}


def test_post_only_is_about_http(aws: AwsStandIn) -> None:
    uid = str(uuid4())
    HeartbeatItem(uid, STATE_SORT_KEY, workspace_id=str(WORKSPACE), post_only=True).save()
    assert take(record(aws, uid)) == []
    assert len(pings_of(uid)) == 1


def test_a_large_mail_counts_and_the_beginning_of_its_text_is_kept(aws: AwsStandIn) -> None:
    uid, text = heartbeat(), b"0123456789abcde\n" * (READ_LIMIT // 16)
    assert take(record(aws, uid, raw=b"Subject: big\r\n\r\n" + text)) == []
    item: Any = pings_of(uid)[0]
    assert (item.kind, item.body_truncated, item.body) == ("success", True, None)
    assert BODY_LIMIT < item.body_size <= READ_LIMIT
    stored = aws.client("s3").get_object(Bucket=aws.names.ping_bodies_bucket, Key=item.body_key)["Body"].read()
    assert stored == text[:BODY_LIMIT]


@pytest.mark.parametrize("raw", [b"", b"\x00\xff" * 600, b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"])
def test_what_is_hardly_a_mail_counts(aws: AwsStandIn, raw: bytes) -> None:
    uid = heartbeat()
    assert take(record(aws, uid, raw=raw)) == []
    assert [item.kind for item in pings_of(uid)] == ["success"]


def test_a_mail_that_is_gone_counts_by_its_headers(aws: AwsStandIn) -> None:
    uid, filtered = heartbeat(), str(uuid4())
    HeartbeatItem(filtered, STATE_SORT_KEY, workspace_id=str(WORKSPACE), filters=json.dumps(WORDS)).save()
    assert take(record(aws, uid, filtered, raw=None)) == []
    assert [(item.kind, item.user_agent) for item in pings_of(uid)] == [("success", ": Backup")]
    assert [item.kind for item in pings_of(filtered)] == ["log"], "no word, no success"


def test_what_is_no_ping_is_dropped_with_a_reason(aws: AwsStandIn, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    uid = heartbeat()
    prose = {"messageId": "1", "body": "Successfully validated SNS topic for Amazon SES event publishing."}
    assert take(prose, record(aws, uid, domain="example.org"), record(aws, f"{key}+other"), record(aws)) == []
    assert [reason.partition(":")[0] for reason in reasons(capsys)] == ["JSONDecodeError", "another domain", "no such heartbeat"]
    assert (pings_of(uid), pending()) == ([], [])


def test_trouble_with_the_table_brings_the_mail_back_and_costs_no_other(aws: AwsStandIn) -> None:
    uid = heartbeat()
    message = record(aws, uid)
    PingItem.delete_table()
    assert take({"messageId": "prose", "body": "prose"}, message) == [message["messageId"]]
    HeartbeatItem.create_table(wait=True)
    HeartbeatItem(uid, STATE_SORT_KEY, workspace_id=str(WORKSPACE)).save()
    assert take(message) == []
    assert len(pings_of(uid)) == 1


def test_without_its_bucket_a_mail_is_gone_and_its_ping_is_not(aws: AwsStandIn) -> None:
    uid = heartbeat()
    aws.client("s3").delete_bucket(Bucket=aws.names.ping_mail_bucket)
    assert take(record(aws, uid, raw=None)) == []
    assert [(item.kind, item.body_size) for item in pings_of(uid)] == [("success", 0)]


def test_small_texts_are_in_the_item(aws: AwsStandIn) -> None:
    uid = heartbeat()
    assert take(record(aws, uid, raw=b"\r\n" + b"x" * INLINE_BODY_LIMIT)) == []
    [item] = pings_of(uid)
    assert item.body == b"x" * INLINE_BODY_LIMIT
