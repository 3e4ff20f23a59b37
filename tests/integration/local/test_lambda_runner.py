"""The event source mapping of one box, against the AWS stand-in with short timeouts."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from core.contracts.names import Names
from core.local.lambda_context import LambdaContext
from core.local.lambda_runner import LambdaRunner, Slots, Threads, is_done, sqs_event
from core.local.postgres import PostgresServer
from tests.conftest import free_port
from tests.integration.local.stand_ins import REGION, StandIn, fresh_database, stand_in
from tests.processes import module_process, wait_until

MESSAGE = {"MessageId": "m1", "ReceiptHandle": "r1", "Body": "{}", "Attributes": {"ApproximateReceiveCount": "2"}}


@pytest.fixture(scope="module")
def aws(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with stand_in(fresh_database(postgres_server), tmp_path_factory.mktemp("journal")) as running:
        yield running


class AlertsQueue:
    """A queue of the test's own."""

    def __init__(self, aws: StandIn, visibility_s: int) -> None:
        self.name = f"alerts-{uuid4().hex}"
        self.sqs = aws.client("sqs", max_pool_connections=20)
        self.url: str = self.sqs.create_queue(QueueName=self.name, Attributes={"VisibilityTimeout": str(visibility_s)})[
            "QueueUrl"
        ]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def count(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(attributes[name]) for name in names)


@pytest.fixture
def queue(aws: StandIn) -> AlertsQueue:
    """A queue whose messages do not come back within a test."""
    return AlertsQueue(aws, 60)


@pytest.fixture
def impatient_queue(aws: StandIn) -> AlertsQueue:
    """A queue whose messages come back after a second."""
    return AlertsQueue(aws, 1)


@contextmanager
def running(queue: AlertsQueue, handler: Callable[..., Mapping[str, Any]], **options: Any) -> Iterator[None]:
    """Run the mapping in a thread; the queue is deleted at the end, which ends its long poll."""
    stop = threading.Event()
    runner = LambdaRunner(handler, queue.sqs, queue.name, REGION, **options)
    thread = threading.Thread(target=runner.run_until, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        queue.send("the last one: wakes the poll")
        thread.join(15)
        assert not thread.is_alive()
        runner.wait_idle(5)


def test_the_event_has_the_shape_of_lambda() -> None:
    [record] = sqs_event(MESSAGE, "q", REGION)["Records"]
    assert record["messageId"] == "m1"
    assert record["attributes"] == {"ApproximateReceiveCount": "2"}
    assert record["eventSourceARN"] == "arn:aws:sqs:eu-west-1:123456789012:q"
    assert record["eventSource"] == "aws:sqs"


@pytest.mark.parametrize(
    ("result", "done"),
    [
        (None, True),
        ({}, True),
        ({"batchItemFailures": []}, True),
        ({"batchItemFailures": [{"itemIdentifier": "other"}]}, True),
        ({"batchItemFailures": [{"itemIdentifier": "m1"}]}, False),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, False),
        ({"batchItemFailures": [{}]}, False),
    ],
)
def test_batch_item_failures_are_read_as_lambda_reads_them(result: dict[str, Any] | None, done: bool) -> None:
    assert is_done(MESSAGE, result) is done


def test_a_message_is_handed_over_with_its_context_and_deleted(queue: AlertsQueue) -> None:
    seen: list[tuple[str, str, int, str]] = []

    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        [record] = event["Records"]
        count = record["attributes"]["ApproximateReceiveCount"]
        seen.append((record["body"], count, context.get_remaining_time_in_millis(), context.function_name))
        return {"batchItemFailures": []}

    with running(queue, handler):
        queue.send("one")
        wait_until(lambda: bool(seen) and queue.count() == 0, what="message handled and deleted")
    body, count, left_ms, name = seen[0]
    assert (body, count, name) == ("one", "1", "alert_dispatch")
    assert 29_000 < left_ms <= 30_000


def test_a_failed_message_comes_back_with_a_higher_count_until_it_is_done(impatient_queue: AlertsQueue) -> None:
    queue = impatient_queue
    attempts: dict[str, list[str]] = {"fails": [], "raises": [], "fine": []}

    def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
        [record] = event["Records"]
        tries = attempts.setdefault(record["body"], [])
        tries.append(record["attributes"]["ApproximateReceiveCount"])
        if record["body"] == "raises" and len(tries) == 1:
            raise RuntimeError("crashed")
        if record["body"] == "fails" and len(tries) < 3:
            return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
        return {"batchItemFailures": []}

    with running(queue, handler):
        queue.send("fails", "raises", "fine")
        wait_until(lambda: len(attempts["fails"]) == 3 and len(attempts["raises"]) == 2 and queue.count() == 0)
    assert attempts["fails"] == ["1", "2", "3"]
    assert attempts["raises"] == ["1", "2"]
    assert attempts["fine"] == ["1"]


def test_a_receiver_that_hangs_delays_nobody_else(queue: AlertsQueue) -> None:
    release, done = threading.Event(), set[str]()

    def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
        body = event["Records"][0]["body"]
        if body.startswith("slow"):
            release.wait(20)
        done.add(body)
        return {}

    with running(queue, handler, concurrency=4):
        queue.send("slow1", "slow2", "slow3", *[f"n{number}" for number in range(20)])
        wait_until(lambda: {f"n{number}" for number in range(20)} <= done, what="everyone else is served")
        assert not {"slow1", "slow2", "slow3"} & done
        release.set()
        wait_until(lambda: "slow1" in done)


def test_an_invocation_past_its_timeout_gives_its_slot_back(queue: AlertsQueue) -> None:
    release, done = threading.Event(), threading.Event()

    def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
        [record] = event["Records"]
        if record["body"] == "hangs" and record["attributes"]["ApproximateReceiveCount"] == "1":
            release.wait(20)
        elif record["body"] == "next":
            done.set()
        return {}

    with running(queue, handler, concurrency=1, timeout_s=0.5):
        queue.send("hangs")
        wait_until(lambda: queue.count() == 1)
        queue.send("next")
        assert done.wait(10)
        release.set()


def test_threads_run_side_by_side_and_take_the_next_call_when_they_are_done() -> None:
    threads, together, ran = Threads(), threading.Barrier(4), threading.Semaphore(0)
    seen: set[int] = set()

    def call(meet: Callable[[], object]) -> None:
        meet()
        seen.add(threading.get_ident())
        ran.release()

    for _ in range(4):
        threads.run(partial(call, partial(together.wait, 10)))
    for _ in range(4):
        assert ran.acquire(timeout=10), "each call had a thread of its own"
    for _ in range(40):
        wait_until(lambda: threads._idle._value == 4)
        threads.run(partial(call, lambda: None))
        assert ran.acquire(timeout=10)
    assert len(seen) == 4


def test_slots_count_what_runs_past_its_timeout() -> None:
    slots = Slots(1)
    ticket = slots.take(0.0)
    assert slots.wait_free(0.0) == 0
    wait_until(lambda: slots.abandon_overdue() == 1)
    assert slots.wait_free(0.0) == 1
    slots.release(ticket)
    assert slots.abandon_overdue() == 0
    assert slots.wait_free(0.0) == 1


def test_invocations_begin_a_few_at_a_time_until_one_ends() -> None:
    slots, begun = Slots(64, abreast=2, fresh_s=3600), threading.Event()
    first, _ = slots.take(60), slots.take(60)

    def begin() -> None:
        slots.take(60)
        begun.set()

    third = threading.Thread(target=begin)
    third.start()
    assert not begun.wait(0.1)
    slots.release(first)
    assert begun.wait(10)
    third.join()


def test_who_has_begun_long_ago_lets_others_begin_though_it_still_runs() -> None:
    slots = Slots(64, abreast=2, fresh_s=0.01)
    tickets = [slots.take(60) for _ in range(5)]
    assert slots.wait_free(0) == 64 - len(tickets)


def test_the_mapping_survives_a_stand_in_that_is_away(database_url: str, tmp_path: Path) -> None:
    seen: list[str] = []

    def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
        seen.append(event["Records"][0]["body"])
        return {}

    port = free_port()
    sqs = boto3.client("sqs", region_name=REGION, endpoint_url=f"http://127.0.0.1:{port}")
    stop = threading.Event()
    name = Names("standin").alerts_queue
    runner = LambdaRunner(handler, sqs, name, REGION)
    thread = threading.Thread(target=runner.run_until, args=(stop,))
    thread.start()
    try:
        for round_ in ("first", "second"):
            with stand_in(database_url, tmp_path, port) as aws:
                url = aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
                aws.client("sqs").send_message(QueueUrl=url, MessageBody=round_)
                wait_until(lambda wanted=round_: wanted in seen, what=f"the {round_} message")  # type: ignore[misc]  # bound early
    finally:
        stop.set()
        thread.join(15)
    assert seen == ["first", "second"]
    assert not thread.is_alive()


def test_the_process_runs_the_real_handler_and_ends_on_sigterm(aws: StandIn) -> None:
    environ = {
        "UPTIME_ENV": "standin",
        "AWS_ENDPOINT_URL": aws.url,
        "EMAIL_TRANSPORT": "smtp://127.0.0.1:1",
        "EMAIL_FROM": "m@example.com",
    }
    name = Names("standin").alerts_queue
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"detail": "not an alert"}))

    def in_flight() -> bool:
        names = ["ApproximateNumberOfMessagesNotVisible"]
        return bool(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]] == "1")

    with module_process("core.local.lambda_runner", environ=environ) as process:
        wait_until(in_flight, what="the broken message was received and left for its visibility timeout")
        process.terminate()
        assert process.wait(5) == 0
