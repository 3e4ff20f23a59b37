"""Dead letters of a queue: messages that nobody could handle, to be looked at and to be moved back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from core.adapters.queues import RECEIVE_LIMIT, QueueUnreachable
from core.contracts.names import Names

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

HELD_S: Final = 60
"""How long a letter that is looked at, or being moved, is hidden from others who do the same."""


class NoSuchQueue(QueueUnreachable):
    """SQS answers, and has no such queue."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message. `received` counts how often it was taken from its queue and from here."""

    message_id: str
    body: str
    sent_at: datetime
    received: int


class DeadLetters:
    """The dead letters of one queue. Whoever dies in between leaves a letter in both queues at worst, which every consumer must bear."""

    def __init__(self, client: "SQSClient", queue: str) -> None:
        self.queue = queue
        self._client = client

    def count(self) -> int:
        """About how many there are.

        Raises:
            NoSuchQueue: there is none.
            QueueUnreachable: SQS does not answer.
        """
        try:
            url = self._url(Names.dead_letters(self.queue))
            attributes = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        except self._client.exceptions.QueueDoesNotExist as error:
            raise NoSuchQueue(f"{self.queue}: {error}") from error
        except (BotoCoreError, ClientError) as error:
            raise QueueUnreachable(f"{self.queue}: {error}") from error
        return int(attributes["Attributes"]["ApproximateNumberOfMessages"])

    def look(self, limit: int) -> list[DeadLetter]:
        """Up to `limit` of them, which stay where they are.

        Raises:
            QueueUnreachable: SQS does not answer, or has no such queue.
        """
        try:
            url = self._url(Names.dead_letters(self.queue))
            batches = list(self._taken(url, limit))
            for batch in batches:
                entries = [
                    {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 0} for n, m in enumerate(batch)
                ]
                self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)  # type: ignore[arg-type]  # a list of its entries
        except (BotoCoreError, ClientError) as error:
            raise QueueUnreachable(f"{self.queue}: {error}") from error
        return [_letter(message) for batch in batches for message in batch]

    def move_back(self, limit: int) -> int:
        """Move up to `limit` back to their queue; returns how many.

        Raises:
            QueueUnreachable: as `look`; some may have been moved.
        """
        moved = 0
        try:
            dead, alive = self._url(Names.dead_letters(self.queue)), self._url(self.queue)
            for batch in self._taken(dead, limit):
                sent = self._client.send_message_batch(
                    QueueUrl=alive, Entries=[{"Id": str(n), "MessageBody": message["Body"]} for n, message in enumerate(batch)]
                )
                done = [int(entry["Id"]) for entry in sent.get("Successful", [])]
                if done:
                    entries = [{"Id": str(n), "ReceiptHandle": batch[n]["ReceiptHandle"]} for n in done]
                    self._client.delete_message_batch(QueueUrl=dead, Entries=entries)  # type: ignore[arg-type]  # a list of its entries
                moved += len(done)
        except (BotoCoreError, ClientError) as error:
            raise QueueUnreachable(f"{self.queue}: {error}") from error
        return moved

    def _taken(self, url: str, limit: int) -> Iterator[list["MessageTypeDef"]]:
        """Batches of letters, hidden for a while; ends when there are none left, or after `limit`."""
        left = limit
        while left > 0:
            answer = self._client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(left, RECEIVE_LIMIT),
                VisibilityTimeout=HELD_S,
                WaitTimeSeconds=1,
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
            batch = answer.get("Messages", [])
            if not batch:
                return
            left -= len(batch)
            yield batch

    def _url(self, queue: str) -> str:
        return self._client.get_queue_url(QueueName=queue)["QueueUrl"]


def _letter(message: "MessageTypeDef") -> DeadLetter:
    attributes = message.get("Attributes", {})
    sent_at = datetime.fromtimestamp(int(attributes.get("SentTimestamp", "0")) / 1000, UTC)
    return DeadLetter(message["MessageId"], message["Body"], sent_at, int(attributes.get("ApproximateReceiveCount", "0")))
