"""In-memory stand-ins for adapters. Each keeps to the contract of the real one and refuses what the real one would refuse."""

import heapq
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.store.outbox import OutboxEvent
from core.contracts import events
from core.domain.heartbeat_watch import EdgeState

SQS_LIMIT: Final = 10


@dataclass
class FakeBus:
    """A bus in memory. Every event is decoded, so nothing malformed passes; `refuse` names what it does not take."""

    refuse: set[str] = field(default_factory=set)
    published: list[OutboxEvent] = field(default_factory=list)

    def publish(self, batch: Sequence[OutboxEvent]) -> list[bool]:
        """See `core.adapters.event_bus.EventBus`."""
        taken = []
        for event in batch:
            events.decode(events.EVENT_TYPES[event.detail_type], event.detail)
            taken.append(event.detail_type not in self.refuse)
        self.published += [event for event, done in zip(batch, taken, strict=True) if done]
        return taken

    def requests(self) -> list[events.AlertRequested]:
        """The published requests."""
        return [
            events.decode(events.AlertRequested, event.detail).data
            for event in self.published
            if event.detail_type == "AlertRequested"
        ]


class FakeKicks:
    """The broker, as far as alerts are kicked."""

    def __init__(self) -> None:
        self.alerts: list[UUID] = []

    def kick_alerts(self, alert_ids: Sequence[UUID]) -> None:
        """Remember them."""
        self.alerts += alert_ids


@dataclass
class FakeMessage:
    """A message of a FakeQueue."""

    id: str
    body: str
    receive_count: int = 0
    visible_at: float = 0.0
    receipt: str = ""


class FakeQueue:
    """A queue in memory with visibility timeouts and dead letters, first in, first out. Safe to share between threads."""

    def __init__(
        self, visibility_s: float = 30.0, max_receive_count: int = 60, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.dead: list[FakeMessage] = []
        self._visibility_s = visibility_s
        self._max_receive_count = max_receive_count
        self._clock = clock
        self._messages: dict[str, FakeMessage] = {}
        self._by_time: list[tuple[float, int, str]] = []
        """When which message becomes visible; an entry whose message has another time by now is void."""
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()

    def send(self, body: str) -> str:
        """Add a message; its id."""
        with self._changed:
            message = FakeMessage(f"m{next(self._numbers)}", body)
            self._messages[message.id] = message
            self._show_at(message, self._clock())
            return message.id

    def receive(self, limit: int = 10, wait_s: float = 0.0) -> list[FakeMessage]:
        """Take visible messages, which hides them; waits up to `wait_s` for the first. One received too often becomes a dead letter."""
        give_up = self._clock() + wait_s
        with self._changed:
            while not (taken := self._take(limit)):
                left = min([give_up, *(at for at, _, _ in self._by_time[:1])]) - self._clock()
                if self._clock() >= give_up:
                    break
                self._changed.wait(max(left, 0.0))
            return taken

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete received messages; an old receipt deletes nothing."""
        with self._changed:
            for message in self._held(receipts):
                del self._messages[message.id]

    def change_visibility(self, receipt: str, seconds: float) -> None:
        """Let a received message come back after `seconds`."""
        with self._changed:
            for message in self._held([receipt]):
                self._show_at(message, self._clock() + seconds)

    def next_at(self) -> float | None:
        """When the next message is visible, by the queue's clock; None: there is none."""
        with self._changed:
            return min((message.visible_at for message in self._messages.values()), default=None)

    def purge(self) -> None:
        """Delete everything."""
        with self._changed:
            self._messages.clear()

    def __len__(self) -> int:
        return len(self._messages)

    def _held(self, receipts: Sequence[str]) -> list[FakeMessage]:
        found = ((receipt, self._messages.get(receipt.partition("#")[0])) for receipt in receipts)
        return [message for receipt, message in found if message and message.receipt == receipt]

    def _show_at(self, message: FakeMessage, at: float) -> None:
        message.visible_at = at
        heapq.heappush(self._by_time, (at, next(self._numbers), message.id))
        self._changed.notify()

    def _take(self, limit: int) -> list[FakeMessage]:
        taken: list[FakeMessage] = []
        now = self._clock()
        while len(taken) < limit and self._by_time and self._by_time[0][0] <= now:
            at, _, message_id = heapq.heappop(self._by_time)
            message = self._messages.get(message_id)
            if message is None or message.visible_at != at:
                continue
            if message.receive_count >= self._max_receive_count:
                self.dead.append(self._messages.pop(message_id))
                continue
            message.receive_count += 1
            message.receipt = f"{message.id}#{message.receive_count}"
            self._show_at(message, now + self._visibility_s)
            taken.append(message)
        return taken


class FakeSqs:
    """FakeQueues behind the calls of an SQS client that this system makes, with the arguments and answers of boto3."""

    def __init__(self, queues: Mapping[str, FakeQueue]) -> None:
        self.queues = dict(queues)

    def get_queue_url(self, **asked: Any) -> dict[str, Any]:
        """A queue's name is its address."""
        if asked["QueueName"] not in self.queues:
            raise KeyError(asked["QueueName"])
        return {"QueueUrl": asked["QueueName"]}

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        """At most ten, as SQS."""
        assert asked["MaxNumberOfMessages"] <= SQS_LIMIT
        messages = self.queues[asked["QueueUrl"]].receive(asked["MaxNumberOfMessages"], asked["WaitTimeSeconds"])
        return {"Messages": [_as_boto3(message) for message in messages]} if messages else {}

    def delete_message(self, **asked: Any) -> dict[str, Any]:
        """One message."""
        self.queues[asked["QueueUrl"]].delete([asked["ReceiptHandle"]])
        return {}

    def delete_message_batch(self, **asked: Any) -> dict[str, Any]:
        """At most ten."""
        assert len(asked["Entries"]) <= SQS_LIMIT
        self.queues[asked["QueueUrl"]].delete([entry["ReceiptHandle"] for entry in asked["Entries"]])
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]]}

    def change_message_visibility(self, **asked: Any) -> dict[str, Any]:
        """One message."""
        self.queues[asked["QueueUrl"]].change_visibility(asked["ReceiptHandle"], asked["VisibilityTimeout"])
        return {}


class FakeEvents:
    """A bus in memory behind `put_events`: every event becomes a message of the queue of its type, if it has one."""

    def __init__(self, routes: Mapping[str, FakeQueue]) -> None:
        self._routes = dict(routes)

    def put_events(self, **asked: Any) -> dict[str, Any]:
        """Deliver; a detail that is no JSON is refused, as by EventBridge."""
        results = [self._put(entry) for entry in asked["Entries"]]
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}

    def _put(self, entry: Mapping[str, str]) -> dict[str, str]:
        try:
            detail = json.loads(entry["Detail"])
        except json.JSONDecodeError:
            return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
        event_id = str(uuid4())
        if (queue := self._routes.get(entry["DetailType"])) is not None:
            event = {
                "version": "0",
                "id": event_id,
                "source": entry["Source"],
                "detail-type": entry["DetailType"],
                "detail": detail,
            }
            queue.send(json.dumps(event))
        return {"EventId": event_id}


class FakeHeartbeatTable(HeartbeatTable):
    """What the edge knows of heartbeats in memory: `states`, and the ids of pings that are not settled. No other call works."""

    def __init__(self) -> None:  # no client: nothing of the real one is made
        self.states: dict[UUID, EdgeState] = {}
        self.unsettled: set[UUID] = set()

    def latest(self, uids: Iterable[UUID]) -> dict[UUID, EdgeState]:
        """See `HeartbeatTable`."""
        return {uid: self.states[uid] for uid in uids if uid in self.states}

    def confirm(self, uids: Iterable[UUID]) -> None:
        """See `HeartbeatTable`."""
        assert not list(uids), "no ping here creates its heartbeat"

    def settle(self, ping_ids: Iterable[UUID]) -> None:
        """See `HeartbeatTable`."""
        self.unsettled.difference_update(ping_ids)


def _as_boto3(message: FakeMessage) -> dict[str, Any]:
    return {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "Attributes": {"ApproximateReceiveCount": str(message.receive_count)},
    }
