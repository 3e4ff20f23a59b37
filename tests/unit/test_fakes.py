"""The stand-ins in memory keep to the rules of what they stand in for."""

import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from lambdas.alert_dispatch.limits import Limit
from lambdas.alert_dispatch.targets import PAUSE, REFUSALS_WITHIN, THRESHOLD, WINDOW, Look
from tests.dispatch_in_memory import MemoryTargets
from tests.fakes import FakeEvents, FakeQueue, FakeSqs

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> FakeQueue:
    return FakeQueue(visibility_s=30, max_receive_count=2, clock=clock)


def bodies(queue: FakeQueue, limit: int = 10) -> list[str]:
    return [message.body for message in queue.receive(limit)]


def test_messages_come_in_order_and_are_hidden_while_in_flight(queue: FakeQueue, clock: Clock) -> None:
    for body in "abc":
        queue.send(body)
    assert bodies(queue, limit=2) == ["a", "b"]
    assert bodies(queue) == ["c"]
    assert bodies(queue) == []
    clock.now = 30
    assert bodies(queue) == ["a", "b", "c"]


def test_only_the_latest_receipt_deletes(queue: FakeQueue, clock: Clock) -> None:
    queue.send("a")
    [first] = [message.receipt for message in queue.receive()]
    clock.now = 30
    [second] = [message.receipt for message in queue.receive()]
    queue.delete([first])
    assert len(queue) == 1
    queue.delete([second])
    assert len(queue) == 0


def test_a_message_comes_back_when_it_is_told_to(queue: FakeQueue, clock: Clock) -> None:
    queue.send("a")
    [message] = queue.receive()
    queue.change_visibility(message.receipt, 5)
    clock.now = 4
    assert bodies(queue) == []
    clock.now = 5
    assert [message.receive_count for message in queue.receive()] == [2]


def test_a_message_received_too_often_is_dead(queue: FakeQueue, clock: Clock) -> None:
    queue.send("a")
    for clock.now in (0, 30):
        assert bodies(queue) == ["a"]
    clock.now = 60
    assert bodies(queue) == []
    assert [message.body for message in queue.dead] == ["a"]
    assert len(queue) == 0


def test_a_receiver_waits_for_the_next_message() -> None:
    queue = FakeQueue()
    sender = threading.Timer(0.05, queue.send, ["a"])
    sender.start()
    assert [message.body for message in queue.receive(wait_s=10)] == ["a"]
    sender.join()


def test_events_reach_the_queue_of_their_type_as_sqs_hands_them_over(queue: FakeQueue) -> None:
    bus, sqs = FakeEvents({"Known": queue}), FakeSqs({"q": queue})
    answer = bus.put_events(
        Entries=[
            {"Source": "s", "DetailType": "Known", "Detail": '{"a": 1}'},
            {"Source": "s", "DetailType": "Unknown", "Detail": "{}"},
            {"Source": "s", "DetailType": "Known", "Detail": "no JSON"},
        ]
    )
    assert [("EventId" in entry, "ErrorCode" in entry) for entry in answer["Entries"]] == [
        (True, False),
        (True, False),
        (False, True),
    ]
    assert answer["FailedEntryCount"] == 1
    [message] = sqs.receive_message(QueueUrl="q", MaxNumberOfMessages=10, WaitTimeSeconds=0)["Messages"]
    assert '"detail-type": "Known"' in message["Body"]
    assert message["Attributes"] == {"ApproximateReceiveCount": "1"}
    sqs.delete_message(QueueUrl="q", ReceiptHandle=message["ReceiptHandle"])
    assert len(queue) == 0


def test_turns_in_memory_are_those_of_the_dispatch_table() -> None:
    targets, channel, limit = MemoryTargets(), uuid4(), Limit(timedelta(seconds=1), 1)
    assert targets.take(channel, 1, limit, NOW) == Look(NOW, None)
    assert targets.take(channel, 1, limit, NOW) == Look(NOW + limit.every, None)
    targets.hold(channel, 1, limit, NOW + 30 * limit.every, NOW)
    assert targets.take(channel, 1, limit, NOW).turn_at == NOW + 30 * limit.every


def test_the_breaker_in_memory_opens_at_the_third_timeout_and_forgets() -> None:
    breaker, channel = MemoryTargets(), uuid4()
    assert breaker.open_for_s(channel, 1, NOW) is None
    for _ in range(THRESHOLD - 1):
        breaker.timed_out(channel, 1, NOW)
    assert breaker.open_for_s(channel, 1, NOW) == 0
    breaker.timed_out(channel, 1, NOW)
    assert breaker.open_for_s(channel, 1, NOW) == PAUSE.total_seconds()
    assert breaker.open_for_s(channel, 2, NOW) is None
    assert breaker.open_for_s(channel, 1, NOW + WINDOW + timedelta(seconds=1)) is None
    breaker.answered(channel, 1, NOW)
    assert breaker.open_for_s(channel, 1, NOW) is None


def test_refusals_in_memory_add_up_until_they_are_long_ago_or_a_message_is_taken() -> None:
    targets, channel, minute = MemoryTargets(), uuid4(), timedelta(minutes=1)
    assert [targets.refused(channel, 1, NOW + n * minute) for n in range(3)] == [n * minute for n in range(3)]
    assert targets.refused(channel, 2, NOW) == timedelta()
    assert targets.open_for_s(channel, 1, NOW) == 0
    targets.answered(channel, 1, NOW)
    assert targets.open_for_s(channel, 1, NOW) is None
    assert targets.refused(channel, 1, NOW + 5 * minute) == timedelta()
    assert targets.refused(channel, 1, NOW + 6 * minute + REFUSALS_WITHIN) == timedelta()
