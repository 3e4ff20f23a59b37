"""Uptime: what is counted, how response times are sketched, and which stored pieces a range of time is made of.

Every moment of a monitor's life since its first check is exactly one of up, down, unknown and maintenance, or it is not counted because
the monitor was paused. The percentage is up in up + down: what we could not tell speaks neither for nor against the target.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

EXACT: Final = DAY
"""Edges of a range that are younger than this are exact; check results are kept for at least so long."""

HOURLY: Final = timedelta(days=31)
"""Edges younger than this fall on whole hours, older ones on whole days; hourly rollups are kept for longer."""

GROWTH: Final = 1.1
"""Bucket `n` of a sketch holds response times in `(GROWTH ** (n - 1), GROWTH ** n]` microseconds."""

SKETCH_ERROR: Final = (GROWTH - 1) / (GROWTH + 1)
"""The relative error that a percentile has at most: a bucket answers with the middle of its bounds."""


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """Durations of successful checks in microseconds. `buckets` is the sketch: counts by number of the bucket."""

    count: int = 0
    sum_us: int = 0
    min_us: int | None = None
    max_us: int | None = None
    buckets: Mapping[int, int] = field(default_factory=dict)

    @property
    def mean_us(self) -> float | None:
        """The arithmetic mean."""
        return self.sum_us / self.count if self.count else None

    def percentile_us(self, share: float) -> float | None:
        """The time that `share` (0 to 1) of the checks did not exceed, off by `SKETCH_ERROR` at most; None without checks."""
        wanted = share * self.count
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return self._within(2 * GROWTH**bucket / (GROWTH + 1))
        return None

    def __add__(self, other: "ResponseTimes") -> "ResponseTimes":
        merged = dict(self.buckets)
        for bucket, count in other.buckets.items():
            merged[bucket] = merged.get(bucket, 0) + count
        least = [us for us in (self.min_us, other.min_us) if us is not None]
        most = [us for us in (self.max_us, other.max_us) if us is not None]
        return ResponseTimes(
            self.count + other.count, self.sum_us + other.sum_us, min(least, default=None), max(most, default=None), merged
        )

    def _within(self, us: float) -> float:
        """No estimate beyond what was seen."""
        assert self.min_us is not None, "times that are counted have bounds"
        assert self.max_us is not None, "times that are counted have bounds"
        return min(max(us, self.min_us), self.max_us)


@dataclass(frozen=True, slots=True)
class Tally:
    """How long a monitor was what, in milliseconds, and how many checks (or pings) say so."""

    up_ms: int = 0
    down_ms: int = 0
    unknown_ms: int = 0
    maintenance_ms: int = 0
    results: int = 0
    responses: ResponseTimes = field(default_factory=ResponseTimes)

    @property
    def percentage(self) -> float | None:
        """Up in up + down; None when neither was seen."""
        known = self.up_ms + self.down_ms
        return 100 * self.up_ms / known if known else None

    @property
    def counted_ms(self) -> int:
        """All four kinds together: the range less the time before the first check and the pauses."""
        return self.up_ms + self.down_ms + self.unknown_ms + self.maintenance_ms

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.up_ms + other.up_ms,
            self.down_ms + other.down_ms,
            self.unknown_ms + other.unknown_ms,
            self.maintenance_ms + other.maintenance_ms,
            self.results + other.results,
            self.responses + other.responses,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` (included) to `end` (not)."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a range is put together from: daily and hourly rollups, and facts where there are none or an edge lies inside an hour."""

    days: tuple[Span, ...]
    hours: tuple[Span, ...]
    facts: tuple[Span, ...]


def counted_range(start: datetime, end: datetime, now: datetime) -> Span:
    """The range that is counted for a wished one: never beyond `now`, old edges moved outwards to a whole hour or day.

    Needs `start < end` and `start < now`.
    """
    return Span(_floor(start, _grain(start, now)), min(_ceil(end, _grain(end, now)), now))


def pieces(span: Span, rolled_until: datetime) -> Pieces:
    """Cut a range: hours before `rolled_until` are rolled up, and so are the days that end by then."""
    first, last = _ceil(span.start, HOUR), min(_floor(span.end, HOUR), rolled_until)
    if first >= last:
        return Pieces((), (), (span,))
    first_day, last_day = _ceil(first, DAY), _floor(last, DAY)
    facts = _present(Span(span.start, first), Span(last, span.end))
    if first_day >= last_day:
        return Pieces((), (Span(first, last),), facts)
    return Pieces((Span(first_day, last_day),), _present(Span(first, first_day), Span(last_day, last)), facts)


def floor_hour(at: datetime) -> datetime:
    """The beginning of the hour (UTC)."""
    return _floor(at, HOUR)


def floor_day(at: datetime) -> datetime:
    """The beginning of the day (UTC)."""
    return _floor(at, DAY)


def _grain(edge: datetime, now: datetime) -> timedelta | None:
    age = now - edge
    if age <= EXACT:
        return None
    return HOUR if age <= HOURLY else DAY


def _floor(at: datetime, grain: timedelta | None) -> datetime:
    if grain is None:
        return at
    utc = at.astimezone(UTC)
    return utc - (utc - _EPOCH) % grain


def _ceil(at: datetime, grain: timedelta | None) -> datetime:
    if grain is None:
        return at
    floor = _floor(at, grain)
    return floor if floor == at else floor + grain


def _present(*spans: Span) -> tuple[Span, ...]:
    return tuple(span for span in spans if span.start < span.end)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
