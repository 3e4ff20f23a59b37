"""The inbox: batches, poison, a database that goes away, and the real process between real servers."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.queues import Message, QueueUnreachable, SqsQueue, sqs_client
from core.contracts import events
from core.contracts.heartbeat_keys import pending_partitions
from core.contracts.heartbeat_table import PendingItem
from core.contracts.names import EVENT_SOURCE
from core.env import Env, SettingError
from core.inbox.consumer import TRIES, Consumer
from core.inbox.settings import InboxSettings
from lambdas.ping.app import app
from tests.aws_stand_in import REGION, AwsStandIn
from tests.conftest import free_port
from tests.heartbeats import make_heartbeat, pinged
from tests.integration.test_ping_lambda import proxy_event
from tests.processes import wait_until


@dataclass
class ScriptedQueue:
    """Hands out batches, then tells the consumer to stop."""

    batches: list[list[str] | Exception]
    stopping: threading.Event
    name: str = "scripted"
    deleted: list[str] = field(default_factory=list)

    def receive(self, *, limit: int, wait_s: int, linger_s: float) -> list[Message]:
        if not self.batches:
            self.stopping.set()
            return []
        batch = self.batches.pop(0)
        if isinstance(batch, Exception):
            raise batch
        return [Message(body, body, body) for body in batch]

    def delete(self, messages: Sequence[Message]) -> int:
        self.deleted += [message.body for message in messages]
        return len(messages)


class Impatient(threading.Event):
    """A stop signal that nobody waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        return self.is_set()


def consume(batches: list[list[str] | Exception], handle: Any, rest_s: float = 0.0) -> tuple[ScriptedQueue, Impatient]:
    stopping = Impatient()
    queue = ScriptedQueue(batches, stopping)
    Consumer(queue, handle, stopping, rest_s=rest_s).run()
    return queue, stopping


def test_a_poison_message_stays_and_the_others_go_on() -> None:
    handled: list[list[str]] = []

    def handle(messages: Sequence[Message]) -> None:
        if any(message.body == "poison" for message in messages):
            raise ValueError("poison")
        handled.append([message.body for message in messages])

    queue, _ = consume([["a", "poison", "b"], ["c", "d"], ["poison"]], handle)
    assert queue.deleted == ["a", "b", "c", "d"]
    assert handled == [["a"], ["b"], ["c", "d"]]


def test_a_batch_waits_for_the_database_without_receiving_more() -> None:
    failures = [psycopg.OperationalError("away")] * 3

    def handle(_: Sequence[Message]) -> None:
        if failures:
            raise failures.pop()

    queue, stopping = consume([["a", "b"]], handle)
    assert queue.deleted == ["a", "b"]
    assert stopping.waits == [0.2, 0.4, 0.8]


def test_a_consumer_rests_after_a_batch_and_not_after_nothing() -> None:
    queue, stopping = consume([["a"], [], ["b"]], lambda _: None, rest_s=0.2)
    assert queue.deleted == ["a", "b"]
    assert stopping.waits == [0.2, 0.2]


def test_a_database_that_stays_away_gives_the_batch_back() -> None:
    def handle(_: Sequence[Message]) -> None:
        raise psycopg.OperationalError("away")

    queue, stopping = consume([["a"]], handle)
    assert (queue.deleted, len(stopping.waits)) == ([], TRIES)


def test_a_queue_that_is_away_or_a_mistake_of_ours_does_not_end_the_consumer() -> None:
    queue, stopping = consume([QueueUnreachable("away"), RuntimeError("mistake"), ["a"]], lambda _: None)
    assert queue.deleted == ["a"]
    assert stopping.waits == [0.2, 0.4]


def test_settings_are_loud() -> None:
    given = {"DATABASE_URL": "postgresql://x", "REDIS_URL": "redis://x", "METRICS_PORT": "9", "RECEIPT_TIMEOUT_S": "60"}
    settings = InboxSettings.from_env(Env(given))
    assert (settings.metrics_port, settings.receipt_timeout.total_seconds(), settings.threads) == (9, 60, 1)
    with pytest.raises(SettingError, match="INBOX_THREADS"):
        InboxSettings.from_env(Env({**given, "INBOX_THREADS": "0"}))
    with pytest.raises(SettingError, match="DATABASE_URL"):
        InboxSettings.from_env(Env({}))


def test_a_busy_queue_fills_a_batch_and_a_deleted_message_is_gone(aws: AwsStandIn) -> None:
    sqs = aws.client("sqs")
    for number in range(23):
        sqs.send_message(QueueUrl=aws.queue_urls["pings"], MessageBody=str(number))
    queue = SqsQueue(sqs_client(REGION), aws.names.pings_queue)
    messages = queue.receive(limit=100, wait_s=1, linger_s=10)
    assert sorted(int(message.body) for message in messages) == list(range(23))
    assert queue.delete(messages) == 23
    assert queue.receive(limit=10, wait_s=0, linger_s=0) == []


def test_a_queue_that_is_not_there_is_unreachable(aws: AwsStandIn) -> None:
    with pytest.raises(QueueUnreachable):
        SqsQueue(sqs_client(REGION), "nonsense").receive(limit=1, wait_s=0, linger_s=0)


@contextmanager
def inbox(database_url: str, valkey_url: str, metrics_port: int) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "DATABASE_URL": database_url, "REDIS_URL": valkey_url, "METRICS_PORT": str(metrics_port)}
    process = subprocess.Popen([sys.executable, "-m", "core.inbox"], env=environ, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        assert process.stdout
        process.stdout.close()


def pending() -> int:
    return sum(1 for partition in pending_partitions() for _ in PendingItem.query(partition, consistent_read=True))


def waiting(aws: AwsStandIn, noun: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=aws.queue_urls[noun], AttributeNames=names)["Attributes"]
    return sum(int(count) for count in found.values())


def row(connection: psycopg.Connection, query: str, *arguments: Any) -> Any:
    found = connection.execute(query, arguments).fetchone()
    connection.commit()
    return found


def test_from_the_ping_to_the_alert_through_the_real_process(
    aws: AwsStandIn, database_url: str, connection: psycopg.Connection, valkey_url: str
) -> None:
    uid = make_heartbeat(connection, datetime.now(UTC))
    connection.commit()
    HeartbeatTable(aws.names, REGION).provision(uid, uuid4())
    aws.client("sqs").set_queue_attributes(QueueUrl=aws.queue_urls["pings"], Attributes={"VisibilityTimeout": "1"})
    aws.client("sqs").send_message(QueueUrl=aws.queue_urls["pings"], MessageBody="{poison")
    port = free_port()
    with inbox(database_url, valkey_url, port) as process:
        for action in (None, "start", "fail"):
            assert app(proxy_event(str(uid), action), None)["statusCode"] == 200
        state = "SELECT state, pings FROM heartbeat_state"
        wait_until(lambda: row(connection, state) == ("down", 3), what="three pings in PostgreSQL")
        wait_until(lambda: pending() == 0, what="no pending marker left")
        assert row(connection, "SELECT alert_type FROM alert") == ("down",)
        assert app(proxy_event(str(uid)), None)["statusCode"] == 200
        wait_until(lambda: row(connection, state) == ("up", 4), what="the recovery")
        wait_until(lambda: waiting(aws, "pings-dead") == 1, what="the poison among the dead letters")
        wait_until(lambda: waiting(aws, "pings") == 0, what="an empty queue")
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics/", timeout=5).read().decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stdout
        lines = [json.loads(line) for line in process.stdout.read().splitlines()]
    assert f'uptime_heartbeat_pings_total{{heartbeat_id="{uid}",heartbeat_name="backup",status="success"}} 2.0' in metrics
    assert f'uptime_recovery_events_total{{monitor_id="{uid}",monitor_name="backup",monitor_type="heartbeat"}} 1.0' in metrics
    assert {line["service"] for line in lines} == {"inbox"}
    messages = [line["message"] for line in lines]
    assert "inbox.started" in messages
    assert messages[-1] == "inbox.stopped"


def publish(aws: AwsStandIn, name: str, detail: str) -> None:
    entry = {"Source": EVENT_SOURCE, "DetailType": name, "Detail": detail, "EventBusName": aws.names.bus}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def make_delivery(connection: psycopg.Connection) -> UUID:
    """A delivery that waits for its receipt."""
    now, delivery = datetime.now(UTC), uuid4()
    make_heartbeat(connection, now)
    [workspace] = row(connection, "SELECT id FROM workspace")
    channel, alert = uuid4(), uuid4()
    connection.execute(
        "INSERT INTO channel (id, workspace_id, kind, name, config_version, config_ciphertext, summary, disabled_reason, created_at,"
        " updated_at)"
        " VALUES (%s, %s, 'webhook', 'c', 1, 'x', '', '', %s, %s)",
        (channel, workspace, now, now),
    )
    connection.execute(
        "INSERT INTO alert (id, workspace_id, alert_type, order_key, sequence, facts, created_at)"
        " VALUES (%s, %s, 'test', %s, 1, '{}', %s)",
        (alert, workspace, alert, now),
    )
    connection.execute(
        "INSERT INTO delivery (id, workspace_id, alert_id, channel_id, config_version, state, requested_at)"
        " VALUES (%s, %s, %s, %s, 1, 'requested', %s)",
        (delivery, workspace, alert, channel, now),
    )
    connection.commit()
    return delivery


def test_a_receipt_ends_its_delivery(aws: AwsStandIn, database_url: str, connection: psycopg.Connection, valkey_url: str) -> None:
    delivery = make_delivery(connection)
    receipt = events.AlertDelivered(
        delivery_id=delivery,
        generation=1,
        alert_type="test",
        channel_id=uuid4(),
        channel_kind="webhook",
        attempt=1,
        delivered_at=datetime.now(UTC),
        duration_ms=12,
    )
    template = pinged(uuid4(), 1, datetime.now(UTC)).metadata
    publish(aws, "AlertDelivered", events.encode(template, receipt))
    with inbox(database_url, valkey_url, 0):
        wait_until(lambda: row(connection, "SELECT state FROM delivery") == ("delivered",), what="the receipt in its delivery")
        wait_until(lambda: waiting(aws, "receipts") == 0, what="an empty queue")
