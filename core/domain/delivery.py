"""One message on its way to one channel: what to request, what a receipt changes, when to ask again.

The states only move up: requested < failed < superseded < delivered. So receipts may come twice, late and in any order, and a
message that did arrive is never shown as failed.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.contracts.events import AlertDelivered, AlertFailed, AlertType

MAX_GENERATIONS: Final = 10
"""With 5 minutes to the first receipt and doubling, the last request ends after 3.5 days."""

RANK: Final = {"requested": 0, "failed": 1, "superseded": 2, "delivered": 3}


class DeliveryState(StrEnum):
    """`REQUESTED` waits for a receipt; the others are final."""

    REQUESTED = "requested"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The part of a delivery that decisions change. `retry_at` is the latest retry that the channel announced."""

    state: DeliveryState
    generation: int
    attempts: int
    receipt_due_at: datetime | None
    retry_at: datetime | None
    finished_at: datetime | None
    error_type: str
    error: str


@dataclass(frozen=True, slots=True)
class Count:
    """What one receipt adds to the metrics.

    `sent` is the final state that was reached, `failed` the error type of a failed attempt, `retries` the attempts after the
    first, `duration_s` the time from the change of state to the channel's answer.
    """

    alert_type: AlertType
    channel_kind: str
    sent: str | None = None
    failed: str | None = None
    retries: int = 0
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A delivery after a decision, and what to count. `disable_reason` is set where the channel's target is gone."""

    delivery: Delivery
    count: Count
    disable_reason: str | None = None


def disabled_text(name: str, kind: str, reason: str) -> str:
    """What the other channels are told of one that was disabled."""
    return f"Nothing is sent to the channel “{name}” ({kind}) any more: {reason}. Correct it, or enable it again."


def receipt_due(now: datetime, generation: int, timeout: timedelta) -> datetime:
    """When a request without a receipt counts as lost; the wait doubles with each generation."""
    return now + timeout * (1 << (generation - 1))


def delivered(delivery: Delivery, receipt: AlertDelivered, changed_at: datetime) -> Change | None:
    """The channel took the message, or a later message told its story. None: known already.

    `changed_at` is when the state changed that the message is about.
    """
    state = DeliveryState.DELIVERED if receipt.superseded_by is None else DeliveryState.SUPERSEDED
    if RANK[state] <= RANK[delivery.state]:
        return None
    attempts = max(delivery.attempts + 1, receipt.attempt) if state is DeliveryState.DELIVERED else delivery.attempts
    after = replace(
        delivery,
        state=state,
        attempts=attempts,
        receipt_due_at=None,
        retry_at=None,
        finished_at=receipt.delivered_at,
        error_type="",
        error="",
    )
    count = Count(
        receipt.alert_type,
        receipt.channel_kind,
        sent=state,
        retries=_retries(delivery, after),
        duration_s=max((receipt.delivered_at - changed_at).total_seconds(), 0.0) if state is DeliveryState.DELIVERED else None,
    )
    return Change(after, count)


def failed(delivery: Delivery, receipt: AlertFailed, timeout: timedelta) -> Change | None:
    """An attempt failed. None: known already, or the delivery has ended, or a newer request is under way that may yet succeed.

    Announced retries only move forward, so a repeated or overtaken receipt is told by its `retry_at`. The receipt of the next
    attempt is due after it has had its time.
    """
    retry_at = None if receipt.final else (receipt.retry_at or receipt.failed_at)
    overtaken = receipt.final and receipt.generation < delivery.generation
    if delivery.state is not DeliveryState.REQUESTED or overtaken or _known(delivery, retry_at):
        return None
    after = replace(
        delivery,
        state=DeliveryState.FAILED if receipt.final else DeliveryState.REQUESTED,
        attempts=max(delivery.attempts + 1, receipt.attempt),
        receipt_due_at=receipt_due(retry_at, delivery.generation, timeout) if retry_at else None,
        retry_at=retry_at,
        finished_at=receipt.failed_at if receipt.final else None,
        error_type=receipt.error_type,
        error=receipt.error,
    )
    count = Count(
        receipt.alert_type,
        receipt.channel_kind,
        sent=DeliveryState.FAILED if receipt.final else None,
        failed=receipt.error_type,
        retries=_retries(delivery, after),
    )
    gone = f"{receipt.error} ({receipt.failed_at:%Y-%m-%d %H:%M} UTC)" if receipt.final and receipt.disable_channel else None
    return Change(after, count, gone)


def request_again(
    delivery: Delivery, alert_type: AlertType, channel_kind: str, *, channel_disabled: bool, now: datetime, timeout: timedelta
) -> Change:
    """No receipt came in time: ask once more as the next generation, or give up where that has no point any more."""
    if channel_disabled or delivery.generation >= MAX_GENERATIONS:
        why = "the channel is disabled" if channel_disabled else f"no receipt after {delivery.generation} requests"
        error = f"{why}; the last error was: {delivery.error}" if delivery.error else why
        ended = replace(
            delivery,
            state=DeliveryState.FAILED,
            receipt_due_at=None,
            retry_at=None,
            finished_at=now,
            error_type=delivery.error_type or "transient",
            error=error,
        )
        return Change(ended, Count(alert_type, channel_kind, sent=DeliveryState.FAILED))
    generation = delivery.generation + 1
    again = replace(delivery, generation=generation, receipt_due_at=receipt_due(now, generation, timeout))
    return Change(again, Count(alert_type, channel_kind))


def _known(delivery: Delivery, retry_at: datetime | None) -> bool:
    return bool(retry_at and delivery.retry_at and retry_at <= delivery.retry_at)


def _retries(before: Delivery, after: Delivery) -> int:
    """Attempts between the two, without the very first one."""
    return max(after.attempts - 1, 0) - max(before.attempts - 1, 0)
