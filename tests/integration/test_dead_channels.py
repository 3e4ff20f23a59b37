"""Channels that nothing can be sent to any more: disabled once, and the others are told, by receipts and by what SES reports."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from structlog.testing import capture_logs

from core.adapters.database import Pool, open_pool
from core.adapters.queues import Message
from core.adapters.store.alerts import silent_workspaces
from core.domain.mail_feedback import MailEvent, unreachable
from core.flows import alerts, routing
from core.flows.dead_channels import disable_channel
from core.flows.requests import RECEIPT_TIMEOUT
from core.inbox.handlers import MailEventHandler, ReceiptHandler
from tests.fakes import FakeBus, FakeKicks
from tests.integration.test_alert_flow import NOW, SECOND, delivery, make_channel, outage, receipt
from tests.integration.test_incidents import make_monitor


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


def told(connection: psycopg.Connection) -> list[tuple[str, str]]:
    """The notices, and who gets them."""
    rows = connection.execute("SELECT facts->>'text', id FROM alert WHERE alert_type = 'channel_disabled'").fetchall()
    return [(text, str(uid)) for text, uid in rows]


def test_the_other_channels_are_told_that_one_is_gone(connection: psycopg.Connection, pool: Pool) -> None:
    bus = FakeBus()
    monitor, _ = outage(connection)
    alerts.sweep(pool, bus, NOW + 3 * SECOND)
    row = delivery(connection)
    other = make_channel(connection, monitor.workspace_id, "email")
    make_channel(connection, make_monitor(connection, "somebody else's").workspace_id)
    connection.commit()
    gone = {
        "error": "the webhook answered 410",
        "error_type": "permanent",
        "final": True,
        "retry_at": None,
        "disable_channel": True,
    }
    kicked = FakeKicks()
    handle_receipts = ReceiptHandler(pool, RECEIPT_TIMEOUT, kicked)
    detail_type, detail = receipt(row, **gone)
    for _ in range(2):
        handle_receipts([Message(json.dumps({"detail-type": detail_type, "detail": json.loads(detail)}), "r", "m")])
    [(text, uid)] = told(connection)
    assert list(map(str, kicked.alerts)) == [uid], "once, and not left for the sweep"
    assert text == (
        "Nothing is sent to the channel “c” (webhook) any more: the webhook answered 410 (2026-11-23 12:00 UTC). "
        "Correct it, or enable it again."
    )
    alerts.sweep(pool, bus, datetime.now(UTC) + 10 * SECOND)
    [request] = [one for one in bus.requests() if one.alert_type == "channel_disabled"]
    assert (request.channel_id, request.channel_kind, request.text) == (other, "email", text)


def test_a_notice_about_the_last_channel_reaches_the_operator_and_is_kept(connection: psycopg.Connection) -> None:
    monitor, _ = outage(connection)
    [(channel,)] = connection.execute("SELECT id FROM channel").fetchall()
    make_channel(connection, make_monitor(connection, "somebody else's").workspace_id)
    assert silent_workspaces(connection) == 0
    with capture_logs() as logs, connection.transaction():
        uid = disable_channel(connection, channel, 1, "gone", NOW)
        assert disable_channel(connection, channel, 1, "gone", NOW) is None
    assert uid
    [silent] = [line for line in logs if line["event"] == "workspace.silent"]
    assert (silent["log_level"], silent["workspace_id"]) == ("error", str(monitor.workspace_id))
    assert silent_workspaces(connection) == 1
    routing.route_alert(connection, uid, NOW)
    assert connection.execute("SELECT count(*) FROM delivery WHERE alert_id = %s", (uid,)).fetchone() == (0,)
    assert connection.execute("SELECT disabled_reason FROM channel WHERE id = %s", (channel,)).fetchone() == ("gone",)


@pytest.mark.parametrize(
    ("other", "silent"),
    [("", 0), ("disabled_at = now()", 1), ("unverified_since = now()", 1)],
    ids=["well", "disabled", "unverified"],
)
def test_only_a_channel_that_gets_alerts_breaks_the_silence(connection: psycopg.Connection, other: str, silent: int) -> None:
    monitor, _ = outage(connection)
    [(channel,)] = connection.execute("SELECT id FROM channel").fetchall()
    second = make_channel(connection, monitor.workspace_id, "email")
    if other:
        connection.execute(f"UPDATE channel SET {other} WHERE id = %s", (second,))
    with capture_logs() as logs:
        disable_channel(connection, channel, 1, "gone", NOW)
    assert sum(line["event"] == "workspace.silent" for line in logs) == silent
    assert silent_workspaces(connection) == silent
    connection.execute("UPDATE monitor SET paused_at = %s", (NOW,))
    assert silent_workspaces(connection) == 0, "it watches nothing"


def mail_event(kind: str, channel: UUID | str, version: int = 1, **more: Any) -> dict[str, Any]:
    """As EventBridge hands over what SES publishes, shortened where the documents have more."""
    detail_type = {"Bounce": "Email Bounced", "Complaint": "Email Complaint Received", "Delivery": "Email Delivered"}[kind]
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": detail_type,
        "source": "aws.ses",
        "account": "123456789012",
        "time": "2026-11-23T12:00:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:ses:eu-west-1:123456789012:configuration-set/uptime"],
        "detail": {
            "eventType": kind,
            "mail": {
                "timestamp": "2026-11-23T12:00:00.000Z",
                "source": "Uptime Monitor <uptime@monitor.example>",
                "messageId": "0102019",
                "destination": ["ops@example.com"],
                "headersTruncated": False,
                "headers": [{"name": "Subject", "value": "DOWN: Shop"}],
                "commonHeaders": {"subject": "DOWN: Shop"},
                "tags": {"ses:configuration-set": ["uptime"], "channel": [str(channel)], "config_version": [str(version)]},
            },
            **more,
        },
    }


def bounce(kind: str = "Permanent", said: str = "smtp; 550 5.1.1 user unknown") -> dict[str, Any]:
    recipient = {"emailAddress": "ops@example.com", "action": "failed", "status": "5.1.1", "diagnosticCode": said}
    return {
        "bounce": {
            "feedbackId": "f",
            "bounceType": kind,
            "bounceSubType": "General",
            "bouncedRecipients": [recipient],
            "timestamp": "2026-11-23T12:00:01.000Z",
            "reportingMTA": "dsn; a8-1.smtp-out.amazonses.com",
        }
    }


def complaint(kind: str | None = "abuse") -> dict[str, Any]:
    found = {"feedbackId": "f", "complaintSubType": None, "complainedRecipients": [{"emailAddress": "ops@example.com"}]}
    return {"complaint": {**found, **({"complaintFeedbackType": kind} if kind else {})}}


def handle(pool: Pool, *found: dict[str, Any]) -> list[UUID]:
    kicked = FakeKicks()
    messages = [Message(json.dumps(one), "r", "m") for one in found]
    MailEventHandler(pool, kicked)(messages)
    return kicked.alerts


def channel_row(connection: psycopg.Connection, channel: UUID) -> tuple[bool, str]:
    connection.rollback()
    row = connection.execute("SELECT disabled_at IS NOT NULL, disabled_reason FROM channel WHERE id = %s", (channel,)).fetchone()
    assert row
    return row[0], row[1]


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        ("Bounce", bounce(), "mail came back for good: smtp; 550 5.1.1 user unknown"),
        ("Bounce", bounce(said="smtp; 550\r\n\t no  such user " + "x" * 900), None),
        ("Complaint", complaint(), "the recipient complained about our mail (abuse)"),
        ("Complaint", complaint(None), "the recipient complained about our mail"),
    ],
)
def test_mail_that_comes_back_for_good_disables_its_channel(
    connection: psycopg.Connection, pool: Pool, kind: str, more: dict[str, Any], reason: str | None
) -> None:
    channel = make_channel(connection, make_monitor(connection).workspace_id, "email")
    connection.commit()
    event = mail_event(kind, channel, **more)
    assert len(handle(pool, event, event)) == 1
    disabled, said = channel_row(connection, channel)
    assert disabled
    assert said == reason or (reason is None and said.isprintable() and len(said) == 300)
    assert len(told(connection)) == 1


@pytest.mark.parametrize(
    "event",
    [
        mail_event("Bounce", "CHANNEL", **bounce("Transient")),
        mail_event("Bounce", "CHANNEL", **bounce("Undetermined")),
        mail_event("Bounce", "CHANNEL", version=2, **bounce()),
        mail_event("Bounce", str(uuid4()), **bounce()),
        mail_event("Bounce", "nonsense", **bounce()),
        mail_event("Delivery", "CHANNEL", delivery={"timestamp": "2026-11-23T12:00:01.000Z", "recipients": []}),
    ],
    ids=["transient", "undetermined", "another address", "unknown channel", "not of ours", "delivered"],
)
def test_other_news_change_nothing(connection: psycopg.Connection, pool: Pool, event: dict[str, Any]) -> None:
    channel = make_channel(connection, make_monitor(connection).workspace_id, "email")
    connection.commit()
    assert handle(pool, json.loads(json.dumps(event).replace("CHANNEL", str(channel)))) == []
    assert channel_row(connection, channel) == (False, "")


def test_mail_without_tags_and_nonsense(pool: Pool) -> None:
    event = mail_event("Bounce", "x", **bounce())
    del event["detail"]["mail"]["tags"]
    assert unreachable(msgspec.convert(event["detail"], MailEvent)) is None
    with pytest.raises(msgspec.DecodeError):
        handle(pool, {"detail-type": "Email Bounced", "detail": {"mail": 5}})


def test_when_is_ours(connection: psycopg.Connection, pool: Pool) -> None:
    channel = make_channel(connection, make_monitor(connection).workspace_id, "email")
    connection.commit()
    before = datetime.now(UTC)
    handle(pool, mail_event("Complaint", channel, **complaint()))
    connection.rollback()
    row = connection.execute("SELECT disabled_at FROM channel").fetchone()
    assert row
    assert before <= row[0] <= datetime.now(UTC)
