"""What receipts change: in any order, repeated or late, a delivery only moves up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from core.contracts.events import AlertDelivered, AlertFailed
from core.domain import delivery as rules
from core.domain.delivery import MAX_GENERATIONS, RANK, Delivery, DeliveryState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHANGED = NOW - timedelta(seconds=2)
TIMEOUT = timedelta(minutes=5)
REQUESTED = Delivery(DeliveryState.REQUESTED, 1, 0, NOW + TIMEOUT, None, None, "", "")


def delivered(attempt: int = 1, *, at: datetime = NOW, generation: int = 1, superseded_by: int | None = None) -> AlertDelivered:
    return AlertDelivered(
        delivery_id=UUID(int=1),
        generation=generation,
        alert_type="down",
        channel_id=UUID(int=2),
        channel_kind="email",
        attempt=attempt,
        delivered_at=at,
        duration_ms=5,
        superseded_by=superseded_by,
    )


def failed(attempt: int = 1, *, final: bool = False, generation: int = 1, disable: bool = False) -> AlertFailed:
    at = NOW + timedelta(seconds=attempt)
    return AlertFailed(
        delivery_id=UUID(int=1),
        generation=generation,
        alert_type="down",
        channel_id=UUID(int=2),
        channel_kind="email",
        attempt=attempt,
        failed_at=at,
        error_type="permanent" if final else "transient",
        error=f"error {attempt}",
        final=final,
        retry_at=None if final else at + timedelta(seconds=10),
        disable_channel=disable,
    )


def test_a_delivered_message_is_final_and_counted_once() -> None:
    change = rules.delivered(REQUESTED, delivered(), CHANGED)
    assert change
    assert change.delivery == replace(REQUESTED, state=DeliveryState.DELIVERED, attempts=1, receipt_due_at=None, finished_at=NOW)
    assert (change.count.sent, change.count.retries, change.count.duration_s) == ("delivered", 0, 2.0)
    assert rules.delivered(change.delivery, delivered(), CHANGED) is None
    assert rules.failed(change.delivery, failed(2, final=True), TIMEOUT) is None


def test_a_superseded_message_counts_as_reached_without_an_attempt() -> None:
    change = rules.delivered(REQUESTED, delivered(superseded_by=1_000_000), CHANGED)
    assert change
    assert change.delivery.state is DeliveryState.SUPERSEDED
    assert (change.count.sent, change.count.duration_s, change.delivery.attempts) == ("superseded", None, 0)


def test_a_transient_failure_waits_for_its_retry() -> None:
    change = rules.failed(REQUESTED, failed(1), TIMEOUT)
    assert change
    assert change.delivery.state is DeliveryState.REQUESTED
    assert change.delivery.retry_at == NOW + timedelta(seconds=11)
    assert change.delivery.receipt_due_at == NOW + timedelta(seconds=11) + TIMEOUT
    assert (change.count.sent, change.count.failed, change.count.retries) == (None, "transient", 0)
    again = rules.failed(change.delivery, failed(2), TIMEOUT)
    assert again
    assert (again.delivery.attempts, again.count.retries) == (2, 1)
    assert rules.failed(again.delivery, failed(1), TIMEOUT) is None


def test_a_permanent_failure_ends_and_names_why_the_channel_is_disabled() -> None:
    change = rules.failed(REQUESTED, failed(1, final=True, disable=True), TIMEOUT)
    assert change
    assert change.delivery.state is DeliveryState.FAILED
    assert change.delivery.receipt_due_at is None
    assert (change.count.sent, change.count.failed) == ("failed", "permanent")
    assert change.disable_reason == "error 1 (2026-11-23 12:00 UTC)"
    late = rules.delivered(change.delivery, delivered(), CHANGED)
    assert late
    assert late.delivery.state is DeliveryState.DELIVERED
    assert late.delivery.error == ""


def test_the_end_of_an_older_request_does_not_end_a_newer_one() -> None:
    second = replace(REQUESTED, generation=2)
    assert rules.failed(second, failed(1, final=True, generation=1), TIMEOUT) is None
    assert rules.failed(second, failed(1, generation=1), TIMEOUT)
    assert rules.delivered(second, delivered(generation=1), CHANGED)


def test_an_overdue_delivery_is_requested_again_with_twice_the_wait() -> None:
    first = rules.request_again(REQUESTED, "down", "email", channel_disabled=False, now=NOW, timeout=TIMEOUT)
    assert first.delivery.generation == 2
    assert first.delivery.receipt_due_at == NOW + 2 * TIMEOUT
    second = rules.request_again(first.delivery, "down", "email", channel_disabled=False, now=NOW, timeout=TIMEOUT)
    assert second.delivery.receipt_due_at == NOW + 4 * TIMEOUT
    assert second.count.sent is None


def test_giving_up_is_explicit() -> None:
    tired = replace(REQUESTED, generation=MAX_GENERATIONS, error="the webhook answered 503", error_type="transient")
    change = rules.request_again(tired, "down", "email", channel_disabled=False, now=NOW, timeout=TIMEOUT)
    assert change.delivery.state is DeliveryState.FAILED
    assert change.delivery.error == "no receipt after 10 requests; the last error was: the webhook answered 503"
    assert change.count.sent == "failed"
    disabled = rules.request_again(REQUESTED, "down", "email", channel_disabled=True, now=NOW, timeout=TIMEOUT)
    assert disabled.delivery.error == "the channel is disabled"
    assert disabled.delivery.generation == 1


RECEIPTS: list[AlertDelivered | AlertFailed] = [failed(1), failed(2), delivered(3, at=NOW + timedelta(seconds=3))]


def apply(current: Delivery, receipt: AlertDelivered | AlertFailed) -> Delivery:
    change = change_of(current, receipt)
    return change.delivery if change else current


def change_of(current: Delivery, receipt: AlertDelivered | AlertFailed) -> rules.Change | None:
    if isinstance(receipt, AlertDelivered):
        return rules.delivered(current, receipt, CHANGED)
    return rules.failed(current, receipt, TIMEOUT)


def test_any_order_of_the_same_receipts_ends_delivered() -> None:
    for order in permutations(RECEIPTS):
        current = REQUESTED
        for receipt in order:
            current = apply(current, receipt)
        assert current.state is DeliveryState.DELIVERED
        assert current.attempts == 3
        assert current.error == ""


@given(
    st.lists(
        st.builds(failed, st.integers(1, 5), final=st.booleans(), generation=st.integers(1, 3))
        | st.builds(delivered, st.integers(1, 5), generation=st.integers(1, 3), superseded_by=st.sampled_from([None, 9])),
        max_size=12,
    )
)
def test_states_never_move_down_and_repeats_change_nothing(stream: list[AlertDelivered | AlertFailed]) -> None:
    current = REQUESTED
    for receipt in stream:
        after = apply(current, receipt)
        assert RANK[after.state] >= RANK[current.state]
        assert apply(after, receipt) == after
        assert (after.receipt_due_at is None) == (after.state is not DeliveryState.REQUESTED)
        current = after
