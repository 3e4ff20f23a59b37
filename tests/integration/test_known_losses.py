"""How other systems lose alerts, each tried here. The numbers are those of the list that we keep of them.

Every test takes the whole way of an alert. What is killed for real is in `tests/faults/test_failpoints.py`.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import psycopg
import pytest
from standardwebhooks import Webhook

from core.adapters.database import Pool, open_pool
from core.adapters.store import incidents as incident_store
from core.contracts.channels.email import EmailConfig
from core.contracts.channels.webhook import WebhookConfig
from core.domain.outcomes import Outcome
from core.flows import websites
from lambdas.alert_dispatch.channels.email import SmtpSender
from lambdas.alert_dispatch.channels.webhook import WebhookSender
from lambdas.alert_dispatch.config import SmtpServer
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import RateLimited
from lambdas.alert_dispatch.order import Order
from lambdas.alert_dispatch.posting import Poster
from tests.alert_path import AlertPath, Senders, alert_path
from tests.conftest import free_port
from tests.receivers import WebhookEndpoint, mail_server, webhook_endpoint
from tests.unit.test_channels import SECRET
from tests.websites import finished

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=6)
    yield opened
    opened.close()


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


def post(outgoing: Outgoing, config: WebhookConfig) -> None:
    WebhookSender(Poster(private_targets=True, clock=lambda: datetime.now(UTC)))(outgoing, config)


def mail_by(port: int) -> SmtpSender:
    return SmtpSender(SmtpServer("127.0.0.1", port), "uptime@monitor.example", lambda: datetime.now(UTC))


@contextmanager
def told_by(
    connection: psycopg.Connection, pool: Pool, hook: WebhookEndpoint, senders: Senders | None = None
) -> Iterator[AlertPath]:
    """The way to a webhook, and to whom `senders` reach beside it."""
    with alert_path(connection, pool, {WebhookConfig: post, **(senders or {})}) as path:
        path.channel("webhook", WebhookConfig(url=hook.url(), secret=SECRET))
        yield path


def heard(hook: WebhookEndpoint) -> list[str]:
    """The types of the messages, each verified as receivers do."""
    return [Webhook(SECRET).verify(received.body, received.headers)["type"] for received in hook.received]


def test_1_an_unreachable_mail_server_stops_no_other_channel(
    connection: psycopg.Connection, pool: Pool, hook: WebhookEndpoint
) -> None:
    senders: dict[type, Callable[..., str | None]] = {EmailConfig: mail_by(free_port())}
    with alert_path(connection, pool, senders) as path:
        mail = path.channel("email", EmailConfig(address="ops@example.com"))
        path.channel("webhook", WebhookConfig(url=hook.url(), secret=SECRET))
        senders[WebhookConfig] = post
        path.route(path.goes_down(path.monitor()))
        path.dispatch()
        path.take_receipts()
        assert heard(hook) == ["alert.down"]
        [(_, state, error)] = path.deliveries(mail)
        assert state == "requested"
        assert "the mail server could not be used" in error
        with mail_server() as mailbox:
            senders[EmailConfig] = mail_by(mailbox.port)
            path.settle(MINUTE)
            assert [str(mail["Subject"])[:10] for mail in mailbox.mails] == ["DOWN: shop"]
    assert heard(hook) == ["alert.down"]


def test_2_who_is_killed_while_sending_sends_again(connection: psycopg.Connection, pool: Pool, hook: WebhookEndpoint) -> None:
    """Nobody tidies up after a kill: the turn stays taken, and the record says that somebody is at it, until the time of that one is up."""
    kills = iter([True])

    def killed_once(outgoing: Outgoing, config: WebhookConfig) -> None:
        if next(kills, False):
            raise SystemExit
        post(outgoing, config)

    with told_by(connection, pool, hook, {WebhookConfig: killed_once}) as path:
        path.route(path.goes_down(path.monitor()))
        with patch.object(Order, "release"), pytest.raises(SystemExit):
            path.dispatch()
        path.settle(timedelta(minutes=4))  # before its receipt is overdue
        assert path.deliveries() == [("down", "delivered", "")]
    assert heard(hook) == ["alert.down"]


@pytest.mark.parametrize("between", ["open_incidents", "insert_alerts"])
def test_3_a_crash_between_state_and_alert_leaves_neither(
    connection: psycopg.Connection, pool: Pool, hook: WebhookEndpoint, between: str
) -> None:
    with told_by(connection, pool, hook) as path:
        shop = path.monitor()
        connection.execute("UPDATE website SET failure_threshold = 1")
        connection.commit()

        def check_fails(now: datetime) -> list[UUID]:
            claim = websites.claim_now(connection, shop.uid, now)
            [job], _ = websites.load(connection, claim, now, open_sealed=lambda _: pytest.fail("nothing is sealed"))
            connection.commit()
            return list(websites.apply_results(connection, [finished(job, now, Outcome.DOWN)], now).alert_ids)

        with patch.object(incident_store, between, side_effect=SystemExit), pytest.raises(SystemExit):
            check_fails(path.now)
        connection.rollback()
        stored = "SELECT (SELECT count(*) FROM website_state WHERE state = 'down'), (SELECT count(*) FROM alert)"
        assert connection.execute(stored).fetchone() == (0, 0)
        path.wait(MINUTE)  # by then the lease of the check that was killed has ended
        check_fails(path.now)
        assert connection.execute(stored).fetchone() == (1, 1)
        connection.commit()
        path.settle(MINUTE)  # nobody kicked the alert: whoever was to do that may have been killed, too
    assert heard(hook) == ["alert.down"]


def test_4_a_receiver_that_is_down_for_a_few_seconds_is_told(
    connection: psycopg.Connection, pool: Pool, hook: WebhookEndpoint
) -> None:
    hook.status = 503
    with told_by(connection, pool, hook) as path:
        path.route(path.goes_down(path.monitor()))
        path.dispatch()
        hook.status = 200
        path.wait(12 * SECOND)
        path.dispatch()
        path.take_receipts()
        assert path.deliveries() == [("down", "delivered", "")]
    assert heard(hook) == ["alert.down"] * 2  # the first of them was refused


def test_11_what_is_too_much_for_a_target_waits_and_is_not_dropped(
    connection: psycopg.Connection, pool: Pool, hook: WebhookEndpoint
) -> None:
    """A target that takes six messages a minute, and ten outages at once."""
    taken: list[datetime] = []

    def six_a_minute(outgoing: Outgoing, config: WebhookConfig) -> None:
        if sum(at > path.now - MINUTE for at in taken) >= 6:
            raise RateLimited("the webhook answered 429", retry_after_s=20)
        taken.append(path.now)
        post(outgoing, config)

    with told_by(connection, pool, hook, {WebhookConfig: six_a_minute}) as path:
        path.route([alert_id for number in range(10) for alert_id in path.goes_down(path.monitor(f"shop {number}"))])
        path.settle(timedelta(minutes=5))
        assert path.deliveries() == [("down", "delivered", "")] * 10
    assert heard(hook) == ["alert.down"] * 10
    assert taken[5] == taken[0]
    assert taken[6] > taken[0] + MINUTE


def test_13_up_never_overtakes_down(connection: psycopg.Connection, pool: Pool, hook: WebhookEndpoint) -> None:
    """Twelve outages with their ends are in the queue in any order, and four senders take from it at once."""
    hook.delay_s = 0.02
    with told_by(connection, pool, hook) as path:
        monitors = [path.monitor(f"shop {number}") for number in range(12)]
        for change in (path.goes_down, path.comes_up):
            for monitor in monitors:
                path.route(change(monitor))
            path.wait(SECOND)
        waiting = [message for _ in range(3) for message in path.alerts.receive(10)]
        assert len(waiting) == 24
        random.Random(13).shuffle(waiting)
        with ThreadPoolExecutor(4) as senders:
            list(senders.map(path.invoke, waiting))
        path.settle(timedelta(minutes=10))
        states = [(alert_type, state) for alert_type, state, _ in path.deliveries()]
    assert [state for alert_type, state in states if alert_type == "recovered"] == ["delivered"] * 12
    assert {state for alert_type, state in states if alert_type == "down"} <= {"delivered", "superseded"}
    told: dict[str, list[str]] = defaultdict(list)
    for received in hook.received:
        content: dict[str, Any] = Webhook(SECRET).verify(received.body, received.headers)
        told[content["data"]["monitor"]["name"]].append(content["type"])
    assert all(types in (["alert.down", "alert.recovered"], ["alert.recovered"]) for types in told.values()), told
    assert len(told) == 12
