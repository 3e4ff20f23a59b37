"""Requests to send messages: deliveries and their events in the outbox, inside the transaction of whoever asks.

Invariant: a delivery exists if and only if its request was written to the outbox.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import psycopg
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import deliveries as delivery_store
from core.adapters.store import outbox
from core.adapters.store.alerts import ChannelRef, StoredAlert
from core.adapters.store.deliveries import NewDelivery
from core.adapters.store.outbox import OutboxEvent
from core.contracts import events
from core.domain import delivery as rules

RECEIPT_TIMEOUT: Final = timedelta(minutes=5)

UNTELLABLE: Final = (msgspec.MsgspecError, psycopg.DataError, psycopg.IntegrityError)
"""What is wrong with an alert itself: the others go on."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """An alert, and the channels that it goes to."""

    alert: StoredAlert
    channels: Sequence[ChannelRef]


def request_messages(
    connection: Connection, addressed: Sequence[Addressed], now: datetime, receipt_timeout: timedelta
) -> list[UUID]:
    """One delivery and one request for each alert and channel, of any workspaces; the deliveries.

    The caller has locked the channels, and commits.
    """
    due = rules.receipt_due(now, 1, receipt_timeout)
    new: list[NewDelivery] = []
    requests: list[OutboxEvent] = []
    for alert, channel in ((one.alert, channel) for one in addressed for channel in one.channels):
        delivery = NewDelivery(uuid7(), alert.workspace_id, alert.id, channel.id, channel.config_version, due)
        new.append(delivery)
        requests.append(request_event(delivery.id, 1, alert, channel, now))
    delivery_store.insert(connection, new, now)
    outbox.insert(connection, requests, now)
    return [delivery.id for delivery in new]


def request_event(delivery_id: UUID, generation: int, alert: StoredAlert, channel: ChannelRef, now: datetime) -> OutboxEvent:
    """The event that asks for one message."""
    metadata = events.Metadata(
        event_id=uuid7(),
        occurred_at=now,
        workspace_id=alert.workspace_id,
        correlation_id=alert.incident_id or alert.id,
    )
    request = events.AlertRequested(
        delivery_id=delivery_id,
        generation=generation,
        alert_id=alert.id,
        alert_type=alert.alert_type,
        order_key=alert.order_key,
        sequence=alert.sequence,
        channel_id=channel.id,
        channel_kind=channel.kind,
        config_version=channel.config_version,
        monitor=alert.facts.monitor,
        incident=alert.facts.incident,
        expiry=alert.facts.expiry,
        group=alert.facts.group,
        text=alert.facts.text,
        output_of=alert.facts.output_of,
        ends=alert.facts.ends,
    )
    return OutboxEvent(events.AlertRequested.__name__, events.encode(metadata, request))
