"""alert_dispatch against DynamoDB, EventBridge and SQS of the stand-in, a real webhook endpoint and a real mail server."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from standardwebhooks import Webhook

from core.contracts import events
from core.contracts.channel_vault import ChannelVersion, VaultCipher
from lambdas.alert_dispatch import handler as dispatch_handler
from lambdas.alert_dispatch.config import SettingError, Settings
from lambdas.alert_dispatch.targets import Targets
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import BEGAN, VAULT_KEY, Context, Dispatch, alert_request, dispatch_environment, sqs_record
from tests.receivers import Mailbox, WebhookEndpoint, mail_server, webhook_endpoint
from tests.unit.test_channels import SECRET
from tests.waiting import until

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as running:
        yield running


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


def webhook_channel(dispatch: Dispatch, hook: WebhookEndpoint) -> UUID:
    return dispatch.channel("webhook", {"url": hook.url(), "secret": SECRET})


def queued(dispatch: Dispatch, request: events.Detail[events.AlertRequested]) -> dict[str, Any]:
    """A record of a message that is really in the alerts queue, so that its visibility can be changed."""
    sqs = dispatch.aws.client("sqs")
    record = sqs_record(request)
    sqs.send_message(QueueUrl=dispatch.aws.queue_urls["alerts"], MessageBody=record["body"])
    [message] = sqs.receive_message(QueueUrl=dispatch.aws.queue_urls["alerts"])["Messages"]
    return {**record, "receiptHandle": message["ReceiptHandle"], "messageId": message["MessageId"]}


def test_a_webhook_is_sent_signed_and_its_receipt_published(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    request = alert_request(webhook_channel(dispatch, hook))
    assert dispatch.invoke(sqs_record(request)) == []
    [received] = hook.received
    assert received.headers["webhook-id"] == str(request.data.delivery_id)
    content = Webhook(SECRET).verify(received.body, received.headers)
    assert content["type"] == "alert.down"
    assert content["timestamp"] == "2026-11-23T12:00:00Z"
    assert content["data"]["monitor"]["name"] == "Shop"
    assert content["data"]["incident"]["reason"] == "timeout"
    assert content["data"]["title"].startswith("DOWN: Shop")
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertDelivered)
    assert (receipt.delivery_id, receipt.attempt, receipt.superseded_by) == (request.data.delivery_id, 1, None)


def test_mail_is_sent_with_an_id_made_of_the_delivery(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox) -> None:
    with dispatch_environment(aws, monkeypatch, smtp_port=mailbox.port) as dispatch:
        channel = dispatch.channel("email", {"address": "ops@example.com"})
        request = alert_request(channel, channel_kind="email")
        assert dispatch.invoke(sqs_record(request)) == []
    [mail] = mailbox.mails
    assert mail["To"] == "ops@example.com"
    assert mail["From"] == "Uptime Monitor <uptime@monitor.example>"
    assert mail["Subject"] == "DOWN: Shop - There was no complete answer in time"
    assert mail["Message-ID"] == f"<{request.data.delivery_id}@monitor.example>"
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text
    assert "Shop is down." in text.get_content()
    assert html
    assert "Shop is down." in html.get_content()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("550 5.1.1 no such user", ("permanent", True, True)),
        ("554 5.7.1 refused by policy", ("permanent", True, False)),
        ("451 4.3.0 try later", ("transient", False, False)),
        ("421 4.3.2 shutting down", ("transient", False, False)),
    ],
)
def test_what_a_mail_server_refuses(
    aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox, reply: str, expected: tuple[str, bool, bool]
) -> None:
    mailbox.rcpt_reply = reply
    with dispatch_environment(aws, monkeypatch, smtp_port=mailbox.port) as dispatch:
        channel = dispatch.channel("email", {"address": "ops@example.com"})
        record = queued(dispatch, alert_request(channel, channel_kind="email"))
        failures = dispatch.invoke(record)
        [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert (receipt.error_type, receipt.final, receipt.disable_channel) == expected
    assert reply in receipt.error
    assert bool(failures) is not receipt.final


def test_what_a_mail_server_says_of_an_address_is_told_without_it(
    aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    mailbox.rcpt_reply = "550 5.1.1 <Ops@Example.com>: no such user"
    with dispatch_environment(aws, monkeypatch, smtp_port=mailbox.port) as dispatch:
        channel = dispatch.channel("email", {"address": "ops@example.com"})
        dispatch.invoke(sqs_record(alert_request(channel, channel_kind="email")))
        [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert receipt.error == "the mail server refused the recipient: 550 5.1.1 <…>: no such user"


def test_a_mail_server_that_is_away_is_transient(dispatch: Dispatch) -> None:
    channel = dispatch.channel("email", {"address": "ops@example.com"})
    assert dispatch.invoke(queued(dispatch, alert_request(channel, channel_kind="email")))
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert receipt.error_type == "transient"


def test_ses_takes_raw_mail_and_an_unverified_sender_is_worth_another_try(
    aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dispatch_environment(aws, monkeypatch) as dispatch:
        monkeypatch.setenv("EMAIL_TRANSPORT", "ses")
        channel = dispatch.channel("email", {"address": "ops@example.com"})
        assert dispatch.invoke(queued(dispatch, alert_request(channel, channel_kind="email")))
        [refused] = dispatch.new_receipts()
        assert isinstance(refused, events.AlertFailed)
        assert (refused.error_type, refused.final) == ("transient", False)
        aws.client("sesv2").create_email_identity(EmailIdentity="uptime@monitor.example")
        assert dispatch.invoke(sqs_record(alert_request(channel, channel_kind="email"))) == []
        [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertDelivered)


def test_the_same_generation_twice_is_sent_once_and_reported_twice(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    record = sqs_record(alert_request(webhook_channel(dispatch, hook)))
    assert dispatch.invoke(record) == []
    assert dispatch.invoke(record) == []
    assert len(hook.received) == 1
    first, second = dispatch.new_receipts()
    assert first == second


def test_a_second_generation_of_a_sent_message_is_reported_and_not_sent(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    request = alert_request(webhook_channel(dispatch, hook))
    dispatch.invoke(sqs_record(request))
    again = msgspec.structs.replace(request, data=msgspec.structs.replace(request.data, generation=2))
    assert dispatch.invoke(sqs_record(again)) == []
    assert len(hook.received) == 1
    receipts = dispatch.new_receipts()
    assert {receipt.generation for receipt in receipts} == {1, 2}
    assert all(isinstance(receipt, events.AlertDelivered) and receipt.superseded_by is None for receipt in receipts)


def test_one_failure_in_a_batch_does_not_touch_the_others(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    channel = webhook_channel(dispatch, hook)
    good = sqs_record(alert_request(channel), message_id="good")
    poison = sqs_record(None, message_id="poison", body='{"detail": {"data": 1}}')
    also_good = sqs_record(alert_request(channel), message_id="also-good")
    assert dispatch.invoke(good, poison, also_good) == ["poison"]
    assert len(hook.received) == 2
    assert len(dispatch.new_receipts()) == 2
    assert dispatch.invoke(poison) == ["poison"]


def test_a_recovery_overtakes_an_unsent_outage_which_then_counts_as_told(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    channel, incident = webhook_channel(dispatch, hook), uuid4()
    down = alert_request(channel, order_key=incident)
    hook.status = 503
    assert dispatch.invoke(queued(dispatch, down))
    hook.status = 200
    assert dispatch.invoke(sqs_record(alert_request(channel, order_key=incident, alert_type="recovered"))) == []
    assert dispatch.invoke(sqs_record(down, attempt=2)) == []
    assert [json.loads(r.body)["type"] for r in hook.received] == ["alert.down", "alert.recovered"]
    superseded = [r for r in dispatch.new_receipts() if isinstance(r, events.AlertDelivered) and r.superseded_by]
    assert [r.delivery_id for r in superseded] == [down.data.delivery_id]
    assert superseded[0].superseded_by == 1_000_000


def test_a_recovery_after_the_next_outage_is_told_as_an_earlier_one(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    channel, shop = webhook_channel(dispatch, hook), events.MonitorFacts(id=uuid4(), kind="website", name="Shop", target="x")
    again = BEGAN + timedelta(minutes=20)
    outages = [events.IncidentFacts(id=uuid4(), reason="timeout", detail="", began_at=at, opened_at=at) for at in (BEGAN, again)]
    first, second = (alert_request(channel, monitor=shop, incident=outage, order_key=outage.id) for outage in outages)
    over = msgspec.structs.replace(outages[0], resolved_at=BEGAN + timedelta(minutes=12))
    recovered = queued(dispatch, alert_request(channel, alert_type="recovered", monitor=shop, incident=over, order_key=over.id))
    assert dispatch.invoke(sqs_record(first)) == []
    hook.status = 503
    assert dispatch.invoke(recovered) == [recovered["messageId"]]
    hook.status = 200
    assert dispatch.invoke(sqs_record(second)) == dispatch.invoke(recovered) == []
    told = [json.loads(received.body)["data"] for received in hook.received]
    assert [data["title"].partition(":")[0] for data in told] == ["DOWN", "UP", "DOWN", "EARLIER OUTAGE"]
    assert [data.get("newer") for data in told] == [None, None, None, {"began_at": "2026-11-23T12:20:00Z", "ended_at": None}]
    assert ["acknowledge" in data for data in told] == [True, False, True, False]
    reminder = alert_request(channel, alert_type="reminder", sequence=2, monitor=shop, incident=outages[0], order_key=over.id)
    assert dispatch.invoke(sqs_record(reminder)) == []
    assert len(hook.received) == 4, "of an outage that is known to be over"


def test_a_reminder_tells_what_an_unsent_one_would_have(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    channel, incident = webhook_channel(dispatch, hook), uuid4()
    first, second = (alert_request(channel, order_key=incident, alert_type="reminder", sequence=sequence) for sequence in (2, 3))
    assert dispatch.invoke(sqs_record(second), sqs_record(first)) == []
    assert [json.loads(r.body)["type"] for r in hook.received] == ["alert.reminder"]
    superseded = {r.delivery_id: r.superseded_by for r in dispatch.new_receipts() if isinstance(r, events.AlertDelivered)}
    assert superseded == {second.data.delivery_id: None, first.data.delivery_id: 3}


def test_other_notices_are_never_superseded(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    channel, key = webhook_channel(dispatch, hook), uuid4()
    later = alert_request(channel, order_key=key, alert_type="monitored_again", sequence=2, incident=None)
    earlier = alert_request(channel, order_key=key, alert_type="not_monitored", sequence=1, incident=None)
    assert dispatch.invoke(sqs_record(later), sqs_record(earlier), sqs_record(earlier)) == []
    assert [json.loads(r.body)["type"] for r in hook.received] == ["alert.monitored_again", "alert.not_monitored"]


def test_a_message_in_flight_makes_the_others_of_its_incident_wait(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    channel, incident = webhook_channel(dispatch, hook), uuid4()
    hook.delay_s = 3.0
    down = sqs_record(alert_request(channel, order_key=incident))
    first = threading.Thread(target=dispatch.invoke, args=(down,))
    first.start()
    until(lambda: len(hook.received) == 1)
    recovered = queued(dispatch, alert_request(channel, order_key=incident, alert_type="recovered"))
    assert dispatch.invoke(recovered) == [recovered["messageId"]]
    other = sqs_record(alert_request(dispatch.channel("webhook", {"url": hook.url("/other"), "secret": SECRET})))
    hook.delay_s = 0.0
    assert dispatch.invoke(other) == []
    hook.closing.set()
    first.join()


@pytest.mark.parametrize(
    ("status", "headers", "delay_s"), [(500, {}, 10), (503, {"retry-after": "77"}, 77), (429, {"retry-after": "120"}, 120)]
)
def test_a_transient_error_is_reported_with_its_retry_and_the_message_stays(
    dispatch: Dispatch, hook: WebhookEndpoint, status: int, headers: dict[str, str], delay_s: int
) -> None:
    hook.status, hook.headers = status, headers
    record = queued(dispatch, alert_request(webhook_channel(dispatch, hook)))
    assert dispatch.invoke(record) == [record["messageId"]]
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert receipt.error == f"the webhook answered {status}"
    assert (receipt.final, receipt.error_type) == (False, "rate_limited" if status == 429 else "transient")
    assert receipt.retry_at == receipt.failed_at + timedelta(seconds=delay_s)
    hook.status = 200
    assert dispatch.invoke({**record, "attributes": {**record["attributes"], "ApproximateReceiveCount": "2"}}) == []
    [delivered] = dispatch.new_receipts()
    assert isinstance(delivered, events.AlertDelivered)
    assert delivered.attempt == 2


def test_a_gone_target_ends_the_delivery_and_disables_the_channel(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    hook.status = 410
    record = sqs_record(alert_request(webhook_channel(dispatch, hook)))
    assert dispatch.invoke(record) == []
    assert dispatch.invoke(record) == []
    assert len(hook.received) == 1
    receipt, repeated = dispatch.new_receipts()
    assert receipt == repeated
    assert isinstance(receipt, events.AlertFailed)
    assert (receipt.final, receipt.disable_channel, receipt.error_type) == (True, True, "permanent")


def test_redirects_are_not_followed(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    hook.status, hook.headers = 302, {"location": hook.url("/elsewhere")}
    assert dispatch.invoke(sqs_record(alert_request(webhook_channel(dispatch, hook)))) == []
    assert [received.path for received in hook.received] == ["/hook"]
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert "redirects are not followed" in receipt.error


def test_a_version_that_is_not_in_the_vault_is_waited_for(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    channel = uuid4()
    record = queued(dispatch, alert_request(channel))
    assert dispatch.invoke(record)
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert receipt.error == "the channel's configuration is not in the vault yet"
    dispatch.project(channel, "webhook", {"url": hook.url(), "secret": SECRET})
    assert dispatch.invoke(record) == []
    assert len(hook.received) == 1


@pytest.mark.parametrize(("kind", "more"), [("webhook", {"colour": "red"}), ("pigeon", {})])
def test_what_a_newer_release_wrote_is_waited_for(
    dispatch: Dispatch, hook: WebhookEndpoint, kind: str, more: dict[str, Any]
) -> None:
    channel, config = uuid4(), {"url": hook.url(), "secret": SECRET}
    sealed = VaultCipher([VAULT_KEY]).seal({**config, **more})
    ChannelVersion(str(channel), 1, kind=kind, workspace_id=str(uuid4()), ciphertext=sealed).save()
    record = queued(dispatch, alert_request(channel))
    assert dispatch.invoke(record)
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert (receipt.final, receipt.disable_channel) == (False, False)
    assert receipt.error.startswith("the channel's configuration is of a newer release")
    dispatch.project(channel, "webhook", config)
    assert dispatch.invoke(record) == []
    assert len(hook.received) == 1


def test_a_killed_attempt_is_taken_over_when_it_timed_out(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    """The record of a killed attempt stays in progress: until it timed out the message waits, then it is sent."""
    request = alert_request(webhook_channel(dispatch, hook))
    record = queued(dispatch, request)
    persistence = dispatch_handler.wiring().persistence
    item_id: list[str] = []

    def killed(*_: Any, **__: Any) -> None:
        items = dispatch.aws.client("dynamodb").scan(TableName=dispatch.aws.names.dispatch_table)["Items"]
        item_id.extend(item["id"]["S"] for item in items if item["id"]["S"].startswith("delivery#"))
        raise SystemExit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(dispatch_handler.wiring().dispatcher), "dispatch", killed)
        with pytest.raises(SystemExit):
            dispatch.invoke(record, context=Context(remaining_ms=60_000))
    assert dispatch.invoke(record) == [record["messageId"]]
    assert hook.received == []
    dispatch.aws.client("dynamodb").update_item(
        TableName=persistence.table_name,
        Key={"id": {"S": item_id[0]}},
        UpdateExpression="SET in_progress_expiration = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
    assert dispatch.invoke(record) == []
    assert len(hook.received) == 1


def test_a_receipt_that_could_not_be_published_is_published_by_the_repetition(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    record = sqs_record(alert_request(webhook_channel(dispatch, hook)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch_handler.wiring().receipts, "_bus", "no-such-bus")
        dispatch.invoke(record)
    assert dispatch.new_receipts() == []
    assert dispatch.invoke(record) == []
    assert len(hook.received) == 1
    assert len(dispatch.new_receipts()) == 1


def test_three_timeouts_open_the_breaker(dispatch: Dispatch) -> None:
    breaker = Targets(dispatch.aws.client("dynamodb"), dispatch.aws.names.dispatch_table)
    channel = uuid4()
    assert breaker.open_for_s(channel, 1, NOW) is None
    for _ in range(2):
        breaker.timed_out(channel, 1, NOW)
    assert breaker.open_for_s(channel, 1, NOW) == 0
    breaker.timed_out(channel, 1, NOW)
    assert breaker.open_for_s(channel, 1, NOW) == 60
    assert breaker.open_for_s(channel, 2, NOW) is None
    half_open = NOW + timedelta(seconds=61)
    assert breaker.open_for_s(channel, 1, half_open) == 0
    breaker.timed_out(channel, 1, half_open)
    assert breaker.open_for_s(channel, 1, half_open) == 60
    forgotten = half_open + timedelta(minutes=16)
    assert breaker.open_for_s(channel, 1, forgotten) is None
    breaker.timed_out(channel, 1, forgotten)
    assert breaker.open_for_s(channel, 1, forgotten) == 0
    breaker.answered(channel, 1, forgotten)
    assert breaker.open_for_s(channel, 1, forgotten) is None


def test_a_target_that_hangs_is_left_alone_for_a_while(
    dispatch: Dispatch, hook: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdas.alert_dispatch.dispatch.FIRST_TRY_TIMEOUT_S", 0.2)
    hook.delay_s = 20.0
    channel = webhook_channel(dispatch, hook)
    for _ in range(4):
        assert dispatch.invoke(queued(dispatch, alert_request(channel)))
    assert len(hook.received) == 3
    errors = [receipt.error for receipt in dispatch.new_receipts() if isinstance(receipt, events.AlertFailed)]
    assert errors.count("no answer within 0 s") == 3
    assert errors.count("not tried: the target timed out several times") == 1


def test_a_refused_recovery_stays_unsure_where_an_earlier_try_had_no_answer(
    dispatch: Dispatch, hook: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdas.alert_dispatch.dispatch.FIRST_TRY_TIMEOUT_S", 0.2)
    channel, incident = webhook_channel(dispatch, hook), uuid4()
    down = queued(dispatch, alert_request(channel, order_key=incident))
    recovered = queued(dispatch, alert_request(channel, order_key=incident, alert_type="recovered"))
    hook.delay_s = 20.0
    assert dispatch.invoke(recovered) == [recovered["messageId"]]
    hook.delay_s, hook.status = 0.0, 503
    assert dispatch.invoke(recovered) == [recovered["messageId"]]
    hook.status = 200
    assert dispatch.invoke(down) == [down["messageId"]]
    assert dispatch.invoke(recovered) == dispatch.invoke(down) == []
    assert {json.loads(received.body)["type"] for received in hook.received} == {"alert.recovered"}


def test_settings_are_loud() -> None:
    good = {"UPTIME_ENV": "prod", "AWS_REGION": "eu-west-1", "EMAIL_FROM": "a@b.example"}
    assert Settings.from_environ(good).smtp is None
    server = Settings.from_environ({**good, "EMAIL_TRANSPORT": "smtp://me:p%40ss@mail.example:2525"}).smtp
    assert server
    assert (server.host, server.port, server.user, server.password) == ("mail.example", 2525, "me", "p@ss")
    assert "p@ss" not in repr(server)
    for name in good:
        with pytest.raises(SettingError, match=r"(UPTIME_ENV|AWS_DEFAULT_REGION|EMAIL_FROM) is not set"):
            Settings.from_environ({**good, name: ""})
    for name, value in {"EMAIL_TRANSPORT": "carrier-pigeon", "PRIVATE_TARGETS": "perhaps", "MAILS_PER_S": "nan"}.items():
        with pytest.raises(SettingError, match=name):
            Settings.from_environ({**good, name: value})
    assert Settings.from_environ(good).mails_per_s == 14
    assert Settings.from_environ({**good, "EMAIL_TRANSPORT": "smtp://mail.example"}).mails_per_s == 0
    assert Settings.from_environ({**good, "MAILS_PER_S": "0.5"}).mails_per_s == 0.5


def test_calls_side_by_side_in_one_process_do_not_mix(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    """One box runs several calls in one process; a hanging target must delay none of the others."""
    with webhook_endpoint() as slow:
        slow.delay_s = 30.0
        slow_channel = dispatch.channel("webhook", {"url": slow.url(), "secret": SECRET})
        hanging = threading.Thread(target=dispatch.invoke, args=(queued(dispatch, alert_request(slow_channel)),))
        hanging.start()
        until(lambda: slow.received)
        answers: dict[str, list[str]] = {}
        records = [sqs_record(alert_request(webhook_channel(dispatch, hook)), message_id=f"m{n}") for n in range(6)]
        poison = sqs_record(None, message_id="poison", body="{}")

        def call(record: dict[str, Any]) -> None:
            answers[record["messageId"]] = dispatch.invoke(record)

        threads = [threading.Thread(target=call, args=(record,)) for record in (*records, poison)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        slow.closing.set()
        hanging.join()
    assert answers == {**{f"m{n}": [] for n in range(6)}, "poison": ["poison"]}
    assert len(hook.received) == 6
