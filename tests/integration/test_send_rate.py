"""The send-rate limit of a target, in the dispatch table: who finds no token waits for one, and nothing else comes of it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from core.contracts import events
from lambdas.alert_dispatch import handler as dispatch_handler
from lambdas.alert_dispatch.dispatch import LONGEST_WAIT_S, NotYet
from lambdas.alert_dispatch.errors import Later
from lambdas.alert_dispatch.limits import Limit
from lambdas.alert_dispatch.targets import Look, Targets
from tests.aws_stand_in import AwsStandIn
from tests.chat_services import ChatService, Reply, chat_service
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.integration.test_chat_senders import KINDS
from tests.integration.test_dispatch import queued

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


@pytest.fixture
def targets(dispatch: Dispatch) -> Targets:
    return Targets(dispatch.aws.client("dynamodb"), dispatch.aws.names.dispatch_table)


@pytest.fixture
def slack() -> Iterator[ChatService]:
    with chat_service(KINDS["slack webhook"].judge) as service:
        yield service


@pytest.fixture
def moments(dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The last of them is the time for the dispatcher."""
    moments = [datetime.now(UTC)]
    wiring = dispatch_handler.wiring()
    monkeypatch.setattr(wiring, "dispatcher", replace(wiring.dispatcher, clock=lambda: moments[-1]))
    return moments


def slack_channel(dispatch: Dispatch, service: ChatService) -> UUID:
    return dispatch.channel("slack", msgspec.to_builtins(KINDS["slack webhook"].config(service)))


def received_again(record: dict[str, Any], times: int) -> dict[str, Any]:
    return {**record, "attributes": {**record["attributes"], "ApproximateReceiveCount": str(times)}}


def test_what_finds_no_token_waits_and_is_neither_a_failure_nor_an_attempt(
    dispatch: Dispatch, slack: ChatService, moments: list[datetime]
) -> None:
    channel = slack_channel(dispatch, slack)
    first, second, third = (queued(dispatch, alert_request(channel, channel_kind="slack")) for _ in range(3))
    assert dispatch.invoke(first) == []
    assert dispatch.invoke(second) == [second["messageId"]]
    assert dispatch.invoke(third) == [third["messageId"]]
    assert len(slack.received) == 1
    assert [receipt.delivery_id for receipt in dispatch.new_receipts()] == [delivery_of(first)]
    moments.append(moments[0] + SECOND)
    assert dispatch.invoke(received_again(third, 2)) == [third["messageId"]], "its turn is not the other one's"
    assert dispatch.invoke(received_again(second, 7)) == []
    moments.append(moments[0] + 2 * SECOND)
    assert dispatch.invoke(received_again(third, 3)) == []
    assert len(slack.received) == 3
    receipts = dispatch.new_receipts()
    assert [(type(receipt), receipt.delivery_id, receipt.attempt) for receipt in receipts] == [
        (events.AlertDelivered, delivery_of(second), 1),
        (events.AlertDelivered, delivery_of(third), 1),
    ]


def test_a_failure_after_waiting_is_the_first_and_the_next_attempt_takes_another_turn(
    dispatch: Dispatch, slack: ChatService, moments: list[datetime]
) -> None:
    channel = slack_channel(dispatch, slack)
    assert dispatch.invoke(queued(dispatch, alert_request(channel, channel_kind="slack"))) == []
    dispatch.new_receipts()
    record = queued(dispatch, alert_request(channel, channel_kind="slack"))
    assert dispatch.invoke(record)
    moments.append(moments[0] + SECOND)
    slack.replies = [Reply(500)]
    assert dispatch.invoke(received_again(record, 7))
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert receipt.retry_at
    assert (receipt.attempt, receipt.retry_at - receipt.failed_at) == (1, timedelta(seconds=10))
    moments.append(moments[0] + 1.5 * SECOND)
    assert dispatch.invoke(received_again(record, 3)), "the turn was used by the attempt that failed"
    assert len(slack.received) == 2


def test_what_a_target_asks_of_one_message_the_others_do_as_well(
    dispatch: Dispatch, slack: ChatService, moments: list[datetime]
) -> None:
    channel = slack_channel(dispatch, slack)
    slack.replies = [Reply(429, b"rate_limited", {"Retry-After": "30"})]
    assert dispatch.invoke(queued(dispatch, alert_request(channel, channel_kind="slack")))
    [refused] = dispatch.new_receipts()
    assert isinstance(refused, events.AlertFailed)
    moments.append(moments[0] + 29 * SECOND)
    other = queued(dispatch, alert_request(channel, channel_kind="slack"))
    assert dispatch.invoke(other)
    assert (len(slack.received), dispatch.new_receipts()) == (1, [])
    moments.append(moments[0] + 30 * SECOND)
    assert dispatch.invoke(received_again(other, 2)) == []


def test_channels_do_not_wait_for_each_other(dispatch: Dispatch, slack: ChatService) -> None:
    for _ in range(3):
        assert dispatch.invoke(sqs_record(alert_request(slack_channel(dispatch, slack), channel_kind="slack"))) == []
    assert len(slack.received) == 3


def test_tokens_are_taken_one_by_one_whoever_comes_at_once(targets: Targets) -> None:
    channel, limit = uuid4(), Limit(2 * SECOND, 3)

    def patiently(_: int) -> Look:
        while True:
            try:
                return targets.take(channel, 1, limit, NOW)
            except Later:
                continue

    with ThreadPoolExecutor(8) as threads:
        looks = list(threads.map(patiently, range(24)))
    assert sorted(look.turn_at for look in looks) == [NOW + max(number - 2, 0) * limit.every for number in range(24)]


def test_a_bucket_fills_again_and_knows_its_breaker(targets: Targets) -> None:
    channel, limit = uuid4(), Limit(SECOND, 1)
    assert targets.take(channel, 1, limit, NOW) == Look(NOW, None)
    assert targets.take(channel, 1, limit, NOW) == Look(NOW + SECOND, None)
    assert targets.take(channel, 2, limit, NOW) == Look(NOW, None)
    for _ in range(3):
        targets.timed_out(channel, 1, NOW)
    assert targets.take(channel, 1, limit, NOW + 2 * SECOND) == Look(NOW + 2 * SECOND, 58)
    targets.answered(channel, 1, NOW)
    assert targets.take(channel, 1, limit, NOW + 9 * SECOND) == Look(NOW + 9 * SECOND, None)


def test_a_target_that_asks_for_time_gets_it_once(targets: Targets) -> None:
    channel, limit = uuid4(), Limit(SECOND, 3)
    targets.hold(channel, 1, limit, NOW + 30 * SECOND, NOW)
    targets.hold(channel, 1, limit, NOW + 20 * SECOND, NOW)
    assert targets.take(channel, 1, limit, NOW).turn_at == NOW + 30 * SECOND
    assert targets.take(channel, 1, limit, NOW + 31 * SECOND).turn_at == NOW + 31 * SECOND


def test_what_channels_share_they_share(targets: Targets) -> None:
    mail, breaking = Limit(SECOND, 1, shared="mail"), uuid4()
    targets.timed_out(breaking, 1, NOW)
    assert targets.take(uuid4(), 1, mail, NOW) == Look(NOW, None)
    assert targets.take(breaking, 1, mail, NOW) == Look(NOW + SECOND, 0)


def test_a_wait_is_no_longer_than_a_queue_can_hide_a_message() -> None:
    assert NotYet(NOW + 0.2 * SECOND, NOW).delay_s == 1
    assert NotYet(NOW + 2.5 * SECOND, NOW).delay_s == 3
    assert NotYet(NOW + timedelta(days=3), NOW).delay_s == LONGEST_WAIT_S
    assert [NotYet(NOW + 2.5 * SECOND, NOW).comes_again_in(receives) for receives in (1, 59)] == [3, 3]
    assert [Later("", 5).comes_again_in(receives) for receives in (1, 12, 13, 14, 15, 30, 59)] == [5, 5, 10, 20, 40, 900, 900]
    assert Later("", 30).comes_again_in(13) == 30


def delivery_of(record: dict[str, Any]) -> UUID:
    return UUID(msgspec.json.decode(record["body"])["detail"]["data"]["delivery_id"])
