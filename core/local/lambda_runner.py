"""The event source mapping between the alerts queue and the Lambda alert_dispatch.

One loop polls (an idle box must not spin); each message gets a thread and an invocation of its own, as with batch size 1, so a
receiver that hangs delays nobody else. Messages that the handler did not name in `batchItemFailures` are deleted, the others stay
for their visibility timeout; so does the message of an invocation that failed or outlived its timeout.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.contracts.names import Names
from core.contracts.queues import DISPATCH_TIMEOUT_S
from core.env import Env
from core.local import slim_botocore
from core.local.lambda_context import ACCOUNT, LambdaContext
from core.logs import configure, get_logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

FUNCTION: Final = "alert_dispatch"
CONCURRENCY: Final = 64
"""Messages to a receiver that hangs hold a slot for 5 s each until its breaker opens; there must be slots left for the others meanwhile."""

ABREAST: Final = 8
FRESH_S: Final = 0.02
"""So many invocations may have begun within so many seconds (ADR 169). All of them want the interpreter, and each call that waits hands it
to another one, on the other processor: dozens take half as much CPU again as a few. What is older than that waits for somebody and holds
nobody up; 400 a second may begin, which is more than there is CPU for."""

RECEIVE_LIMIT: Final = 10
LONG_POLL_S: Final = 10
AWAY_PAUSE_S: Final = 0.5
ABANDONED_LIMIT: Final = 8
"""Invocations past their timeout that still run. Lambda would have killed them; at this many the process ends and is started again."""

DRAIN_S: Final = 3.0

type Message = Mapping[str, Any]
type Handler = Callable[[dict[str, Any], Any], Mapping[str, Any]]
"""Gets the event and a `LambdaContext` (its own name for that type is Powertools')."""

_log = get_logger(__name__)


class TooManyAbandoned(Exception):
    """Handlers hang for good."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """Settings of the Lambda runner."""

    queue: str
    region: str

    @classmethod
    def from_env(cls, env: Env) -> "RunnerSettings":
        """Read the settings.

        Raises:
            SettingError: one is missing or malformed.
        """
        return cls(Names(env.text("UPTIME_ENV")).alerts_queue, env.text("AWS_REGION"))


def sqs_event(message: Message, queue: str, region: str) -> dict[str, Any]:
    """The event of an invocation with one message, as Lambda shapes it."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": dict(message.get("Attributes") or {}),
                "messageAttributes": {},
                "md5OfBody": message.get("MD5OfBody", ""),
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{region}:{ACCOUNT}:{queue}",
                "awsRegion": region,
            }
        ]
    }


def is_done(message: Message, result: Mapping[str, Any] | None) -> bool:
    """Whether the handler is done with the message. An entry without an id means that all failed, as in Lambda."""
    failures: Sequence[Mapping[str, str]] = (result or {}).get("batchItemFailures") or []
    return not any(failure.get("itemIdentifier") in {message["MessageId"], "", None} for failure in failures)


class Slots:
    """How many invocations may run, and begin at once. One that outlives its timeout gives its slot back, and is counted as abandoned."""

    def __init__(self, concurrency: int, abreast: int = ABREAST, fresh_s: float = FRESH_S) -> None:
        self._turn = threading.Condition()
        self._free = concurrency
        self._fresh_s = fresh_s
        self._fresh: dict[object, float] = {}
        """What has begun of late, and until when that is late; the oldest first."""
        self._abreast = abreast
        self._running: dict[object, float] = {}
        self._abandoned: set[object] = set()

    def wait_free(self, timeout_s: float) -> int:
        """Free slots; waits for one up to `timeout_s`."""
        with self._turn:
            self._turn.wait_for(lambda: self._free > 0, timeout_s)
            return self._free

    def take(self, timeout_s: float) -> object:
        """Take a slot for `timeout_s`, once few enough have begun of late; the ticket is given back with `release`."""
        ticket = object()
        with self._turn:
            while len(self._fresh) >= self._abreast:
                oldest, until = next(iter(self._fresh.items()))
                left = until - time.monotonic()
                if left <= 0:
                    del self._fresh[oldest]
                else:
                    self._turn.wait(left)
            now = time.monotonic()
            self._fresh[ticket] = now + self._fresh_s
            self._free -= 1
            self._running[ticket] = now + timeout_s
        return ticket

    def release(self, ticket: object) -> None:
        """The invocation has ended."""
        with self._turn:
            self._fresh.pop(ticket, None)
            self._abandoned.discard(ticket)
            if self._running.pop(ticket, None) is not None:
                self._free += 1
            self._turn.notify_all()

    def abandon_overdue(self) -> int:
        """Free the slots of invocations past their timeout; returns how many of those still run."""
        with self._turn:
            overdue = [ticket for ticket, until in self._running.items() if time.monotonic() > until]
            for ticket in overdue:
                del self._running[ticket]
                self._abandoned.add(ticket)
                self._free += 1
            self._turn.notify_all()
            return len(self._abandoned)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing runs; False if something still does."""
        with self._turn:
            return self._turn.wait_for(lambda: not self._running, timeout_s)


class Threads:
    """Runs calls side by side, as many as there are.

    A thread that has finished one waits for the next: starting one takes the poller long while others keep the interpreter busy. They are
    daemons: a call that hangs for good holds nobody's exit.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def run(self, call: Callable[[], object]) -> None:
        """Run `call`, which raises nothing, soon."""
        self._calls.put(call)
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._take_calls, name="invocation", daemon=True).start()

    def _take_calls(self) -> None:
        while True:
            self._calls.get()()
            self._idle.release()


class LambdaRunner:
    """Feeds one queue to one handler."""

    def __init__(
        self,
        handler: Handler,
        sqs: "SQSClient",
        queue: str,
        region: str,
        *,
        concurrency: int = CONCURRENCY,
        timeout_s: float = DISPATCH_TIMEOUT_S,
    ) -> None:
        self._handler = handler
        self._sqs = sqs
        self._queue = queue
        self._region = region
        self._timeout_s = timeout_s
        self._slots = Slots(concurrency)
        self._threads = Threads()
        self._url: str | None = None

    def run_until(self, stop: threading.Event) -> None:
        """Poll until `stop` is set.

        Raises:
            TooManyAbandoned: handlers hang for good; the process should be started again.
        """
        while not stop.is_set():
            if self._slots.abandon_overdue() >= ABANDONED_LIMIT:
                raise TooManyAbandoned(f"{ABANDONED_LIMIT} invocations run past their timeout")
            free = self._slots.wait_free(1.0)
            if free:
                self._poll(min(free, RECEIVE_LIMIT), stop)

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no invocation runs; False if one still does."""
        return self._slots.wait_idle(timeout_s)

    def _poll(self, limit: int, stop: threading.Event) -> None:
        try:
            messages = self._receive(limit)
        except (BotoCoreError, ClientError) as error:
            _log.warning("queue.unreachable", queue=self._queue, error=str(error))
            self._url = None
            stop.wait(AWAY_PAUSE_S)
            return
        for message in messages:
            ticket = self._slots.take(self._timeout_s)
            self._threads.run(partial(self._run, message, ticket))

    def _receive(self, limit: int) -> Sequence[Message]:
        if self._url is None:
            self._url = self._sqs.get_queue_url(QueueName=self._queue)["QueueUrl"]
        answer = self._sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=limit, WaitTimeSeconds=LONG_POLL_S, MessageSystemAttributeNames=["All"]
        )
        messages: Sequence[Message] = answer.get("Messages", [])
        return messages

    def _run(self, message: Message, ticket: object) -> None:
        try:
            self._invoke(message)
        finally:
            self._slots.release(ticket)

    def _invoke(self, message: Message) -> None:
        context = LambdaContext(FUNCTION, str(uuid4()), self._region, self._timeout_s)
        try:
            result = self._handler(sqs_event(message, self._queue, self._region), context)
        except Exception:  # noqa: BLE001  (a failed invocation leaves its message on the queue, whatever it failed of)
            _log.exception("invocation.failed", request_id=context.aws_request_id, message_id=message["MessageId"])
            return
        if is_done(message, result):
            self._delete(message)

    def _delete(self, message: Message) -> None:
        try:
            self._sqs.delete_message(QueueUrl=self._url or "", ReceiptHandle=message["ReceiptHandle"])
        except (BotoCoreError, ClientError) as error:
            _log.warning("message.not_deleted", message_id=message["MessageId"], error=str(error))


def main() -> None:
    """Run until SIGTERM."""
    configure("lambda-runner")
    settings = RunnerSettings.from_env(Env(os.environ))
    slim_botocore.install()
    os.environ.setdefault("AWS_LAMBDA_FUNCTION_NAME", FUNCTION)
    from lambdas.alert_dispatch.handler import handler  # noqa: PLC0415  (it reads the function's name when it is imported)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    config = Config(connect_timeout=2, read_timeout=LONG_POLL_S + 10, max_pool_connections=CONCURRENCY + 1)
    sqs = boto3.client("sqs", region_name=settings.region, config=config)
    runner = LambdaRunner(handler, sqs, settings.queue, settings.region)
    poller = threading.Thread(target=runner.run_until, args=(stop,), name="poller", daemon=True)
    poller.start()
    _log.info("runner.ready", queue=settings.queue, concurrency=CONCURRENCY)
    while poller.is_alive() and not stop.wait(1.0):
        pass
    clean = stop.is_set()
    runner.wait_idle(DRAIN_S)
    os._exit(0 if clean else 1)  # a handler that hangs, or a long poll, must not hold the exit


if __name__ == "__main__":
    main()
