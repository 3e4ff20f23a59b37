"""When a job is expected to run: every so often, by cron, or by systemd's OnCalendar; in UTC, over every change of the clocks.

Cron and systemd read a clock on the wall, and differ where that clock is set: in the repeated hour systemd passes over the second pass and
cron does not; a time that is skipped systemd passes over too, while some crons run it right after. The later of the due times is the one
that counts, so the rule is the same for both: a time that does not exist is not due, one that comes twice is due the first time, and
nothing is due in the second pass. What `cronsim` and `oncalendar` are asked for is therefore wall time without a zone; the zone is
applied here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import merge
from itertools import count, groupby, islice, pairwise
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from oncalendar import BaseIterator, OnCalendarError, parse_tz

UTC_ZONE: Final = ZoneInfo("UTC")
CRON_FIELDS: Final = ("minute", "hour", "day of month", "month", "day of week")
MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
CLOSEST: Final = timedelta(seconds=10)
"""Nothing may be due more often; as the shortest period."""

LINES: Final = 10
_LOOKED_AT: Final = 60
_RULED_SINCE: Final = datetime(2000, 1, 1, tzinfo=UTC)


class BadRecurrence(ValueError):
    """No schedule; the message is for people, and goes on after the name of the field."""


class Unreadable(BadRecurrence):
    """It is not written as this kind is."""


@dataclass(frozen=True, slots=True)
class Period:
    """Again `seconds` after the last ping. The zone is for words only."""

    seconds: int
    zone: ZoneInfo = UTC_ZONE


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields in local time, with the meaning that Debian's cron gives them, or a macro such as `@daily`."""

    expression: str
    zone: ZoneInfo = UTC_ZONE


@dataclass(frozen=True, slots=True)
class OnCalendar:
    """Expressions of systemd.time(7), one a line; a line may end with a zone of its own."""

    expression: str
    zone: ZoneInfo = UTC_ZONE


type Recurrence = Period | Cron | OnCalendar


def next_due(recurrence: Recurrence, after: datetime) -> datetime | None:
    """The first due time after `after` (aware), in UTC and strictly later; None where no time is left."""
    return next(upcoming(recurrence, after), None)


def upcoming(recurrence: Recurrence, after: datetime) -> Iterator[datetime]:
    """All due times after `after`, ascending."""
    match recurrence:
        case Period(seconds):
            return (after.astimezone(UTC) + timedelta(seconds=seconds * number) for number in count(1))
        case Cron(expression, zone):
            return _instants(CronSim(MACROS.get(expression, expression), _on_the_wall(after, zone)), zone, after)
        case OnCalendar(expression, zone):
            lines = _lines(expression, zone)
            each = [_instants(BaseIterator(line, _on_the_wall(after, own)), own, after) for line, own in lines]
            return (instant for instant, _ in groupby(merge(*each)))


def usual_gap(recurrence: Recurrence, after: datetime) -> timedelta | None:
    """The longest time between two of the next sixty due times; None where there are not two."""
    if isinstance(recurrence, Period):
        return timedelta(seconds=recurrence.seconds)
    times = islice(upcoming(recurrence, after), _LOOKED_AT)
    return max((later - earlier for earlier, later in pairwise(times)), default=None)


def scheduled(kind: str | None, text: str, zone: ZoneInfo) -> Cron | OnCalendar:
    """The schedule that a text means as `cron` or `oncalendar`, or what it looks like where the kind is None.

    Raises:
        BadRecurrence: it is none.
    """
    match kind:
        case "cron":
            return cron(text, zone)
        case "oncalendar":
            return on_calendar(text, zone)
        case _:
            return guessed(text, zone)


def guessed(text: str, zone: ZoneInfo) -> Cron | OnCalendar:
    """The schedule that a text means: five words and macros are cron, anything else is OnCalendar.

    Raises:
        BadRecurrence: it is neither.
    """
    if len(text.split()) == len(CRON_FIELDS) and "\n" not in text.strip():
        return cron(text, zone)
    if text.strip().startswith("@"):
        return cron(text, zone)
    try:
        return on_calendar(text, zone)
    except Unreadable as bad:
        raise BadRecurrence(f"is neither five fields of cron nor OnCalendar ({bad})") from bad


def cron(text: str, zone: ZoneInfo) -> Cron:
    """A cron schedule.

    Raises:
        BadRecurrence: it cannot be read, or never matches.
    """
    expression = " ".join(text.split())
    if expression.startswith("@"):
        if expression not in MACROS:
            raise BadRecurrence(f"{expression} is no schedule; known are {', '.join(MACROS)}")
    elif (fields := len(expression.split())) != len(CRON_FIELDS):
        raise BadRecurrence(f"a cron expression has five fields ({', '.join(CRON_FIELDS)}), this has {fields}")
    try:
        CronSim(MACROS.get(expression, expression), _RULED_SINCE.replace(tzinfo=None))
    except CronSimError as bad:
        raise BadRecurrence(_field_in_words(expression, str(bad))) from bad
    schedule = Cron(expression, zone)
    if next_due(schedule, _RULED_SINCE) is None:
        raise BadRecurrence("never matches")
    return schedule


def on_calendar(text: str, zone: ZoneInfo) -> OnCalendar:
    """A schedule of systemd; empty lines are dropped.

    Raises:
        BadRecurrence: a line cannot be read or never matches, there are too many, or it is due more often than every ten seconds.
    """
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadRecurrence("is empty")
    if len(lines) > LINES:
        raise BadRecurrence(f"has {len(lines)} lines, more than {LINES}")
    for number, line in enumerate(lines, 1):
        where = f"line {number}, {line}" if len(lines) > 1 else line
        try:
            first = next_due(OnCalendar(line, zone), _RULED_SINCE)
        except OnCalendarError as bad:
            raise Unreadable(f"{where}: {_lowered(bad)}") from bad
        if first is None:
            raise BadRecurrence(f"{where}: never matches")
    schedule = OnCalendar("\n".join(lines), zone)
    times = islice(upcoming(schedule, _RULED_SINCE), _LOOKED_AT)
    if any(later - earlier < CLOSEST for earlier, later in pairwise(times)):
        raise BadRecurrence("must not be due more often than every ten seconds")
    return schedule


def _instants(matches: Iterator[datetime], zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Those of these times on the wall that come after `after`: of two passes the first, of a time that is skipped none."""
    for local in matches:
        instant = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if instant > after and instant.astimezone(zone).replace(tzinfo=None) == local:
            yield instant


def _on_the_wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


@lru_cache(maxsize=1024)
def _lines(expression: str, zone: ZoneInfo) -> tuple[tuple[str, ZoneInfo], ...]:
    return tuple(_line(line, zone) for line in expression.split("\n"))


def _line(line: str, zone: ZoneInfo) -> tuple[str, ZoneInfo]:
    head, _, last = line.rpartition(" ")
    own = parse_tz(last) if head else None
    return (head, own) if own else (line, zone)


def _field_in_words(expression: str, complaint: str) -> str:
    """`Bad day-of-month` as `the day of month (32) is not valid`."""
    name = complaint.removeprefix("Bad ").replace("-", " ")
    if name not in CRON_FIELDS:
        return _lowered(complaint)
    return f"the {name} ({expression.split()[CRON_FIELDS.index(name)]}) is not valid"


def _lowered(complaint: object) -> str:
    text = str(complaint)
    return text[:1].lower() + text[1:]
