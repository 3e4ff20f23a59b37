"""From the outbox to the bus, and from receipts back to the deliveries; `core.flows.routing` decides what is sent in the first place.

Invariant: a delivery ends in one of its final states or is requested again when its receipt is overdue.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.adapters.database import Connection, Pool
from core.adapters.event_bus import EventBus
from core.adapters.store import alert_groups as group_store
from core.adapters.store import deliveries as delivery_store
from core.adapters.store import outbox
from core.adapters.store.deliveries import ChangedDelivery, OverdueDelivery, StoredDelivery
from core.adapters.store.outbox import OutboxEvent
from core.contracts import events
from core.domain import delivery as rules
from core.domain.delivery import Count
from core.flows.dead_channels import disable_channel
from core.flows.escalation import tell_more
from core.flows.grouping import GROUP, tell_groups
from core.flows.requests import RECEIPT_TIMEOUT, request_event
from core.flows.routing import route_waiting
from core.logs import get_logger

log = get_logger(__name__)

SWEEP_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Rerequested:
    """What a sweep of overdue deliveries did: requests sent again, and deliveries given up, to count."""

    requested: int
    given_up: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """What receipts changed. After the commit: count `counts` (`core.flows.alert_metrics.count`), and kick `alert_ids`, if any."""

    counts: list[Count]
    alert_ids: list[UUID]


def relay_outbox(pool: Pool, bus: EventBus, limit: int = 100) -> int:
    """Publish waiting events, requests for messages first, `limit` in each transaction; returns how many the bus took.

    What the bus does not take stays for the next relay. An event is published again only where we die between the bus and the
    commit; its consumers know it by its `event_id`.
    """
    relayed = 0
    while True:
        with pool.connection() as connection, connection.transaction():
            waiting = outbox.lock_next(connection, limit)
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
    changed: list[ChangedDelivery] = []
    ended: list[UUID] = []
    with connection.transaction():
        for overdue in delivery_store.lock_overdue(connection, now, SWEEP_LIMIT):
            change = _ask_again(overdue, now, receipt_timeout)
            changed.append(ChangedDelivery(overdue.id, overdue.channel.config_version, change.delivery))
            if change.count.sent:
                given_up.append(change.count)
                ended += [overdue.id] if overdue.alert.alert_type == GROUP else []
                log.error("delivery.given_up", delivery_id=str(overdue.id), error=change.delivery.error)
            else:
                requests.append(request_event(overdue.id, change.delivery.generation, overdue.alert, overdue.channel, now))
        delivery_store.save_many(connection, changed)
        if ended:
            group_store.settle(connection, ended)
        outbox.insert(connection, requests, now)
    return Rerequested(len(requests), tuple(given_up))


def sweep(
    pool: Pool,
    bus: EventBus,
    now: datetime,
    receipt_timeout: timedelta = RECEIPT_TIMEOUT,
    look_soon: Callable[[], object] = lambda: None,
) -> tuple[Count, ...]:
    """Do what lost tasks, lost events and lost receipts left undone; returns the deliveries that were given up, to count.

    `look_soon` as for `core.flows.routing.route_alerts`. A part that fails keeps no other from being done.

    Raises:
        Exception: what the first part that failed has raised, once all have been tried.
    """
    failures: list[Exception] = []

    def part[T](do: Callable[[], T], nothing: T) -> T:
        try:
            return do()
        except Exception as error:  # noqa: BLE001  (raised below)
            failures.append(error)
            return nothing

    with pool.connection() as connection:
        routed = part(lambda: route_waiting(connection, now, receipt_timeout, look_soon), 0)
        told = part(lambda: tell_more(connection, now, receipt_timeout), 0)
        groups = part(lambda: tell_groups(connection, now, receipt_timeout), 0)
        again = part(lambda: rerequest_overdue(connection, now, receipt_timeout), Rerequested(0, ()))
    relayed = relay_outbox(pool, bus)
    if routed or told or groups or again.requested or again.given_up:
        log.info(
            "alerts.swept",
            routed=routed,
            told_more=told,
            groups=groups,
            rerequested=again.requested,
            given_up=len(again.given_up),
            relayed=relayed,
        )
    if failures:
        raise failures[0]
    return again.given_up


def apply_receipts(
    connection: Connection,
    receipts: Sequence[tuple[str, str | bytes]],
    now: datetime,
    receipt_timeout: timedelta = RECEIPT_TIMEOUT,
) -> Received:
    """Write receipts into their deliveries, in their order. One transaction; what is known already changes and counts nothing.

    Args:
        connection: outside a transaction, or inside the caller's.
        receipts: the type (`AlertDelivered` or `AlertFailed`) and the `detail` as JSON of each event.
        now: when a channel counts as disabled.
        receipt_timeout: as for `route_alert`.

    Raises:
        msgspec.DecodeError: one is not a receipt.
        ValueError: another type.
    """
    decoded = [_decode_receipt(*receipt) for receipt in receipts]
    counts: list[Count] = []
    changed: dict[UUID, ChangedDelivery] = {}
    told_together: list[UUID] = []
    lost: list[tuple[StoredDelivery, str]] = []
    with connection.transaction():
        locked = delivery_store.lock_many(connection, {receipt.delivery_id for receipt in decoded})
        for receipt in decoded:
            stored = locked.get(receipt.delivery_id)
            if stored is None:
                log.info("receipt.unknown_delivery", delivery_id=str(receipt.delivery_id))
                continue
            change = _after(stored, receipt, receipt_timeout)
            if change is None:
                continue
            locked[stored.id] = replace(stored, delivery=change.delivery)
            changed[stored.id] = ChangedDelivery(stored.id, stored.config_version, change.delivery)
            counts.append(change.count)
            told_together += [stored.id] if receipt.alert_type == GROUP else []
            if change.disable_reason:
                lost.append((stored, change.disable_reason))
        delivery_store.save_many(connection, list(changed.values()))
        if told_together:
            group_store.settle(connection, told_together)
        lost.sort(key=lambda found: found[0].channel_id)
        notices = [disable_channel(connection, stored.channel_id, stored.config_version, reason, now) for stored, reason in lost]
    return Received(counts, [uid for uid in notices if uid])


def _after(
    stored: StoredDelivery, receipt: events.AlertDelivered | events.AlertFailed, receipt_timeout: timedelta
) -> rules.Change | None:
    if isinstance(receipt, events.AlertDelivered):
        return rules.delivered(stored.delivery, receipt, stored.changed_at)
    return rules.failed(stored.delivery, receipt, receipt_timeout)


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
        channel_disabled=overdue.channel.disabled
        and (overdue.alert.only_channel_id is None or overdue.alert.alert_type == GROUP),
        now=now,
        timeout=timeout,
    )
