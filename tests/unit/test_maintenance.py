"""Maintenance windows against a clock on the wall: each zone's own clock, read minute by minute, over the changes of that clock."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.maintenance import (
    BadCron,
    Cron,
    Weekly,
    Window,
    check_cron,
    covered,
    covers,
    current_and_next,
    first_instant,
    held_until,
    intervals,
)
from core.domain.uptime import Span

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

CHANGES = {
    "Europe/Berlin": [date(2026, 3, 29), date(2026, 10, 25)],
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
    "Africa/Cairo": [date(2026, 4, 24), date(2026, 10, 30)],
    "America/Nuuk": [date(2026, 3, 29), date(2026, 10, 25)],
    "America/Santiago": [date(2026, 4, 5), date(2026, 9, 6)],
    "Asia/Kolkata": [date(2026, 6, 1)],
    "UTC": [date(2026, 6, 1)],
}
"""Zones and the days on which their clocks change: by an hour at night, by half an hour, at midnight, before midnight, never."""


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # year, month, day and what is needed of the rest


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def minutes(span: Span) -> Iterator[datetime]:
    at = span.start
    while at < span.end:
        yield at
        at += MINUTE


def clock_starts(rule: Weekly, span: Span) -> list[datetime]:
    """Somebody looks at the clock each minute and begins when it first reads the time, or has jumped over it."""
    starts: list[datetime] = []
    wanted = [
        datetime.combine(day, rule.at)
        for day in sorted({at.astimezone(rule.zone).date() + n * DAY for at in minutes(span) for n in (0, 1)})
        if day.weekday() in rule.weekdays
    ]
    before = (span.start - MINUTE).astimezone(rule.zone).replace(tzinfo=None)
    wanted = [local for local in wanted if local > before]
    for at in minutes(span):
        reads = at.astimezone(rule.zone).replace(tzinfo=None)
        while wanted and reads >= wanted[0]:
            starts.append(at)
            wanted.pop(0)
    return starts


@st.composite
def weekly_near_a_change(draw: st.DrawFn) -> tuple[Weekly, Span]:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    day = draw(st.sampled_from(CHANGES[zone]))
    at = time(draw(st.integers(0, 23)), draw(st.integers(0, 59)))
    duration = timedelta(minutes=draw(st.integers(1, 36 * 60)))
    weekdays = draw(st.frozensets(st.integers(0, 6), min_size=1))
    start = midnight(day) - timedelta(minutes=draw(st.integers(0, 36 * 60)))
    return Weekly(weekdays, at, duration, ZoneInfo(zone)), Span(start, start + 3 * DAY)


@settings(max_examples=150, deadline=None)
@given(weekly_near_a_change())
def test_a_weekly_window_begins_when_the_clock_on_the_wall_says_so(case: tuple[Weekly, Span]) -> None:
    rule, span = case
    looked_at = Span(span.start - rule.duration, span.end)
    expected = [start for start in clock_starts(rule, looked_at) if start + rule.duration > span.start]

    found = list(intervals(Window(span.start - 30 * DAY, None, rule), span))

    assert found == [Span(start, start + rule.duration) for start in expected]


@settings(max_examples=60, deadline=None)
@given(weekly_near_a_change(), st.integers(0, 3 * 24 * 60), st.integers(0, 3 * 24 * 60))
def test_what_is_covered_is_what_any_interval_holds(case: tuple[Weekly, Span], first: int, length: int) -> None:
    rule, span = case
    windows = [
        Window(span.start - 30 * DAY, None, rule),
        Window(span.start + first * MINUTE, span.start + (first + length + 1) * MINUTE),
    ]

    parts = covered(windows, span)

    held = [part for window in windows for part in intervals(window, span)]
    for at in minutes(span):
        inside = [part for part in held if part.start <= at < part.end]
        assert any(part.start <= at < part.end for part in parts) == bool(inside)
        assert held_until(windows, at) == max((part.end for part in inside), default=None)
    assert all(one.end < two.start for one, two in pairwise(parts))


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("Europe/Berlin", "2026-03-29T02:30", utc(2026, 3, 29, 1)),
        ("Europe/Berlin", "2026-03-29T03:00", utc(2026, 3, 29, 1)),
        ("Europe/Berlin", "2026-10-25T02:30", utc(2026, 10, 25, 0, 30)),
        ("Europe/Berlin", "2026-10-25T03:00", utc(2026, 10, 25, 2)),
        ("Australia/Lord_Howe", "2026-10-04T02:15", utc(2026, 10, 3, 15, 30)),
        ("Africa/Cairo", "2026-04-24T00:30", utc(2026, 4, 23, 22)),
        ("Pacific/Apia", "2011-12-30T12:00", utc(2011, 12, 30, 10)),
    ],
)
def test_skipped_and_repeated_times(zone: str, local: str, instant: datetime) -> None:
    assert first_instant(datetime.fromisoformat(local), ZoneInfo(zone)) == instant


@pytest.mark.parametrize("zone", sorted(CHANGES))
def test_a_daily_cron_window_begins_when_a_weekly_one_on_all_days_does(zone: str) -> None:
    for day in CHANGES[zone]:
        span = Span(midnight(day) - 2 * DAY, midnight(day) + 3 * DAY)
        for at in (time(0, 15), time(2, 30), time(3), time(23, 45)):
            weekly = Weekly(frozenset(range(7)), at, HOUR, ZoneInfo(zone))
            cron = Cron(f"{at.minute} {at.hour} * * *", HOUR, ZoneInfo(zone))
            windows = [Window(span.start - DAY, None, rule) for rule in (weekly, cron)]
            assert list(intervals(windows[0], span)) == list(intervals(windows[1], span))


def test_a_rule_holds_only_between_the_windows_own_ends() -> None:
    rule = Weekly(frozenset({0}), time(2), 4 * HOUR, UTC)
    window = Window(utc(2026, 11, 2, 3), utc(2026, 11, 16, 5), rule)

    found = list(intervals(window, Span(utc(2026, 10, 1), utc(2026, 12, 31))))

    assert found == [
        Span(utc(2026, 11, 2, 3), utc(2026, 11, 2, 6)),
        Span(utc(2026, 11, 9, 2), utc(2026, 11, 9, 6)),
        Span(utc(2026, 11, 16, 2), utc(2026, 11, 16, 5)),
    ]


def test_current_and_next() -> None:
    window = Window(utc(2026, 11, 1), None, Cron("0 2 * * 6", 2 * HOUR, UTC))
    first, second = Span(utc(2026, 11, 7, 2), utc(2026, 11, 7, 4)), Span(utc(2026, 11, 14, 2), utc(2026, 11, 14, 4))

    assert current_and_next(window, utc(2026, 11, 6)) == (None, first)
    assert current_and_next(window, utc(2026, 11, 7, 2)) == (first, second)
    assert current_and_next(window, utc(2026, 11, 7, 4)) == (None, second)


def test_a_window_that_comes_once() -> None:
    window = Window(utc(2026, 11, 1), utc(2026, 11, 2))

    assert current_and_next(window, utc(2026, 10, 1)) == (None, Span(window.starts_at, utc(2026, 11, 2)))
    assert current_and_next(window, utc(2026, 11, 1, 5)) == (Span(window.starts_at, utc(2026, 11, 2)), None)
    assert current_and_next(window, utc(2026, 11, 2)) == (None, None)


def test_windows_that_follow_each_other_cover_as_one() -> None:
    windows = [Window(utc(2026, 11, 1, 1), utc(2026, 11, 1, 2)), Window(utc(2026, 11, 1, 2), utc(2026, 11, 1, 3))]

    assert covers(windows, Span(utc(2026, 11, 1, 1), utc(2026, 11, 1, 3)))
    assert not covers(windows, Span(utc(2026, 11, 1, 1), utc(2026, 11, 1, 3) + MINUTE))
    assert covers(windows, Span(utc(2026, 11, 1, 1), utc(2026, 11, 1, 1)))
    assert not covers(windows, Span(utc(2026, 11, 1, 3), utc(2026, 11, 1, 3)))
    assert held_until(windows, utc(2026, 11, 1, 3)) is None


@pytest.mark.parametrize("expression", ["0 2 * * 6", "30 * * * *", "0 0 1 1,7 *", "0 3 29 2 *", "15 4 * * MON#1"])
def test_cron_expressions_that_windows_follow(expression: str) -> None:
    check_cron(expression, ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", "five fields"),
        ("0 0 2 * * 6", "five fields"),
        ("@daily", "five fields"),
        ("61 2 * * *", "Bad minute"),
        ("0 2 * * MOON", "Bad day-of-week"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 */31 * MON#5", "never matches"),
        ("* 2 * * *", "more often"),
        ("0,30 4 29 2 *", "more often"),
    ],
)
def test_cron_expressions_that_are_refused(expression: str, complaint: str) -> None:
    with pytest.raises(BadCron, match=complaint):
        check_cron(expression, UTC)
