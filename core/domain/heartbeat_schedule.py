"""When a heartbeat's pings are expected, and how much is tolerated: late, early, long and short."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.domain.recurrence import Cron, OnCalendar, Period, Recurrence, next_due, upcoming

EARLY_SHARE: Final = 0.1
EARLY_AT_MOST: Final = timedelta(seconds=60)
"""How early a ping may be where nobody says: a tenth of the time between two, and no more than this."""

MOST_FAILURES: Final = 20
"""The highest `failure_threshold`."""

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Schedule:
    """A ping is expected by `recurrence` and may be late by `grace_s`.

    `early_s`: by how much a ping may come before its time; None for the default. A period has no times to be early for.
    `max_run_s`: how long a run may take from its start; None for as long as the grace. `min_run_s`: a run that ends sooner has failed;
    0 for any. `failure_threshold`: so many failures in a row, missed pings among them, before somebody is told. `sticky_pause`: only a
    person ends a pause, no ping.
    """

    recurrence: Recurrence
    grace_s: int
    early_s: int | None = None
    max_run_s: int | None = None
    min_run_s: int = 0
    failure_threshold: int = 1
    sticky_pause: bool = False

    @property
    def grace(self) -> timedelta:
        """Tolerated lateness."""
        return timedelta(seconds=self.grace_s)

    @property
    def max_run(self) -> timedelta:
        """Tolerated length of a run."""
        return timedelta(seconds=self.grace_s if self.max_run_s is None else self.max_run_s)

    @property
    def min_run(self) -> timedelta:
        """A run that takes less has failed."""
        return timedelta(seconds=self.min_run_s)

    @property
    def zone(self) -> ZoneInfo:
        """The zone that its times are told in."""
        return self.recurrence.zone

    @property
    def rule(self) -> str:
        """When, without what is tolerated: `every 1 d`, `cron 0 12 * * *`."""
        match self.recurrence:
            case Period(seconds):
                return f"every {duration(seconds)}"
            case Cron(expression):
                return f"cron {expression}"
            case OnCalendar(expression):
                return f"OnCalendar {expression.replace('\n', '; ')}"

    @property
    def words(self) -> str:
        """The schedule as messages name it, e.g. `every 1 d, grace 1 h` or `cron 0 12 * * * Europe/Riga, grace 10 min`."""
        where = "" if isinstance(self.recurrence, Period) else f" {self.zone.key}"
        return f"{self.rule}{where}, grace {duration(self.grace_s)}"

    def due_after_ping(self, at: datetime) -> datetime | None:
        """When the next ping is due after one at `at`, in UTC; None where no time is left.

        One that comes a little early is that of the time to come, unless it is nearer to the one before: then it is the late ping of that.
        """
        times = upcoming(self.recurrence, at)
        due = next(times, None)
        if due is None or isinstance(self.recurrence, Period):
            return due
        ahead = due - at
        if ahead > self._early_at_most:
            return due
        following = next(times, None)
        if ahead > self._early(due, following):
            return due
        nearest = next_due(self.recurrence, at - ahead - timedelta(microseconds=1))
        return following if nearest == due else due

    def early_for(self, due: datetime) -> timedelta:
        """How early the ping that is due then may come; nothing for a period, whose pings are due by the last one."""
        if isinstance(self.recurrence, Period):
            return timedelta()
        return self._early(due, next_due(self.recurrence, due))

    @property
    def _early_at_most(self) -> timedelta:
        return EARLY_AT_MOST if self.early_s is None else timedelta(seconds=self.early_s)

    def _early(self, due: datetime, following: datetime | None) -> timedelta:
        if self.early_s is not None or following is None:
            return self._early_at_most
        return min((following - due) * EARLY_SHARE, EARLY_AT_MOST)


def every(period_s: int, grace_s: int) -> Schedule:
    """The plain schedule: a period and a grace, in seconds."""
    return Schedule(Period(period_s), grace_s)


def duration(seconds: int) -> str:
    """Seconds in words of whole units, e.g. `1 d`, `1 h 30 min`, `45 s`."""
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
