"""The schedule keeps its promises for every id, interval and moment."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.domain.schedule import EPOCH, next_check_at, phase, retry_at

ids = st.integers(min_value=1, max_value=2**63 - 1)
intervals = st.integers(min_value=1, max_value=86_400)
moments = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  (hypothesis wants naive bounds)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@given(ids, intervals, moments)
def test_the_next_slot_is_later_by_at_most_one_interval(monitor_id: int, interval_s: int, after: datetime) -> None:
    wait = next_check_at(monitor_id, interval_s, after) - after
    assert timedelta(0) < wait <= timedelta(seconds=interval_s)


@given(ids, intervals, moments, moments)
def test_a_pause_of_any_length_keeps_the_phase(monitor_id: int, interval_s: int, before: datetime, later: datetime) -> None:
    gap = next_check_at(monitor_id, interval_s, later) - next_check_at(monitor_id, interval_s, before)
    assert gap % timedelta(seconds=interval_s) == timedelta(0)


@given(ids, intervals)
def test_the_phase_lies_within_the_interval(monitor_id: int, interval_s: int) -> None:
    assert timedelta(0) <= phase(monitor_id, interval_s) < timedelta(seconds=interval_s)
    assert next_check_at(monitor_id, interval_s, EPOCH - timedelta(microseconds=1)) == EPOCH + phase(monitor_id, interval_s)


@given(ids, intervals, moments)
def test_slots_follow_each_other_at_the_interval(monitor_id: int, interval_s: int, after: datetime) -> None:
    first = next_check_at(monitor_id, interval_s, after)
    assert next_check_at(monitor_id, interval_s, first) - first == timedelta(seconds=interval_s)


@given(st.integers(min_value=1, max_value=2**40), st.sampled_from([1, 2, 7, 10, 60, 1000]))
def test_neighbouring_and_strided_ids_spread_evenly(first: int, stride: int) -> None:
    crowd = Counter(int(phase(first + stride * n, 60).total_seconds()) for n in range(6000))
    assert len(crowd) == 60
    assert max(crowd.values()) < 160
    assert min(crowd.values()) > 50


@given(st.integers(1, 1000), st.floats(0.1, 3600), intervals, moments, st.floats(0, 1, exclude_max=True))
def test_a_retry_is_later_and_never_slower_than_the_interval(
    attempt: int, retry_s: float, interval_s: int, after: datetime, jitter: float
) -> None:
    at = retry_at(attempt=attempt, retry_interval_s=retry_s, interval_s=interval_s, after=after, jitter=jitter)
    assert after < at <= after + timedelta(seconds=interval_s)


def test_retries_back_off_and_jitter_only_shortens() -> None:
    def delay(attempt: int, jitter: float = 0.0) -> float:
        at = retry_at(attempt=attempt, retry_interval_s=10, interval_s=60, after=NOW, jitter=jitter)
        return (at - NOW).total_seconds()

    assert [delay(n) for n in (1, 2, 3, 9)] == [10, 15, 22.5, 60]
    assert delay(1, jitter=0.5) == 9
