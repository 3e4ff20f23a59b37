"""One thread that empties one queue: batches, poison set apart, PostgreSQL waited for, and no way to die silently."""

import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import psycopg
from psycopg_pool import PoolTimeout

from core.adapters.queues import Message, QueueUnreachable
from core.logs import get_logger

log = get_logger(__name__)

BATCH: Final = 100
POLL_S: Final = 2
"""How long a poll waits for messages, and so how long a stop may take."""
LINGER_S: Final = 0.2
RECEIPTS_REST_S: Final = 0.2
"""Nobody waits for a receipt."""

OUTAGES: Final = (psycopg.OperationalError, PoolTimeout)
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
TRIES: Final = 8
"""How often a batch is tried while PostgreSQL has trouble; then its messages go back to their queue."""


class Queue(Protocol):
    """What a consumer needs of a queue."""

    name: str

    def receive(self, *, limit: int, wait_s: int, linger_s: float) -> list[Message]:
        """See `core.adapters.queues.SqsQueue`."""
        ...

    def delete(self, messages: Sequence[Message]) -> int:
        """See `core.adapters.queues.SqsQueue`."""
        ...


class Consumer:
    """Receives from `queue` until `stopping`; `handle` stores a batch and may be given the same message again.

    After each batch it rests for `rest_s`: what comes meanwhile is one batch, which costs hardly more than one message.

    `handle` raises an error of `OUTAGES` when PostgreSQL cannot be used, and any other one when a message of the batch cannot be
    handled: then each message is tried alone, and the poison is left to the queue's redrive policy while the others go on.
    """

    def __init__(
        self, queue: Queue, handle: Callable[[Sequence[Message]], None], stopping: threading.Event, *, rest_s: float = 0.0
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._stopping = stopping
        self._rest_s = rest_s

    def run(self) -> None:
        """Consume until told to stop. What was received before is finished."""
        failures = 0
        while not self._stopping.is_set():
            try:
                if self.turn() and self._rest_s:
                    self._stopping.wait(self._rest_s)
                failures = 0
            except QueueUnreachable as error:
                failures += 1
                log.warning("inbox.queue_unreachable", queue=self._queue.name, error=str(error))
                self._pause(failures)
            except Exception:  # the thread must outlive any mistake; what it had received comes back by itself
                failures += 1
                log.exception("inbox.turn_failed", queue=self._queue.name)
                self._pause(failures)

    def turn(self) -> bool:
        """One batch: receive, handle, delete what is done. Whether anything was received.

        Raises:
            QueueUnreachable: nothing was received.
        """
        messages = self._queue.receive(limit=BATCH, wait_s=POLL_S, linger_s=LINGER_S)
        if messages:
            self._queue.delete(self._handled(messages))
        return bool(messages)

    def _handled(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Those of the messages that are done."""
        try:
            return messages if self._through_outages(messages) else []
        except Exception:  # any error here is a message's: find out which, keep the others
            if len(messages) > 1:
                return [message for alone in messages for message in self._handled([alone])]
            log.exception("inbox.poison", queue=self._queue.name, message_id=messages[0].message_id)
            return []

    def _through_outages(self, messages: Sequence[Message]) -> bool:
        """Handle a batch, again and again while PostgreSQL is away; False if it stays away or we stop meanwhile.

        Nothing new is received meanwhile: receiving without handling would carry messages to the dead letters.
        """
        for failures in range(1, TRIES + 1):
            try:
                self._handle(messages)
                return True
            except OUTAGES as error:
                log.warning("inbox.database_away", queue=self._queue.name, messages=len(messages), error=str(error))
            self._pause(failures)
            if self._stopping.is_set():
                return False
        return False

    def _pause(self, failures: int) -> None:
        self._stopping.wait(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failures))
