"""Whether a text is a schedule by cron or OnCalendar: no more than the core takes (`core.domain.recurrence`), which a test holds.

Loaded by the pings that create with a schedule only.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from oncalendar import BaseIterator, OnCalendarError, parse_tz

from lambdas.ping.address import BadRequest

CRON_FIELDS: Final = 5
LINES: Final = 10
LENGTH: Final = 1000
LOOKED_AT: Final = 60
CLOSEST: Final = timedelta(seconds=10)
MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
START: Final = datetime(2000, 1, 1)  # noqa: DTZ001  (times on a wall)


def check_zone(name: str) -> None:
    """Whether the IANA database has this time zone.

    Raises:
        BadRequest: it has not.
    """
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise BadRequest("tz is no time zone of the IANA database, such as Europe/Berlin") from None


def check(text: str, now: datetime) -> None:
    """Whether this is a schedule that is due again after `now`.

    Raises:
        BadRequest: it is not; the message says why.
    """
    if not text.strip() or len(text) > LENGTH:
        raise BadRequest(f"schedule must have 1 to {LENGTH} characters")
    wall = now.astimezone(UTC).replace(tzinfo=None) + timedelta(days=1)  # later than in any zone
    try:
        for times in _readers(text):
            gaps = [later - earlier for earlier, later in pairwise(islice(times(START), LOOKED_AT))]
            if any(gap < CLOSEST for gap in gaps):
                raise BadRequest("schedule must not be due more often than every ten seconds")
            if next(times(wall), None) is None:
                raise BadRequest("schedule has no time left that is still to come")
    except (CronSimError, OnCalendarError) as error:
        raise BadRequest(f"schedule is neither five fields of cron nor OnCalendar: {error}") from error


def _readers(text: str) -> list[Callable[[datetime], Iterator[datetime]]]:
    """For each line what lists its times after one."""
    words = text.split()
    if words[0].startswith("@") and text.strip() not in MACROS:
        raise BadRequest(f"schedule: known are {', '.join(MACROS)}")
    if words[0].startswith("@") or (len(words) == CRON_FIELDS and "\n" not in text.strip()):
        expression = MACROS.get(words[0], " ".join(words))
        return [lambda start: CronSim(expression, start)]
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    if len(lines) > LINES:
        raise BadRequest(f"schedule must have at most {LINES} lines")
    return [_on_calendar(line) for line in lines]


def _on_calendar(line: str) -> Callable[[datetime], Iterator[datetime]]:
    head, _, last = line.rpartition(" ")
    expression = head if head and parse_tz(last) else line
    return lambda start: BaseIterator(expression, start)
