"""The EventBridge bus."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.adapters.store.outbox import OutboxEvent
from core.contracts.names import EVENT_SOURCE
from core.logs import get_logger

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

log = get_logger(__name__)

MAX_ENTRIES: Final = 10
MAX_BYTES: Final = 256 * 1024
"""Limits of one PutEvents call; an entry counts the bytes of its source, type and detail."""

CLIENT_CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=5,
    parameter_validation=False,
    retries={"mode": "standard", "total_max_attempts": 2},
    user_agent="uptimemonitor-core",
)
"""Calls are half of what the worker does for a message. Without validation and a user agent that is composed for each call they cost a
fifth less."""


class EventBus(Protocol):
    """Where events are published."""

    def publish(self, events: Sequence[OutboxEvent]) -> list[bool]:
        """Publish in order; for each event, whether the bus took it. Never raises for trouble of the bus."""
        ...


class EventBridgeBus:
    """A bus of EventBridge."""

    def __init__(self, bus: str, client: "EventBridgeClient") -> None:
        self._bus = bus
        self._client = client

    def publish(self, events: Sequence[OutboxEvent]) -> list[bool]:
        """See `EventBus`."""
        taken: list[bool] = []
        for batch in batches(events):
            taken += self._put(batch)
        return taken

    def _put(self, batch: Sequence[OutboxEvent]) -> list[bool]:
        """One PutEvents call. Its result is read entry by entry: it is 200 OK even where entries were refused."""
        try:
            answer = self._client.put_events(Entries=[self._entry(event) for event in batch])
        except (BotoCoreError, ClientError) as error:
            log.warning("event_bus.put_failed", bus=self._bus, entries=len(batch), error=str(error))
            return [False] * len(batch)
        for event, result in zip(batch, answer["Entries"], strict=True):
            if "EventId" not in result:
                log.warning("event_bus.entry_refused", detail_type=event.detail_type, error=result.get("ErrorMessage", ""))
        return ["EventId" in result for result in answer["Entries"]]

    def _entry(self, event: OutboxEvent) -> "PutEventsRequestEntryTypeDef":
        return {"Source": EVENT_SOURCE, "DetailType": event.detail_type, "Detail": event.detail, "EventBusName": self._bus}


def connect_bus(bus: str, region: str) -> EventBridgeBus:
    """A bus reached through the environment's AWS credentials and endpoint."""
    return EventBridgeBus(bus, boto3.client("events", region_name=region, config=CLIENT_CONFIG))


def batches(events: Sequence[OutboxEvent]) -> Iterator[list[OutboxEvent]]:
    """Split into what fits into one call, in order. An event too large for any call is a batch of its own, which the bus refuses."""
    batch: list[OutboxEvent] = []
    size = 0
    for event in events:
        weight = len(EVENT_SOURCE) + len(event.detail_type) + len(event.detail.encode())
        if batch and (len(batch) == MAX_ENTRIES or size + weight >= MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += weight
    if batch:
        yield batch
