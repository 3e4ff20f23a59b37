"""A clock on the wall that is looked at every minute: the slow and obvious way to find when a job runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

ZONES = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/Los_Angeles",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Asia/Kolkata",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Dublin",
    "Europe/London",
    "Europe/Riga",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "UTC",
)
BEGIN, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Job:
    """A job by both ways of saying when, and by what it means: the sets of minutes, hours and weekdays (0 is Monday)."""

    cron: str
    on_calendar: str
    minutes: frozenset[int]
    hours: frozenset[int]
    weekdays: frozenset[int]

    def runs_at(self, local: datetime) -> bool:
        return local.minute in self.minutes and local.hour in self.hours and local.weekday() in self.weekdays


def job(minutes: frozenset[int], hours: frozenset[int] | None, weekdays: frozenset[int] | None) -> Job:
    """None stands for every hour, every weekday."""
    minute_list, hour_list = _list(minutes), _list(hours) if hours else "*"
    days = weekdays or frozenset(range(7))
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    return Job(
        cron=f"{minute_list} {hour_list} * * {_list(frozenset((day + 1) % 7 for day in days)) if weekdays else '*'}",
        on_calendar=f"{','.join(names[day] for day in sorted(days)) + ' ' if weekdays else ''}*-*-* {hour_list}:{minute_list}:00",
        minutes=minutes,
        hours=hours or frozenset(range(24)),
        weekdays=days,
    )


def minutes_after(at: datetime, long: timedelta) -> Iterator[datetime]:
    """Every whole minute of UTC after `at`, for so long."""
    minute = at.replace(second=0, microsecond=0) + MINUTE
    while minute <= at + long:
        yield minute
        minute += MINUTE


def runs(
    this: Job, zone: ZoneInfo, after: datetime, long: timedelta, *, wanted: Callable[[datetime], bool]
) -> Iterator[datetime]:
    """When the job runs within `long` after `after`, looking at every minute; `wanted` chooses among the local times that match."""
    for minute in minutes_after(after, long):
        local = minute.astimezone(zone)
        if this.runs_at(local) and wanted(local):
            yield minute


def first_pass(local: datetime) -> bool:
    """As systemd: what comes twice counts the first time."""
    return local.fold == 0


def both_passes(local: datetime) -> bool:
    """As cron: whatever the clock shows."""
    return local.year > 0


@cache
def changes_of(zone: ZoneInfo) -> tuple[datetime, ...]:
    """The days of three years on which the clocks of a zone are set: the midnight of UTC before."""
    days = [BEGIN + timedelta(days=number) for number in range((END - BEGIN).days)]
    return tuple(
        day for day in days if day.astimezone(zone).utcoffset() != (day + timedelta(days=1)).astimezone(zone).utcoffset()
    )


def _list(numbers: frozenset[int]) -> str:
    return ",".join(map(str, sorted(numbers)))
