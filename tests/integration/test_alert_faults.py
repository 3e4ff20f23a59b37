"""What becomes of an alert when something on its way fails: cells of the table in docs/explanation/alerts.md that no other test holds."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock, patch

import msgspec
import psycopg
import pytest
import redis
from botocore.exceptions import ClientError
from standardwebhooks import Webhook

from core.adapters.database import Pool, open_pool
from core.adapters.task_queue import TaskQueue
from core.checker.flush import Flusher
from core.contracts.channels.email import EmailConfig
from core.contracts.channels.slack import SlackConfig
from core.contracts.channels.webhook import WebhookConfig
from core.contracts.tasks import ALERTS
from core.domain.outcomes import Outcome
from core.flows import websites
from core.flows.websites import Applied, Finished
from lambdas.alert_dispatch import handler as dispatch_handler
from lambdas.alert_dispatch.channels.email import SmtpSender
from lambdas.alert_dispatch.channels.slack import SlackSender
from lambdas.alert_dispatch.channels.webhook import WebhookSender
from lambdas.alert_dispatch.config import SmtpServer
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Transient
from lambdas.alert_dispatch.signed import ATTEMPTS
from lambdas.signed_aws.aws import AwsError
from tests.alert_path import STEP, AlertPath, alert_path
from tests.aws_stand_in import AwsStandIn
from tests.chat_services import Reply, chat_service, poster
from tests.conftest import free_port
from tests.dispatch_in_memory import MemoryTargets
from tests.dispatching import Dispatch, alert_request, dispatch_environment
from tests.integration.test_chat_senders import slack_webhook
from tests.integration.test_dispatch import queued
from tests.receivers import WebhookEndpoint, mail_server, webhook_endpoint
from tests.route_reference import Route, Step
from tests.unit.test_channels import SECRET
from tests.waiting import until
from tests.websites import finished

SECOND = timedelta(seconds=1)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def path(connection: psycopg.Connection, pool: Pool, hook: WebhookEndpoint) -> Iterator[AlertPath]:
    """The way to one webhook."""
    with alert_path(connection, pool, {WebhookConfig: WebhookSender(poster())}) as way:
        way.channel("webhook", WebhookConfig(url=hook.url(), secret=SECRET))
        yield way


def heard(hook: WebhookEndpoint) -> list[str]:
    """The types of the messages, each verified as receivers do."""
    return [Webhook(SECRET).verify(received.body, received.headers)["type"] for received in hook.received]


@dataclass(frozen=True)
class After:
    """What a first failure leads to: the state of the delivery then and in the end, and whether the channel is disabled."""

    state: str
    error: str
    ends: str
    disabled: bool = False


def waits(error: str) -> After:
    """It is tried again, and told."""
    return After("requested", error, "delivered")


def ends(error: str) -> After:
    """Nothing can reach that target any more."""
    return After("failed", error, "failed", disabled=True)


def first_failure(path: AlertPath, expected: After) -> None:
    """An outage meets a target that fails; its delivery, and its channel, are as `expected`."""
    path.route(path.goes_down(path.monitor()))
    path.dispatch()
    path.take_receipts()
    [(_, state, error)] = path.deliveries()
    row = path.connection.execute("SELECT disabled_at IS NOT NULL FROM channel").fetchone()
    path.connection.commit()
    assert (state, row) == (expected.state, (expected.disabled,))
    assert expected.error in error


def later(path: AlertPath, expected: After) -> None:
    """The target is well again."""
    path.settle(timedelta(minutes=10))
    assert [state for alert_type, state, _ in path.deliveries() if alert_type == "down"] == [expected.ends]


SLACK = {
    "200": (Reply(200, b"ok"), After("delivered", "", "delivered")),
    "404": (Reply(404, b"no_service"), ends("Slack answered 404 (no_service)")),
    "410": (Reply(410, b"channel_is_archived"), ends("Slack answered 410 (channel_is_archived)")),
    "429": (Reply(429, b"rate_limited", {"retry-after": "30"}), waits("Slack answered 429")),
    "500": (Reply(500, b"rollup_error"), waits("Slack answered 500")),
    "hangs": (Reply(hang=True), waits("no answer within")),
    "resets": (Reply(reset=True), waits("the connection failed")),
}


@pytest.mark.parametrize("fault", SLACK)
def test_slack(connection: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr("lambdas.alert_dispatch.dispatch.FIRST_TRY_TIMEOUT_S", 0.5 if fault == "hangs" else 5.0)
    reply, expected = SLACK[fault]
    with chat_service(slack_webhook) as slack, alert_path(connection, pool, {SlackConfig: SlackSender(poster())}) as path:
        path.channel("slack", SlackConfig(url=slack.url("/services/T0/B0/x")))
        slack.replies = [reply]
        first_failure(path, expected)
        later(path, expected)
        assert len(slack.received) == (2 if expected.state == "requested" else 1)


@contextmanager
def refusing_mail(_: int) -> Iterator[None]:
    """Nobody listens."""
    yield


@contextmanager
def silent_mail(port: int) -> Iterator[None]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", port)):
        yield


class Busy(socketserver.BaseRequestHandler):
    """Greets with 421 and hangs up: RFC 5321, 3.8."""

    def handle(self) -> None:
        self.request.sendall(b"421 4.3.2 too many connections\r\n")


class MailServer(socketserver.TCPServer):
    allow_reuse_address = True


@contextmanager
def serving_mail(port: int, handler: type[socketserver.BaseRequestHandler]) -> Iterator[None]:
    """One connection after the other."""
    with MailServer(("127.0.0.1", port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


@contextmanager
def busy_mail(port: int) -> Iterator[None]:
    """A mail server that has no time."""
    with serving_mail(port, Busy):
        yield


class Trickling(socketserver.BaseRequestHandler):
    """Greets byte by byte, for ten seconds if it is let."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            for byte in b"220 " + b"x" * 200:
                self.request.sendall(bytes([byte]))
                time.sleep(0.05)  # the server is what is slow


@contextmanager
def trickling_mail(port: int) -> Iterator[None]:
    """A mail server that is never silent, and never done."""
    with serving_mail(port, Trickling):
        yield


def replying_mail(reply: str) -> Callable[[int], Any]:
    """Answers RCPT like this."""

    @contextmanager
    def serve(port: int) -> Iterator[None]:
        with mail_server(port) as mailbox:
            mailbox.rcpt_reply = reply
            yield

    return serve


SMTP: dict[str, tuple[Callable[[int], Any], After]] = {
    "refused": (refusing_mail, waits("the mail server could not be used")),
    "slow": (silent_mail, waits("the mail server gave no answer within")),
    "trickles": (trickling_mail, waits("the mail server gave no answer within")),
    "421 at once": (busy_mail, waits("421")),
    "421": (replying_mail("421 4.3.2 shutting down"), waits("421 4.3.2 shutting down")),
    "550": (replying_mail("550 5.1.1 no such user"), ends("550 5.1.1 no such user")),
}


@pytest.mark.parametrize("fault", SMTP)
def test_smtp(connection: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr("lambdas.alert_dispatch.dispatch.FIRST_TRY_TIMEOUT_S", 0.5 if fault in {"slow", "trickles"} else 5.0)
    port = free_port()
    serve, expected = SMTP[fault]
    send = SmtpSender(SmtpServer("127.0.0.1", port), "uptime@monitor.example", lambda: datetime.now(UTC))
    with alert_path(connection, pool, {EmailConfig: send}) as path:
        path.channel("email", EmailConfig(address="ops@example.com"))
        with serve(port):
            first_failure(path, expected)
        with mail_server(port) as mailbox:
            later(path, expected)
    assert [str(mail["Subject"])[:10] for mail in mailbox.mails] == (["DOWN: shop"] if expected.ends == "delivered" else [])


def test_a_slow_mail_server_in_time_is_told_once(connection: psycopg.Connection, pool: Pool) -> None:
    with mail_server() as mailbox:
        mailbox.delay_s = 1.0
        send = SmtpSender(SmtpServer("127.0.0.1", mailbox.port), "uptime@monitor.example", lambda: datetime.now(UTC))
        with alert_path(connection, pool, {EmailConfig: send}) as path:
            path.channel("email", EmailConfig(address="ops@example.com"))
            path.route(path.goes_down(path.monitor()))
            path.settle(timedelta(minutes=1))
        assert len(mailbox.mails) == 1


def test_a_target_that_hangs_for_hours_while_people_are_reminded_makes_no_dead_letters(
    connection: psycopg.Connection, pool: Pool
) -> None:
    sent: list[str] = []

    def hangs(outgoing: Outgoing, _config: WebhookConfig) -> None:
        if path.now < well_at:
            raise Transient("no answer within 5 s", timed_out=True)
        sent.append(outgoing.request.data.alert_type)

    with alert_path(connection, pool, {WebhookConfig: hangs}) as path:
        well_at = path.now + timedelta(hours=2)
        channel = path.channel("webhook", WebhookConfig(url="https://hooks.example/", secret=SECRET))
        path.write_routes([Route((Step(timedelta(), frozenset({channel})),), repeat=timedelta(minutes=10))])
        path.route(path.goes_down(monitor := path.monitor()))
        for _ in range(int(timedelta(hours=2) / STEP)):
            path.sweep()
            while path.dispatch() or path.take_receipts():
                pass
            path.wait(STEP)
        assert (sent, path.alerts.dead) == ([], [])
        path.route(path.comes_up(monitor))
        path.settle(timedelta(hours=1))
    assert sent[-1] == "recovered"


def test_a_throttling_bus_takes_requests_one_by_one(path: AlertPath, hook: WebhookEndpoint) -> None:
    """What PutEvents refuses stays in the outbox, and nothing that it took is published again."""
    path.events.busy = True
    path.route([alert_id for number in range(4) for alert_id in path.goes_down(path.monitor(f"shop {number}"))])
    stays = path.connection.execute("SELECT count(*) FROM outbox").fetchone()
    path.connection.commit()
    assert stays
    assert 0 < stays[0] < 8
    path.settle(timedelta(minutes=2))
    assert path.deliveries() == [("down", "delivered", "")] * 4
    assert heard(hook) == ["alert.down"] * 4


def test_a_throttled_receipt_is_published_when_its_message_comes_again(path: AlertPath, hook: WebhookEndpoint) -> None:
    path.route(path.goes_down(path.monitor()))
    with patch.object(path.events, "_put", return_value={"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}):
        path.dispatch()
    assert (path.take_receipts(), len(path.alerts)) == (0, 1)
    path.wait(11 * SECOND)
    path.dispatch()
    assert path.take_receipts() == 1
    assert path.deliveries() == [("down", "delivered", "")]
    assert heard(hook) == ["alert.down"]


def test_queues_may_hand_over_everything_twice_and_in_any_order(path: AlertPath, hook: WebhookEndpoint) -> None:
    shop = path.monitor()
    for change in (path.goes_down, path.comes_up):
        path.route(change(shop))
    down, up = path.alerts.receive(10)
    for message in (up, down, up, down):
        assert path.invoke(message, deletes=False)
    receipts = path.receipts.receive(10)
    assert len(receipts) == 4
    for receipt in (*reversed(receipts), *receipts):
        path.apply(receipt)
    assert path.deliveries() == [("down", "superseded", ""), ("recovered", "delivered", "")]
    assert heard(hook) == ["alert.recovered"]


DYNAMODB = {
    "record in progress": (0, "PutItem", True),
    "turn": (1, "UpdateItem", True),
    "breaker": (2, "GetItem", True),
    "turn given back": (3, "UpdateItem", False),
    "record completed": (4, "UpdateItem", True),
}
"""Calls of one invocation: number, operation, and whether the message then comes again."""


@pytest.mark.parametrize("fault", DYNAMODB)
def test_dynamodb_throttles(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch, hook: WebhookEndpoint, fault: str) -> None:
    number, operation, comes_again = DYNAMODB[fault]
    with dispatch_environment(aws, monkeypatch) as dispatch:
        request = alert_request(dispatch.channel("webhook", {"url": hook.url(), "secret": SECRET}))
        record = queued(dispatch, request)
        with throttled(number) as refused:
            assert bool(dispatch.invoke(record)) is comes_again
        assert refused == [operation] * ATTEMPTS
        assert is_visible_within(dispatch, 11) is comes_again
        if comes_again:
            again = msgspec.structs.replace(request, data=msgspec.structs.replace(request.data, generation=2))
            assert dispatch.invoke(queued(dispatch, again)) == []
        assert {receipt.delivery_id for receipt in dispatch.new_receipts()} == {request.data.delivery_id}
    assert heard(hook) == ["alert.down"]


@contextmanager
def throttled(number: int) -> Iterator[list[str]]:
    """DynamoDB refuses one call of the Lambda's, each time that it is tried; the operations that were refused."""
    client: Any = dispatch_handler.wiring().persistence.client  # all its calls of DynamoDB go through this one
    service = client._service
    asked: list[dict[str, Any]] = []
    refused: list[str] = []

    def answer(operation: str, request: dict[str, Any]) -> Any:
        if not asked or asked[-1] is not request:
            asked.append(request)
        if len(asked) != number + 1:
            return service.call(operation, request)
        refused.append(operation)
        raise AwsError("ProvisionedThroughputExceededException", "Rate exceeded", {"message": "Rate exceeded"})

    with patch.object(client, "_service", Mock(call=answer)):
        yield refused


@pytest.mark.parametrize("note", ["timed_out", "answered"])
def test_what_cannot_be_noted_of_a_target_changes_nothing_for_its_message(
    path: AlertPath, hook: WebhookEndpoint, note: str
) -> None:
    hangs, post = iter([True]), WebhookSender(poster())

    def hangs_once(outgoing: Outgoing, config: WebhookConfig) -> None:
        if next(hangs, False):
            raise Transient("no answer", timed_out=True)
        post(outgoing, config)

    path.edge.dispatcher = replace(path.edge.dispatcher, senders={WebhookConfig: hangs_once})
    refusal = ClientError({"Error": {"Code": "ProvisionedThroughputExceededException", "Message": ""}}, "UpdateItem")
    with patch.object(MemoryTargets, note, side_effect=refusal) as refused:
        first_failure(path, waits("no answer"))
        later(path, waits("no answer"))
    assert refused.call_count == 1
    assert heard(hook) == ["alert.down"]


def test_an_error_that_nobody_foresaw_is_told_and_tried_again(path: AlertPath, hook: WebhookEndpoint) -> None:
    breaks, post = iter([True]), WebhookSender(poster())

    def breaks_once(outgoing: Outgoing, config: WebhookConfig) -> None:
        if next(breaks, False):
            raise KeyError(config.secret)
        post(outgoing, config)

    path.edge.dispatcher = replace(path.edge.dispatcher, senders={WebhookConfig: breaks_once})
    first_failure(path, waits("an error of ours that was not foreseen (KeyError); the log of alert_dispatch has it"))
    path.wait(10 * SECOND)
    assert path.dispatch() == 1
    path.take_receipts()
    assert path.deliveries() == [("down", "delivered", "")]
    assert heard(hook) == ["alert.down"]


def is_visible_within(dispatch: Dispatch, seconds: int) -> bool:
    """Whether the one message of the queue was given so little time that it comes back soon: what is left of it is asked of moto."""
    from moto.sqs.models import sqs_backends  # noqa: PLC0415  (half a second that only these tests need)

    [queue] = [
        queue for queue in sqs_backends["123456789012"][dispatch.aws.region].queues.values() if queue.name.endswith("-alerts")
    ]
    [message] = queue._messages
    return bool(message.visible_at < (datetime.now(UTC).timestamp() + seconds) * 1000)


def test_an_outage_that_begins_while_postgresql_is_away_is_told_once_it_is_back(path: AlertPath, hook: WebhookEndpoint) -> None:
    shop, began_at = path.monitor(), path.now
    path.connection.execute("UPDATE website SET failure_threshold = 1")
    claim = websites.claim_now(path.connection, shop.uid, path.now)
    [job], _ = websites.load(path.connection, claim, path.now, open_sealed=lambda _: pytest.fail("nothing is sealed"))
    path.connection.commit()
    away = iter([True, True])

    def store(results: list[Finished]) -> Applied:
        if next(away, False):
            raise psycopg.OperationalError("connection refused")
        with path.pool.connection() as connection:
            return websites.apply_results(connection, results, path.now + timedelta(minutes=2))

    committed: list[Applied] = []
    flusher = Flusher(store, committed.append)  # type: ignore[arg-type]  # it is given lists
    flusher.start()
    flusher.put(finished(job, path.now, Outcome.DOWN))
    until(lambda: committed)
    assert flusher.stop(5) == 0
    path.wait(timedelta(minutes=2))
    path.route(committed[0].alert_ids)
    path.settle(timedelta(minutes=1))
    assert heard(hook) == ["alert.down"]
    told = Webhook(SECRET).verify(hook.received[0].body, hook.received[0].headers)
    assert datetime.fromisoformat(told["data"]["incident"]["began_at"]) == began_at


def test_a_broker_that_lost_its_tasks_delays_an_alert_until_the_next_sweep(
    path: AlertPath, hook: WebhookEndpoint, valkey_url: str
) -> None:
    tasks = TaskQueue(valkey_url)
    broker = redis.Redis.from_url(valkey_url)
    broker.flushall()
    tasks.kick_alerts(path.goes_down(path.monitor()))
    assert tasks.lengths([ALERTS]) == {ALERTS: 1}
    broker.flushall()
    assert tasks.lengths([ALERTS]) == {ALERTS: 0}
    tasks.close()
    broker.close()
    path.wait(4 * SECOND)
    path.sweep()
    path.dispatch()
    path.take_receipts()
    assert path.deliveries() == [("down", "delivered", "")]
    assert heard(hook) == ["alert.down"]
