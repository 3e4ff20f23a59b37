"""Maintenance windows: when each begins and ends, in any time zone, over every change of its clocks.

A start in local time is the first instant at which the zone's clock reads that time or later: one that the clock skips in spring begins
with the jump, one that it shows twice in autumn begins the first time. A duration is elapsed time. Cron expressions follow `cronsim`, which
knows the same rule.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice, pairwise
from typing import Final

from cronsim import CronSim, CronSimError

from core.domain.uptime import DAY, HOUR, Span

SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=7)
CLOSEST: Final = HOUR
"""Cron windows may not begin more often: whoever asks for more wants one long window."""

CRON_FIELDS: Final = 5
LOOKED_AT: Final = 60
RULED_SINCE: Final = datetime(2000, 1, 1, tzinfo=UTC)


class BadCron(ValueError):
    """An expression that no window can follow; the message is for people."""


@dataclass(frozen=True, slots=True)
class Weekly:
    """Every week on these days (0 is Monday) at this local time."""

    weekdays: frozenset[int]
    at: time
    duration: timedelta
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Cron:
    """At every match of a cron expression in local time."""

    expression: str
    duration: timedelta
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Window:
    """Maintenance from `starts_at` to `ends_at`; with a `rule` only as often and as long as that says, within those two."""

    starts_at: datetime
    ends_at: datetime | None
    rule: Weekly | Cron | None = None


def intervals(window: Window, span: Span) -> Iterator[Span]:
    """The intervals of a window that have a part in `span`, whole, ascending by their beginning; they may overlap."""
    for interval in _intervals_from(window, span.start):
        if interval.start >= span.end:
            return
        yield interval


def covered(windows: Iterable[Window], span: Span) -> list[Span]:
    """The parts of `span` in which any of the windows holds: ascending, apart from each other."""
    found = sorted((part for window in windows for part in intervals(window, span)), key=lambda part: part.start)
    merged: list[Span] = []
    for part in found:
        start, end = max(part.start, span.start), min(part.end, span.end)
        if merged and start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, end))
        else:
            merged.append(Span(start, end))
    return merged


def covers(windows: Iterable[Window], span: Span) -> bool:
    """Whether the windows hold during all of `span`; for an empty one, at its beginning."""
    whole = Span(span.start, max(span.end, span.start + timedelta(microseconds=1)))
    return covered(windows, whole) == [whole]


def held_until(windows: Iterable[Window], at: datetime) -> datetime | None:
    """When the longest of the intervals ends in which `at` lies; None outside of all."""
    instant = Span(at, at + timedelta(microseconds=1))
    return max((part.end for window in windows for part in intervals(window, instant)), default=None)


def current_and_next(window: Window, now: datetime) -> tuple[Span | None, Span | None]:
    """The interval that `now` lies in, and the first that begins later."""
    current: Span | None = None
    for interval in _intervals_from(window, now):
        if interval.start > now:
            return current, interval
        current = interval
    return current, None


def check_cron(expression: str, zone: tzinfo) -> None:
    """Whether windows can follow an expression.

    Raises:
        BadCron: it cannot be read, never matches, or matches more often than every hour.
    """
    if len(expression.split()) != CRON_FIELDS:
        raise BadCron("must have five fields: minute, hour, day of month, month, day of week")
    try:
        starts = list(islice(CronSim(expression, RULED_SINCE.astimezone(zone)), LOOKED_AT))
    except CronSimError as bad:
        raise BadCron(str(bad)) from bad
    if not starts:
        raise BadCron("never matches")
    if any(second - first < CLOSEST for first, second in pairwise(starts) if first != second):
        raise BadCron("must not match more often than once an hour")


def _intervals_from(window: Window, since: datetime) -> Iterator[Span]:
    """Those that end after `since`, as far as they lie between the window's own ends."""
    if window.rule is None:
        if window.ends_at is not None and window.ends_at > since:
            yield Span(window.starts_at, window.ends_at)
        return
    for start in _starts(window.rule, max(since, window.starts_at) - window.rule.duration):
        if window.ends_at is not None and start >= window.ends_at:
            return
        end = start + window.rule.duration
        part = Span(max(start, window.starts_at), end if window.ends_at is None else min(end, window.ends_at))
        if part.end > max(since, part.start):
            yield part


def _starts(rule: Weekly | Cron, since: datetime) -> Iterator[datetime]:
    """All beginnings, ascending, from some time before `since` on: a match may be moved by as much as a clock jumps."""
    if isinstance(rule, Cron):
        return (start.astimezone(UTC) for start in CronSim(rule.expression, (since - DAY).astimezone(rule.zone)))
    return _weekly_starts(rule, (since - DAY).astimezone(rule.zone).date())


def _weekly_starts(rule: Weekly, day: date) -> Iterator[datetime]:
    while True:
        if day.weekday() in rule.weekdays:
            yield first_instant(datetime.combine(day, rule.at), rule.zone)
        day += DAY


def first_instant(local: datetime, zone: tzinfo) -> datetime:
    """The first instant (UTC) at which the zone's clock reads `local`, or jumps over it."""
    late = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) <= local:
        return late
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _jump(early, late, local, zone)


def _jump(early: datetime, late: datetime, local: datetime, zone: tzinfo) -> datetime:
    """The second of the jump: before it, at `early`, the clock reads less than `local`; at `late` it reads more."""
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=int((late - early).total_seconds()) // 2)
        if middle.astimezone(zone).replace(tzinfo=None) >= local:
            late = middle
        else:
            early = middle
    return late


def spans_by_window[K](windows: Sequence[tuple[K, Window]], span: Span) -> list[tuple[K, Span]]:
    """Every interval with a part in `span`, with the key of its window."""
    return [(key, interval) for key, window in windows for interval in intervals(window, span)]
