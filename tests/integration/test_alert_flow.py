"""Alerts against PostgreSQL, and the whole way: state change, outbox, bus, queue, Lambda, channel, receipt, delivery."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from core import metrics
from core.adapters.channel_vault import ChannelVault, VaultUnreachable
from core.adapters.database import Pool, open_pool
from core.adapters.event_bus import MAX_BYTES, EventBridgeBus, batches
from core.adapters.store import outbox
from core.adapters.store.outbox import OutboxEvent
from core.checker.edge import event_bus, relay
from core.checker.runtime import shut_down
from core.checker.settings import process_settings
from core.checker.tasks.alerts import handle_alert, sweep_outbox
from core.contracts import event_examples, events
from core.contracts.channel_vault import ChannelVersion, VaultCipher
from core.contracts.channels.registry import parse_config
from core.domain.transitions import CameUp, MonitorRef
from core.flows import alert_metrics, alerts, routing
from core.flows.incidents import record_transitions
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import VAULT_KEY, Dispatch, dispatch_environment
from tests.fakes import FakeBus
from tests.integration.test_incidents import make_monitor, went_down
from tests.receivers import mail_server, webhook_endpoint
from tests.unit.test_channels import SECRET

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


def make_channel(connection: psycopg.Connection, workspace_id: UUID, kind: str = "webhook", *, disabled: bool = False) -> UUID:
    channel_id = uuid4()
    connection.execute(
        "INSERT INTO channel (id, workspace_id, name, kind, config_version, config_ciphertext, summary, disabled_at, disabled_reason,"
        " created_at, updated_at) VALUES (%s, %s, 'c', %s, 1, '', '', %s, '', %s, %s)",
        (channel_id, workspace_id, kind, NOW if disabled else None, NOW, NOW),
    )
    return channel_id


def outage(connection: psycopg.Connection, channels: int = 1) -> tuple[MonitorRef, UUID]:
    """A monitor with channels that went down; everything committed."""
    monitor = make_monitor(connection)
    for _ in range(channels):
        make_channel(connection, monitor.workspace_id)
    [alert_id] = record_transitions(connection, [went_down(monitor)], NOW)
    connection.commit()
    return monitor, alert_id


def delivery(connection: psycopg.Connection) -> dict[str, Any]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        row = cursor.execute("SELECT * FROM delivery").fetchone()
    connection.commit()
    assert row
    return row


def receipt(row: dict[str, Any], **changes: Any) -> tuple[str, str]:
    """A receipt of this delivery; with `error` a failed one."""
    common = {
        "delivery_id": row["id"],
        "generation": row["generation"],
        "alert_type": "down",
        "channel_id": row["channel_id"],
        "channel_kind": "webhook",
        "attempt": 1,
    }
    data: events.AlertDelivered | events.AlertFailed
    if "error" in changes:
        failure = {"failed_at": NOW + SECOND, "error_type": "transient", "final": False, "retry_at": NOW + 11 * SECOND}
        data = events.AlertFailed(**{**common, **failure, **changes})
    else:
        data = events.AlertDelivered(**{**common, "delivered_at": NOW + SECOND, "duration_ms": 5, **changes})
    metadata = events.Metadata(event_id=uuid4(), occurred_at=NOW, workspace_id=uuid4(), correlation_id=uuid4())
    return type(data).__name__, events.encode(metadata, data)


def apply(connection: psycopg.Connection, *receipts: tuple[str, str]) -> None:
    for count in alerts.apply_receipts(connection, receipts, NOW).counts:
        alert_metrics.count(count)


def test_an_alert_becomes_one_request_per_enabled_channel(connection: psycopg.Connection, pool: Pool, bus: FakeBus) -> None:
    monitor, alert_id = outage(connection, channels=2)
    make_channel(connection, monitor.workspace_id, disabled=True)
    make_channel(connection, make_monitor(connection, "somebody else's").workspace_id)
    connection.commit()
    routing.route_alert(connection, alert_id, NOW)
    routing.route_alert(connection, alert_id, NOW)
    assert alerts.relay_outbox(pool, bus) == 3
    first, second = bus.requests()
    assert {first.channel_id, second.channel_id} == {
        row[0] for row in connection.execute("SELECT channel_id FROM delivery WHERE state = 'requested'")
    }
    assert (first.alert_type, first.generation, first.sequence, first.config_version) == ("down", 1, 1, 1)
    assert first.monitor
    assert first.monitor.name == "shop"
    assert first.incident
    assert first.incident.reason == "connect_refused"
    assert first.order_key == first.incident.id
    assert alerts.relay_outbox(pool, bus) == 0


def test_a_test_goes_to_its_own_channel_only_even_while_that_is_disabled(
    connection: psycopg.Connection, pool: Pool, bus: FakeBus
) -> None:
    monitor = make_monitor(connection)
    make_channel(connection, monitor.workspace_id)
    channel = make_channel(connection, monitor.workspace_id, disabled=True)
    alert_id = uuid4()
    connection.execute(
        "INSERT INTO alert (id, workspace_id, alert_type, order_key, sequence, facts, only_channel_id, created_at)"
        " VALUES (%s, %s, 'test', %s, 1, '{}', %s, %s)",
        (alert_id, monitor.workspace_id, alert_id, channel, NOW),
    )
    connection.commit()
    routing.route_alert(connection, alert_id, NOW)
    alerts.relay_outbox(pool, bus)
    [request] = bus.requests()
    assert (request.channel_id, request.alert_type, request.monitor) == (channel, "test", None)


def test_an_alert_without_channels_is_routed_to_nobody(connection: psycopg.Connection) -> None:
    _, alert_id = outage(connection, channels=0)
    routing.route_alert(connection, alert_id, NOW)
    assert connection.execute("SELECT routed_at FROM alert").fetchone() == (NOW,)
    assert connection.execute("SELECT count(*) FROM delivery").fetchone() == (0,)


def test_racing_tasks_route_an_alert_once(connection: psycopg.Connection, pool: Pool) -> None:
    _, alert_id = outage(connection)

    def route() -> None:
        with pool.connection() as other:
            routing.route_alert(other, alert_id, NOW)

    threads = [threading.Thread(target=route) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connection.execute("SELECT count(*) FROM delivery").fetchone() == (1,)


def test_what_the_bus_refuses_stays_for_the_next_relay(connection: psycopg.Connection, pool: Pool, bus: FakeBus) -> None:
    _, alert_id = outage(connection)
    routing.route_alert(connection, alert_id, NOW)
    bus.refuse = {"AlertRequested"}
    assert alerts.relay_outbox(pool, bus) == 1
    assert [row[0] for row in connection.execute("SELECT detail_type FROM outbox")] == ["AlertRequested"]
    connection.commit()
    bus.refuse = set()
    assert alerts.relay_outbox(pool, bus) == 1
    assert len(bus.requests()) == 1


def test_a_relay_drains_the_outbox_in_order_and_leaves_what_another_holds(
    connection: psycopg.Connection, pool: Pool, bus: FakeBus
) -> None:
    example = OutboxEvent("IncidentOpened", event_examples.example(event_examples.DATA[0]))
    outbox.insert(connection, [example] * 25, NOW)
    connection.commit()
    held = outbox.lock_next(connection, 3)
    assert alerts.relay_outbox(pool, bus, limit=10) == 22
    connection.rollback()
    assert len(held) == 3
    assert alerts.relay_outbox(pool, bus, limit=10) == 3


def test_people_are_told_before_subscribers(connection: psycopg.Connection, pool: Pool, bus: FakeBus) -> None:
    _, first = outage(connection)
    _, second = outage(connection)
    with pool.connection() as router:
        routing.route_alerts(router, [first, second], NOW)
    alerts.relay_outbox(pool, bus, limit=3)
    assert [event.detail_type for event in bus.published] == ["AlertRequested"] * 2 + ["IncidentOpened"] * 2


def test_a_relay_sorts_nothing_however_much_waits(connection: psycopg.Connection) -> None:
    example = OutboxEvent("IncidentOpened", event_examples.example(event_examples.DATA[0]))
    outbox.insert(connection, [example] * 3000, NOW)
    connection.execute("ANALYZE outbox")
    plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {outbox.NEXT}", (100,)))
    assert "outbox_relay" in plan
    assert "Sort" not in plan


def test_the_sweep_does_what_lost_tasks_left_undone(connection: psycopg.Connection, pool: Pool, bus: FakeBus) -> None:
    outage(connection)
    alerts.sweep(pool, bus, NOW + SECOND)
    assert bus.requests() == []
    alerts.sweep(pool, bus, NOW + 3 * SECOND)
    assert len(bus.requests()) == 1
    connection.execute("UPDATE channel SET config_version = 2")
    connection.commit()
    alerts.sweep(pool, bus, NOW + timedelta(minutes=5))
    assert len(bus.requests()) == 1
    alerts.sweep(pool, bus, NOW + timedelta(minutes=5, seconds=4))
    again = bus.requests()[1]
    assert (again.generation, again.config_version, again.delivery_id) == (2, 2, bus.requests()[0].delivery_id)
    row = delivery(connection)
    assert (row["generation"], row["config_version"]) == (2, 2)
    assert row["receipt_due_at"] == NOW + timedelta(minutes=15, seconds=4)


def test_one_alert_that_cannot_be_routed_does_not_hold_up_the_others(
    connection: psycopg.Connection, pool: Pool, bus: FakeBus
) -> None:
    outage(connection)
    connection.execute("UPDATE alert SET facts = '{\"monitor\": 5}', created_at = created_at - interval '1 minute'")
    connection.commit()
    outage(connection)
    alerts.sweep(pool, bus, NOW + 3 * SECOND)
    assert len(bus.requests()) == 1


def test_one_delivery_that_cannot_be_read_does_not_hold_up_the_others(
    connection: psycopg.Connection, pool: Pool, bus: FakeBus
) -> None:
    outage(connection)
    alerts.sweep(pool, bus, NOW + 3 * SECOND)
    connection.execute("UPDATE alert SET facts = '{\"monitor\": 5}'")
    connection.commit()
    outage(connection)
    alerts.sweep(pool, bus, NOW + 6 * SECOND)
    alerts.sweep(pool, bus, NOW + timedelta(minutes=6))
    assert [request.generation for request in bus.requests()] == [1, 1, 2]


def test_a_part_of_the_sweep_that_fails_keeps_no_other_from_being_done(
    connection: psycopg.Connection, pool: Pool, bus: FakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage(connection)

    def fails(*_: object) -> int:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("core.flows.alerts.tell_more", fails)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        alerts.sweep(pool, bus, NOW + 3 * SECOND)
    assert len(bus.requests()) == 1
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        alerts.sweep(pool, bus, NOW + timedelta(minutes=6))
    assert [request.generation for request in bus.requests()] == [1, 2]


def test_a_delivery_ends_after_its_last_request_and_with_its_channel(
    connection: psycopg.Connection, pool: Pool, bus: FakeBus
) -> None:
    monitor, _ = outage(connection)
    alerts.sweep(pool, bus, NOW + 3 * SECOND)
    connection.execute("UPDATE delivery SET generation = 10, error = 'the webhook answered 503'")
    connection.commit()
    [given_up] = alerts.sweep(pool, bus, NOW + timedelta(days=4))
    assert (given_up.sent, given_up.alert_type, given_up.channel_kind) == ("failed", "down", "webhook")
    row = delivery(connection)
    assert (row["state"], row["receipt_due_at"]) == ("failed", None)
    assert row["error"] == "no receipt after 10 requests; the last error was: the webhook answered 503"
    record_transitions(connection, [CameUp(monitor, NOW + timedelta(days=4))], NOW + timedelta(days=4))
    connection.commit()
    alerts.sweep(pool, bus, NOW + timedelta(days=4, seconds=3))
    connection.execute("UPDATE channel SET disabled_at = %s", (NOW,))
    connection.commit()
    [ended] = alerts.sweep(pool, bus, NOW + timedelta(days=5))
    assert (ended.alert_type, ended.sent) == ("recovered", "failed")


def test_receipts_are_applied_once_and_counted(connection: psycopg.Connection, pool: Pool, bus: FakeBus) -> None:
    outage(connection)
    alerts.sweep(pool, bus, NOW + 3 * SECOND)
    row = delivery(connection)
    labels = {"alert_type": "down", "channel": "webhook"}
    sent = metrics.ALERTS_SENT.labels(**labels, status="delivered")._value
    failures = metrics.ALERTS_FAILED.labels(**labels, error_type="transient")._value
    retries = metrics.ALERT_RETRIES.labels(**labels)._value
    before = sent.get(), failures.get(), retries.get()
    for _ in range(2):
        apply(connection, receipt(row, error="the webhook answered 503"))
    waiting = delivery(connection)
    assert (waiting["state"], waiting["attempts"], waiting["error"]) == ("requested", 1, "the webhook answered 503")
    assert waiting["retry_at"] == NOW + 11 * SECOND
    assert waiting["receipt_due_at"] == NOW + 11 * SECOND + timedelta(minutes=5)
    for _ in range(2):
        apply(connection, receipt(row, attempt=2))
    done = delivery(connection)
    assert (done["state"], done["attempts"], done["error"]) == ("delivered", 2, "")
    assert done["finished_at"] == NOW + SECOND
    assert (sent.get(), failures.get(), retries.get()) == (before[0] + 1, before[1] + 1, before[2] + 1)
    late = receipt(row, error="too late", error_type="permanent", final=True, retry_at=None, disable_channel=True)
    assert alerts.apply_receipts(connection, [late], NOW) == alerts.Received([], [])
    assert delivery(connection)["state"] == "delivered"
    assert connection.execute("SELECT disabled_at FROM channel").fetchone() == (None,)


@pytest.mark.parametrize("edited", [False, True])
def test_a_gone_target_disables_its_channel_unless_it_was_edited(
    connection: psycopg.Connection, pool: Pool, bus: FakeBus, edited: bool
) -> None:
    outage(connection)
    alerts.sweep(pool, bus, NOW + 3 * SECOND)
    if edited:
        connection.execute("UPDATE channel SET config_version = 2")
        connection.commit()
    gone = receipt(
        delivery(connection),
        error="the webhook answered 410",
        error_type="permanent",
        final=True,
        retry_at=None,
        disable_channel=True,
    )
    apply(connection, gone)
    assert delivery(connection)["state"] == "failed"
    row = connection.execute("SELECT disabled_at, disabled_reason FROM channel").fetchone()
    assert row == ((None, "") if edited else (NOW, "the webhook answered 410 (2026-11-23 12:00 UTC)"))


def test_receipts_of_one_batch_are_one_transaction_in_their_order(
    connection: psycopg.Connection, pool: Pool, bus: FakeBus
) -> None:
    outage(connection, channels=2)
    alerts.sweep(pool, bus, NOW + 3 * SECOND)
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        first, second = cursor.execute("SELECT * FROM delivery ORDER BY id").fetchall()
    connection.commit()
    unknown = receipt({**first, "id": uuid4()})
    batch = [receipt(first, error="503"), unknown, receipt(second), receipt(first, attempt=2), receipt(second), receipt(first)]
    with pytest.raises(ValueError, match="not a receipt"):
        alerts.apply_receipts(connection, [*batch, ("IncidentOpened", "{}")], NOW)
    assert delivery(connection)["attempts"] == 0, "a batch is written whole or not at all"
    counts = alerts.apply_receipts(connection, batch, NOW).counts
    assert [(count.sent, count.failed, count.retries) for count in counts] == [
        (None, "transient", 0),
        ("delivered", None, 0),
        ("delivered", None, 1),
    ]
    rows = connection.execute("SELECT state, attempts, error, retry_at FROM delivery ORDER BY id").fetchall()
    assert rows == [("delivered", 2, "", None), ("delivered", 1, "", None)]


def test_receipts_of_nothing_and_of_nonsense(connection: psycopg.Connection) -> None:
    unknown = {"id": uuid4(), "generation": 1, "channel_id": uuid4()}
    assert alerts.apply_receipts(connection, [receipt(unknown)], NOW) == alerts.Received([], [])
    with pytest.raises(msgspec.DecodeError):
        alerts.apply_receipts(connection, [("AlertDelivered", "{}")], NOW)
    with pytest.raises(ValueError, match="not a receipt"):
        alerts.apply_receipts(connection, [("IncidentOpened", "{}")], NOW)


def test_batches_keep_to_the_limits_of_one_call() -> None:
    small = OutboxEvent("IncidentOpened", "x")
    large = OutboxEvent("IncidentOpened", "é" * (MAX_BYTES // 4))
    assert [len(batch) for batch in batches([small] * 23)] == [10, 10, 3]
    assert [len(batch) for batch in batches([large, large, large, small])] == [1, 1, 2]
    assert list(batches([])) == []


def test_the_real_bus_answers_entry_by_entry_and_survives_its_absence(aws: AwsStandIn) -> None:
    bus = EventBridgeBus(aws.names.bus, aws.client("events"))
    good = OutboxEvent("AlertRequested", event_examples.example(event_examples.DATA[4]))
    assert bus.publish([good, OutboxEvent("AlertRequested", "not json"), good]) == [True, False, True]
    assert EventBridgeBus("no-such-bus", aws.client("events")).publish([good]) == [False]


def pump(dispatch: Dispatch, connection: psycopg.Connection, receipts: int) -> None:
    """Play event source mapping and inbox until so many receipts have been applied."""
    sqs = dispatch.aws.client("sqs")
    applied = 0
    while applied < receipts:
        for message in sqs.receive_message(
            QueueUrl=dispatch.aws.queue_urls["alerts"], WaitTimeSeconds=2, AttributeNames=["ApproximateReceiveCount"]
        ).get("Messages", []):
            record = {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "eventSource": "aws:sqs",
            }
            assert dispatch.invoke(record) == []
            sqs.delete_message(QueueUrl=dispatch.aws.queue_urls["alerts"], ReceiptHandle=message["ReceiptHandle"])
        for message in sqs.receive_message(QueueUrl=dispatch.aws.queue_urls["receipts"], WaitTimeSeconds=1).get("Messages", []):
            body = json.loads(message["Body"])
            receipt = body["detail-type"], json.dumps(body["detail"])
            applied += len(alerts.apply_receipts(connection, [receipt], datetime.now(UTC)).counts)
            sqs.delete_message(QueueUrl=dispatch.aws.queue_urls["receipts"], ReceiptHandle=message["ReceiptHandle"])


def test_the_whole_way_there_and_back(
    connection: psycopg.Connection, pool: Pool, aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        webhook_endpoint() as hook,
        mail_server() as mailbox,
        dispatch_environment(aws, monkeypatch, smtp_port=mailbox.port) as dispatch,
    ):
        monitor = make_monitor(connection)
        vault, cipher = ChannelVault(aws.names, aws.region), VaultCipher([VAULT_KEY])
        configs = {"webhook": {"url": hook.url(), "secret": SECRET}, "email": {"address": "ops@example.com"}}
        for kind, config in configs.items():
            channel_id = make_channel(connection, monitor.workspace_id, kind)
            sealed = cipher.seal(msgspec.to_builtins(parse_config(kind, config, private_targets=True)))
            vault.project(channel_id, 1, kind, monitor.workspace_id, sealed)
        bus = EventBridgeBus(aws.names.bus, aws.client("events"))
        now = datetime.now(UTC)
        for transition in (went_down(monitor), CameUp(monitor, now)):
            [alert_id] = record_transitions(connection, [transition], now)
            connection.commit()
            routing.route_alert(connection, alert_id, now)
            assert alerts.relay_outbox(pool, bus) == 3
            pump(dispatch, connection, receipts=2)
    assert [json.loads(received.body)["type"] for received in hook.received] == ["alert.down", "alert.recovered"]
    assert len(mailbox.mails) == 2
    assert [str(mail["Subject"]).split(":")[0] for mail in mailbox.mails] == ["DOWN", "UP"]
    states = connection.execute("SELECT state, attempts, receipt_due_at FROM delivery").fetchall()
    assert states == [("delivered", 1, None)] * 4


def test_a_removed_channel_leaves_nothing_in_the_vault(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with dispatch_environment(aws, monkeypatch):
        vault, channel_id = ChannelVault(aws.names, aws.region), uuid4()
        for version in (1, 2, 2):
            vault.project(channel_id, version, "webhook", uuid4(), f"ciphertext {version}")
        assert [int(item.version) for item in ChannelVersion.query(str(channel_id))] == [1, 2]
        vault.remove(channel_id)
        assert list(ChannelVersion.query(str(channel_id))) == []
        aws.client("dynamodb").delete_table(TableName=aws.names.channel_vault_table)
        with pytest.raises(VaultUnreachable):
            vault.project(channel_id, 3, "webhook", uuid4(), "ciphertext 3")


def test_the_tasks_route_publish_and_sweep(
    connection: psycopg.Connection, database_url: str, valkey_url: str, aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"DATABASE_URL": database_url, "REDIS_URL": valkey_url}.items():
        monkeypatch.setenv(name, value)
    for cached in (process_settings, event_bus, relay):
        cached.cache_clear()
    _, alert_id = outage(connection)
    try:
        handle_alert(str(alert_id))
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
        connection.execute("UPDATE delivery SET receipt_due_at = now() - interval '1 second'")
        connection.commit()
        sweep_outbox()
    finally:
        shut_down()
        for cached in (process_settings, event_bus, relay):
            cached.cache_clear()
    assert delivery(connection)["generation"] == 2
    sqs = aws.client("sqs")
    found = sqs.receive_message(QueueUrl=aws.queue_urls["alerts"], MaxNumberOfMessages=10)["Messages"]
    assert sorted(json.loads(message["Body"])["detail"]["data"]["generation"] for message in found) == [1, 2]
