"""In-memory stand-ins for adapters. Each keeps to the contract of the real one and refuses what the real one would refuse."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.adapters.store.outbox import OutboxEvent
from core.contracts import events


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


@dataclass
class FakeMessage:
    """A message of a FakeQueue."""

    id: str
    body: str
    receive_count: int = 0
    visible_at: float = 0.0
    receipt: str = ""


@dataclass
class FakeQueue:
    """A queue in memory with visibility timeouts and dead letters. Times are seconds of any clock, passed in."""

    visibility_s: float = 30.0
    max_receive_count: int = 60
    dead: list[FakeMessage] = field(default_factory=list)
    _waiting: dict[str, FakeMessage] = field(default_factory=dict)
    _counter: int = 0

    def send(self, body: str, now: float = 0.0) -> str:
        """Add a message; its id."""
        self._counter += 1
        message = FakeMessage(f"m{self._counter}", body, visible_at=now)
        self._waiting[message.id] = message
        return message.id

    def receive(self, now: float, limit: int = 10) -> list[FakeMessage]:
        """Take visible messages, which hides them; one received too often becomes a dead letter."""
        taken: list[FakeMessage] = []
        for message in [m for m in self._waiting.values() if m.visible_at <= now]:
            if len(taken) == limit:
                break
            if message.receive_count >= self.max_receive_count:
                self.dead.append(self._waiting.pop(message.id))
                continue
            message.receive_count += 1
            message.visible_at = now + self.visibility_s
            message.receipt = f"{message.id}#{message.receive_count}"
            taken.append(message)
        return taken

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete received messages; an old receipt deletes nothing."""
        for message in [m for m in self._waiting.values() if m.receipt in receipts]:
            del self._waiting[message.id]

    def change_visibility(self, receipt: str, seconds: float, now: float) -> None:
        """Let a received message come back after `seconds`."""
        for message in self._waiting.values():
            if message.receipt == receipt:
                message.visible_at = now + seconds

    def __len__(self) -> int:
        return len(self._waiting)
