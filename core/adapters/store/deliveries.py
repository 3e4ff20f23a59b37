"""Deliveries in SQL. Every function works inside the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from core.adapters.database import Connection
from core.adapters.store.alerts import ChannelRef, StoredAlert
from core.domain.alert_facts import AlertFacts
from core.domain.delivery import Delivery, DeliveryState
from core.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to insert, as its first generation."""

    id: UUID
    workspace_id: UUID
    alert_id: UUID
    channel_id: UUID
    config_version: int
    receipt_due_at: datetime


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A locked delivery, and when the state changed that it is about."""

    id: UUID
    channel_id: UUID
    config_version: int
    changed_at: datetime
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class ChangedDelivery:
    """A locked delivery as it is to be written."""

    id: UUID
    config_version: int
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class OverdueDelivery:
    """A locked delivery without a receipt, with all that a new request needs; `channel` is the channel as it is now."""

    id: UUID
    delivery: Delivery
    alert: StoredAlert
    channel: ChannelRef


def insert(connection: Connection, deliveries: Sequence[NewDelivery], now: datetime) -> None:
    """Insert requested deliveries."""
    if not deliveries:
        return
    connection.execute(
        """
        INSERT INTO delivery (id, workspace_id, alert_id, channel_id, config_version, state, requested_at, receipt_due_at)
        SELECT id, workspace_id, alert_id, channel_id, config_version, 'requested', %s, receipt_due_at
        FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::int[], %s::timestamptz[])
          AS d (id, workspace_id, alert_id, channel_id, config_version, receipt_due_at)
        """,
        (
            now,
            [d.id for d in deliveries],
            [d.workspace_id for d in deliveries],
            [d.alert_id for d in deliveries],
            [d.channel_id for d in deliveries],
            [d.config_version for d in deliveries],
            [d.receipt_due_at for d in deliveries],
        ),
    )


def lock_many(connection: Connection, delivery_ids: Iterable[UUID]) -> dict[UUID, StoredDelivery]:
    """Lock deliveries, in id order; those that have been deleted with their monitor or channel are missing."""
    rows = connection.execute(
        """
        SELECT d.id, d.channel_id, d.config_version, a.created_at,
               d.state, d.generation, d.attempts, d.receipt_due_at, d.retry_at, d.finished_at, d.error_type, d.error
        FROM delivery d JOIN alert a ON a.id = d.alert_id
        WHERE d.id = ANY(%s) ORDER BY d.id FOR UPDATE OF d
        """,
        (list(delivery_ids),),
    ).fetchall()
    return {row[0]: StoredDelivery(*(*row[:4], _delivery(row[4:]))) for row in rows}


def lock_overdue(connection: Connection, now: datetime, limit: int) -> list[OverdueDelivery]:
    """Deliveries whose receipt is overdue and that no other sweep holds, in id order. One that cannot be read is logged and left out."""
    rows = connection.execute(
        """
        SELECT d.id,
               d.state, d.generation, d.attempts, d.receipt_due_at, d.retry_at, d.finished_at, d.error_type, d.error,
               a.id, a.workspace_id, a.incident_id, a.alert_type, a.order_key, a.sequence, a.only_channel_id, a.created_at,
               a.facts::text,
               c.id, c.kind, c.config_version, c.disabled_at IS NOT NULL OR c.unverified_since IS NOT NULL
        FROM delivery d JOIN alert a ON a.id = d.alert_id JOIN channel c ON c.id = d.channel_id
        WHERE d.state = 'requested' AND d.receipt_due_at < %s
        ORDER BY d.id LIMIT %s FOR UPDATE OF d SKIP LOCKED
        """,
        (now, limit),
    ).fetchall()
    return [overdue for row in rows if (overdue := _overdue(row))]


def save_many(connection: Connection, changed: Sequence[ChangedDelivery]) -> None:
    """Write locked deliveries back."""
    if not changed:
        return
    after = [change.delivery for change in changed]
    connection.execute(
        """
        UPDATE delivery d
        SET state = c.state, generation = c.generation, attempts = c.attempts, receipt_due_at = c.receipt_due_at,
            retry_at = c.retry_at, finished_at = c.finished_at, error_type = c.error_type, error = c.error,
            config_version = c.config_version
        FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::int[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
                    %s::text[], %s::text[])
          AS c (id, config_version, state, generation, attempts, receipt_due_at, retry_at, finished_at, error_type, error)
        WHERE d.id = c.id
        """,
        (
            [change.id for change in changed],
            [change.config_version for change in changed],
            [delivery.state.value for delivery in after],
            [delivery.generation for delivery in after],
            [delivery.attempts for delivery in after],
            [delivery.receipt_due_at for delivery in after],
            [delivery.retry_at for delivery in after],
            [delivery.finished_at for delivery in after],
            [delivery.error_type for delivery in after],
            [delivery.error for delivery in after],
        ),
    )


def _overdue(row: Sequence[Any]) -> OverdueDelivery | None:
    try:
        facts = msgspec.json.decode(row[17], type=AlertFacts)
    except msgspec.MsgspecError as error:
        log.error("delivery.unreadable", delivery_id=str(row[0]), error=str(error))  # noqa: TRY400  (where it was raised says nothing)
        return None
    return OverdueDelivery(row[0], _delivery(row[1:9]), StoredAlert(*(*row[9:17], facts)), ChannelRef(*row[18:22]))


def _delivery(row: Sequence[object]) -> Delivery:
    state, *rest = row
    return Delivery(DeliveryState(str(state)), *rest)  # type: ignore[arg-type]  # columns of a row are untyped
