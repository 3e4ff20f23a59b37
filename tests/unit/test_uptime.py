"""Counting time: percentages, sketches, and which pieces a range is made of."""

import itertools
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.uptime import DAY, HOUR, SKETCH_ERROR, Pieces, ResponseTimes, Span, Tally, counted_range, pieces

NOW = datetime(2026, 11, 23, 14, 20, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_what_we_could_not_tell_speaks_neither_for_nor_against() -> None:
    assert Tally(up_ms=900, down_ms=100, unknown_ms=9000, maintenance_ms=500).percentage == 90
    assert Tally(unknown_ms=9000).percentage is None


def test_tallies_add_up_in_every_part() -> None:
    one = Tally(1, 2, 3, 4, 5, ResponseTimes(2, 30, 10, 20, {7: 1, 8: 1}))
    both = one + Tally(10, 20, 30, 40, 50, ResponseTimes(1, 5, 5, 5, {8: 1})) + Tally()
    assert both == Tally(11, 22, 33, 44, 55, ResponseTimes(3, 35, 5, 20, {7: 1, 8: 2}))
    assert both.counted_ms == 110


@given(st.lists(st.integers(1, 60_000_000), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_off_by_no_more_than_it_says(durations: list[int], share: float) -> None:

    buckets: dict[int, int] = {}
    for us in durations:
        number = math.ceil(math.log(us) / math.log(1.1))
        buckets[number] = buckets.get(number, 0) + 1
    times = ResponseTimes(len(durations), sum(durations), min(durations), max(durations), buckets)
    exact = sorted(durations)[math.ceil(share * len(durations)) - 1]
    assert times.percentile_us(share) == pytest.approx(exact, rel=SKETCH_ERROR * 1.0001)


def test_a_range_is_exact_in_the_last_day_and_coarser_before() -> None:
    start = NOW - DAY
    assert counted_range(start, NOW + HOUR, NOW) == Span(start, NOW)
    week = counted_range(NOW - 7 * DAY, NOW - 2 * DAY, NOW)
    assert week == Span(datetime(2026, 11, 16, 14, tzinfo=UTC), datetime(2026, 11, 21, 15, tzinfo=UTC))
    year = counted_range(NOW - 365 * DAY, NOW - 40 * DAY, NOW)
    assert year == Span(datetime(2025, 11, 23, tzinfo=UTC), datetime(2026, 10, 15, tzinfo=UTC))


def test_other_time_zones_have_the_same_hours() -> None:
    half = datetime(2026, 11, 20, 10, 45, tzinfo=datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    assert counted_range(half, NOW, NOW).start == datetime(2026, 11, 20, 5, tzinfo=UTC)


def test_a_year_is_days_hours_and_the_open_rest() -> None:
    start, midnight, hour = (
        datetime(2025, 11, 23, tzinfo=UTC),
        datetime(2026, 11, 23, tzinfo=UTC),
        datetime(2026, 11, 23, 14, tzinfo=UTC),
    )
    assert pieces(Span(start, NOW), hour) == Pieces((Span(start, midnight),), (Span(midnight, hour),), (Span(hour, NOW),))


def test_where_nothing_is_rolled_up_the_facts_speak() -> None:
    span = Span(NOW - 5 * HOUR, NOW)
    assert pieces(span, NOW - 9 * HOUR) == Pieces((), (), (span,))
    inside = Span(NOW - 10 * MINUTE, NOW - 5 * MINUTE)
    assert pieces(inside, NOW + HOUR) == Pieces((), (), (inside,))


@given(st.integers(0, 4000), st.integers(1, 6000), st.integers(0, 200))
def test_pieces_cover_the_range_once(start: int, length: int, rolled: int) -> None:
    span = Span(NOW + start * MINUTE, NOW + (start + length) * MINUTE)
    until = datetime(2026, 11, 23, 14, tzinfo=UTC) + rolled * HOUR
    parts = pieces(span, until)
    every = sorted([*parts.days, *parts.hours, *parts.facts], key=lambda part: part.start)
    assert (every[0].start, every[-1].end) == (span.start, span.end)
    assert all(one.end == other.start for one, other in itertools.pairwise(every))
    assert all(part.end <= until for part in (*parts.days, *parts.hours))
    assert len(parts.days) <= 1
    assert len(parts.hours) <= 2
