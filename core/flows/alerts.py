"""From an alert to its deliveries, from the outbox to the bus, and from receipts back to the deliveries.

Invariants: a delivery exists if and only if its request was written to the outbox, because both are one transaction; an alert is
routed once; a delivery ends in one of its final states or is requested again when its receipt is overdue.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import psycopg
from uuid_utils.compat import uuid7

from core.adapters.database import Connection, Pool
from core.adapters.event_bus import EventBus
from core.adapters.store import alerts as alert_store
from core.adapters.store import deliveries as delivery_store
from core.adapters.store import outbox
from core.adapters.store.alerts import ChannelRef, StoredAlert
from core.adapters.store.deliveries import NewDelivery, OverdueDelivery
from core.adapters.store.outbox import OutboxEvent
from core.contracts import events
from core.domain import delivery as rules
from core.domain.delivery import Count
from core.logs import get_logger

log = get_logger(__name__)

RECEIPT_TIMEOUT: Final = timedelta(minutes=5)
ROUTING_GRACE: Final = timedelta(seconds=2)
"""How long a committed alert may wait for its task before the sweep routes it."""

SWEEP_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Rerequested:
    """What a sweep of overdue deliveries did: requests sent again, and deliveries given up, to count."""

    requested: int
    given_up: tuple[Count, ...]


def route_alert(connection: Connection, alert_id: UUID, now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT) -> None:
    """Make one delivery and one request per channel. One transaction; an alert that has been routed is left alone."""
    with connection.transaction():
        alert = alert_store.claim_for_routing(connection, alert_id, now)
        if alert is None:
            return
        channels = {channel.id: channel for channel in alert_store.lock_channels(connection, alert.workspace_id)}
        enabled = [channel.id for channel in channels.values() if not channel.disabled]
        told = [channels[uid] for uid in rules.route(enabled, alert.only_channel_id) if uid in channels]
        due = rules.receipt_due(now, 1, receipt_timeout)
        new = [NewDelivery(uuid7(), alert.workspace_id, alert.id, c.id, c.config_version, due) for c in told]
        delivery_store.insert(connection, new, now)
        requests = [_request(delivery.id, 1, alert, channel, now) for delivery, channel in zip(new, told, strict=True)]
        outbox.insert(connection, requests, now)
    if not told:
        log.warning("alert.no_channels", alert_id=str(alert_id), workspace_id=str(alert.workspace_id))


def route_alerts(
    connection: Connection, alert_ids: Iterable[UUID], now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT
) -> int:
    """Route alerts; returns how many. Each is a transaction of its own: one that cannot be routed is logged, the others go on."""
    routed = 0
    for alert_id in alert_ids:
        try:
            route_alert(connection, alert_id, now, receipt_timeout)
        except (msgspec.MsgspecError, psycopg.DataError, psycopg.IntegrityError):
            log.exception("alert.not_routable", alert_id=str(alert_id))
        else:
            routed += 1
    return routed


def route_waiting(connection: Connection, now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT) -> int:
    """Route alerts whose task was lost; returns how many."""
    with connection.transaction():
        waiting = alert_store.not_routed(connection, now - ROUTING_GRACE, SWEEP_LIMIT)
    return route_alerts(connection, waiting, now, receipt_timeout)


def relay_outbox(pool: Pool, bus: EventBus, limit: int = 100) -> int:
    """Publish waiting events, oldest first, `limit` in each transaction; returns how many the bus took.

    What the bus does not take stays for the next relay. An event is published again only where we die between the bus and the
    commit; its consumers know it by its `event_id`.
    """
    relayed = 0
    while True:
        with pool.connection() as connection, connection.transaction():
            waiting = outbox.lock_oldest(connection, limit)
            accepted = bus.publish([stored.event for stored in waiting]) if waiting else []
            taken = [stored.id for stored, done in zip(waiting, accepted, strict=True) if done]
            outbox.delete(connection, taken)
        relayed += len(taken)
        if len(taken) < limit:
            return relayed


def rerequest_overdue(connection: Connection, now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT) -> Rerequested:
    """Ask again for every delivery whose receipt is overdue, with the channel's current configuration. One transaction."""
    requests: list[OutboxEvent] = []
    given_up: list[Count] = []
    with connection.transaction():
        for overdue in delivery_store.lock_overdue(connection, now, SWEEP_LIMIT):
            change = _ask_again(overdue, now, receipt_timeout)
            delivery_store.save(connection, overdue.id, change.delivery, overdue.channel.config_version)
            if change.count.sent:
                given_up.append(change.count)
                log.error("delivery.given_up", delivery_id=str(overdue.id), error=change.delivery.error)
            else:
                requests.append(_request(overdue.id, change.delivery.generation, overdue.alert, overdue.channel, now))
        outbox.insert(connection, requests, now)
    return Rerequested(len(requests), tuple(given_up))


def sweep(pool: Pool, bus: EventBus, now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT) -> tuple[Count, ...]:
    """Do what lost tasks, lost events and lost receipts left undone; returns the deliveries that were given up, to count."""
    with pool.connection() as connection:
        routed = route_waiting(connection, now, receipt_timeout)
        again = rerequest_overdue(connection, now, receipt_timeout)
    relayed = relay_outbox(pool, bus)
    if routed or again.requested or again.given_up:
        log.info("alerts.swept", routed=routed, rerequested=again.requested, given_up=len(again.given_up), relayed=relayed)
    return again.given_up


def apply_receipt(
    connection: Connection, detail_type: str, detail: str | bytes, now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT
) -> Count | None:
    """Write a receipt into its delivery. One transaction; a receipt that is known already changes and counts nothing.

    Args:
        connection: outside a transaction, or inside the caller's.
        detail_type: `AlertDelivered` or `AlertFailed`.
        detail: the event's `detail` as JSON.
        now: when a channel counts as disabled.
        receipt_timeout: as for `route_alert`.

    Returns:
        What to count once it is committed (`core.flows.alert_metrics.count`).

    Raises:
        msgspec.DecodeError: not a receipt.
        ValueError: another `detail_type`.
    """
    receipt = _decode_receipt(detail_type, detail)
    with connection.transaction():
        stored = delivery_store.lock(connection, receipt.delivery_id)
        if stored is None:
            log.info("receipt.unknown_delivery", delivery_id=str(receipt.delivery_id))
            return None
        if isinstance(receipt, events.AlertDelivered):
            change = rules.delivered(stored.delivery, receipt, stored.changed_at)
        else:
            change = rules.failed(stored.delivery, receipt, receipt_timeout)
        if change is None:
            return None
        delivery_store.save(connection, stored.id, change.delivery, stored.config_version)
        if change.disable_reason and alert_store.disable_channel(
            connection, stored.channel_id, stored.config_version, change.disable_reason, now
        ):
            log.warning("channel.disabled", channel_id=str(stored.channel_id), reason=change.disable_reason)
    return change.count


def _decode_receipt(detail_type: str, detail: str | bytes) -> events.AlertDelivered | events.AlertFailed:
    if detail_type == events.AlertDelivered.__name__:
        return events.decode(events.AlertDelivered, detail).data
    if detail_type == events.AlertFailed.__name__:
        return events.decode(events.AlertFailed, detail).data
    raise ValueError(f"{detail_type!r} is not a receipt")


def _ask_again(overdue: OverdueDelivery, now: datetime, timeout: timedelta) -> rules.Change:
    return rules.request_again(
        overdue.delivery,
        overdue.alert.alert_type,
        overdue.channel.kind,
        channel_disabled=overdue.channel.disabled and overdue.alert.only_channel_id is None,
        now=now,
        timeout=timeout,
    )


def _request(delivery_id: UUID, generation: int, alert: StoredAlert, channel: ChannelRef, now: datetime) -> OutboxEvent:
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
        text=alert.facts.text,
    )
    return OutboxEvent(events.AlertRequested.__name__, events.encode(metadata, request))
