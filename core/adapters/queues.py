"""SQS queues, for their consumers: long polls, deletes and redrives entry by entry."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.logs import get_logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = get_logger(__name__)

RECEIVE_LIMIT: Final = 10
"""Messages in one call, by SQS's own limit."""

LONG_POLL_S: Final = 20


class QueueUnreachable(Exception):
    """SQS did not answer, or has no such queue (yet)."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in flight; it comes back when its visibility timeout ends, unless it is deleted."""

    body: str
    receipt: str
    message_id: str


def sqs_client(region: str) -> "SQSClient":
    """A client whose read timeout leaves room for the longest poll."""
    config = Config(connect_timeout=2, read_timeout=LONG_POLL_S + 10, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.client("sqs", region_name=region, config=config)


class SqsQueue:
    """One queue. Its address is looked up at first use and again after trouble: a stand-in may have come back with another one."""

    def __init__(self, client: "SQSClient", name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._client = client
        self._clock = clock
        self._url: str | None = None

    def receive(self, *, limit: int, wait_s: int, linger_s: float) -> list[Message]:
        """Wait up to `wait_s` for messages; while the queue is busy, collect up to `limit` of them for `linger_s` more.

        Raises:
            QueueUnreachable: nothing was received.
        """
        messages = self._receive(min(limit, RECEIVE_LIMIT), wait_s)
        give_up = self._clock() + linger_s
        full = len(messages) == RECEIVE_LIMIT
        while full and len(messages) < limit and self._clock() < give_up:
            try:
                more = self._receive(min(limit - len(messages), RECEIVE_LIMIT), 0)
            except QueueUnreachable as error:
                log.warning("queue.receive_cut_short", queue=self.name, error=str(error))
                break
            messages += more
            full = len(more) == RECEIVE_LIMIT
        return messages

    def delete(self, messages: Sequence[Message]) -> int:
        """Delete messages that are done; returns how many were. One that stays comes again, which every consumer must bear."""
        deleted = 0
        for chunk in batched(messages, RECEIVE_LIMIT, strict=False):
            try:
                answer = self._client.delete_message_batch(
                    QueueUrl=self._address(),
                    Entries=[{"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(chunk)],
                )
            except (QueueUnreachable, BotoCoreError, ClientError) as error:
                log.warning("queue.delete_failed", queue=self.name, messages=len(chunk), error=str(error))
                continue
            deleted += len(answer.get("Successful", []))
            for failure in answer.get("Failed", []):
                log.warning("queue.delete_refused", queue=self.name, code=failure.get("Code"))
        return deleted

    def _receive(self, limit: int, wait_s: int) -> list[Message]:
        try:
            answer = self._client.receive_message(QueueUrl=self._address(), MaxNumberOfMessages=limit, WaitTimeSeconds=wait_s)
        except (BotoCoreError, ClientError) as error:
            self._url = None
            raise QueueUnreachable(f"{self.name}: {error}") from error
        return [Message(m["Body"], m["ReceiptHandle"], m["MessageId"]) for m in answer.get("Messages", [])]

    def _address(self) -> str:
        if self._url is None:
            try:
                self._url = self._client.get_queue_url(QueueName=self.name)["QueueUrl"]
            except (BotoCoreError, ClientError) as error:
                raise QueueUnreachable(f"{self.name}: {error}") from error
        return self._url
