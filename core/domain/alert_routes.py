"""Who is told of an alert and when: the routes of a workspace.

The first route that matches decides alone. Nobody needs one: what none matches goes to every channel at once, and so does what matches a
route of which no channel is left, at the time that the route says. Steps are counted from the first that is told: one that reaches nobody
gives its place to the next.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.contracts.events import AlertType
from core.domain.heartbeat_schedule import duration
from core.domain.maintenance import first_instant
from core.domain.uptime import DAY


class Severity(StrEnum):
    """How much an alert matters. That of an outage is a setting of its monitor."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Topic(StrEnum):
    """What alerts are about: outages, ends of certificates and domains, or what we ourselves cannot do."""

    OUTAGES = "outages"
    ENDINGS = "endings"
    SERVICE = "service"


class Chosen(StrEnum):
    """By what the channels of an alert were chosen."""

    EVERYBODY = ""
    ROUTE = "route"
    FALLBACK = "fallback"


TOPICS: Final[Mapping[str, Topic]] = {
    "certificate_expiring": Topic.ENDINGS,
    "domain_expiring": Topic.ENDINGS,
    "not_monitored": Topic.SERVICE,
    "monitored_again": Topic.SERVICE,
    "channel_disabled": Topic.SERVICE,
}
"""By type of alert; all others are about outages."""

SEVERITIES: Final[Mapping[str, Severity]] = {
    "certificate_expiring": Severity.WARNING,
    "domain_expiring": Severity.WARNING,
    "not_monitored": Severity.WARNING,
    "monitored_again": Severity.INFO,
    "channel_disabled": Severity.WARNING,
    "degraded": Severity.WARNING,
    "fast_again": Severity.INFO,
}
"""By type of alert; outages have that of their monitor."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What routes ask about an alert. `monitor`, `kind` and `tags` are empty where it is about no single monitor."""

    topic: Topic
    severity: Severity
    monitor: UUID | None = None
    kind: str = ""
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Match:
    """What a route is for: each set that is not empty must have the alert's value, `tags` any of its tags."""

    monitors: frozenset[UUID] = frozenset()
    tags: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """These channels are told so long after the outage was confirmed."""

    after: timedelta
    channels: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From one local time to another, beginning on these weekdays (0 is Monday). Critical alerts pass, unless they are meant, too."""

    weekdays: frozenset[int]
    begins: time
    ends: time
    zone: tzinfo
    critical_too: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A route. Its steps are in the order of their times, and there is at least one."""

    name: str
    match: Match
    steps: tuple[Step, ...]
    repeat: timedelta | None = None
    quiet: QuietHours | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is told of an alert and when: every channel once, in its first step. Steps are empty only where no channel is enabled."""

    steps: tuple[Step, ...]
    chosen: Chosen = Chosen.EVERYBODY
    route: Route | None = None

    @property
    def first(self) -> tuple[UUID, ...]:
        """Those who are told first; alerts that are not about a lasting outage go to nobody else."""
        return self.steps[0].channels if self.steps else ()

    @property
    def repeat(self) -> timedelta | None:
        """How often people are reminded of an outage that lasts."""
        return self.route.repeat if self.route else None


@dataclass(frozen=True, slots=True)
class Course:
    """What was told of an outage that lasts: since when, to which channels, and when they were reminded last (at first `since`)."""

    since: datetime
    reminded_at: datetime
    told: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Due:
    """Who is told of a lasting outage now: for the first time, and once more."""

    first_told: tuple[UUID, ...]
    reminded: tuple[UUID, ...]


def subject_of(
    alert_type: AlertType, severity: Severity, monitor: UUID | None = None, kind: str = "", tags: Collection[str] = ()
) -> Subject:
    """An alert as routes see it; `severity` is that of its monitor."""
    topic = TOPICS.get(alert_type, Topic.OUTAGES)
    return Subject(topic, SEVERITIES.get(alert_type, severity), monitor, kind, frozenset(tags))


def matching(subject: Subject, routes: Sequence[Route]) -> Route | None:
    """The first route that matches."""
    return next((route for route in routes if _matches(route.match, subject)), None)


def plan(route: Route | None, enabled: Collection[UUID]) -> Plan:
    """Who is told by a route, or without one; `enabled` are all channels that alerts can go to."""
    everybody = tuple(sorted(set(enabled)))
    if route is None:
        return Plan((Step(timedelta(), everybody),) if everybody else ())
    steps = _that_reach(route.steps, enabled)
    if steps:
        return Plan(steps, Chosen.ROUTE, route)
    return Plan((Step(route.steps[0].after, everybody),) if everybody else (), Chosen.FALLBACK, route)


def delay(route: Route | None) -> timedelta:
    """How long an outage must last before anybody is told."""
    return route.steps[0].after if route else timedelta()


def quiet_until(route: Route | None, severity: Severity, now: datetime) -> datetime | None:
    """When the quiet hours end in which `now` lies, for an alert of this severity; None where they do not keep it."""
    quiet = route.quiet if route else None
    if quiet is None or (severity is Severity.CRITICAL and not quiet.critical_too):
        return None
    today = now.astimezone(quiet.zone).date()
    for day in (today - DAY, today):
        if day.weekday() in quiet.weekdays:
            begins = first_instant(datetime.combine(day, quiet.begins), quiet.zone)
            last = day if quiet.begins < quiet.ends else day + DAY
            ends = first_instant(datetime.combine(last, quiet.ends), quiet.zone)
            if begins <= now < ends:
                return ends
    return None


def due(plan: Plan, course: Course, enabled: Collection[UUID], now: datetime) -> Due:
    """Who is told of a lasting outage now: those whose step has come, and, where that is due, again all who were told."""
    late = [uid for step in plan.steps if _at(plan, course, step) <= now for uid in step.channels if uid not in course.told]
    again = course.told & set(enabled) if _remind_at(plan, course, now) else frozenset()
    return Due(tuple(late), tuple(sorted(again)))


def after(course: Course, told: Due, plan: Plan, now: datetime) -> Course:
    """The course once these were told."""
    reminded_at = now if _remind_at(plan, course, now) else course.reminded_at
    return replace(course, reminded_at=reminded_at, told=course.told | set(told.first_told))


def next_at(plan: Plan, course: Course) -> datetime | None:
    """When somebody is told next if the outage lasts; None: nobody ever."""
    times = [_at(plan, course, step) for step in plan.steps if not course.told.issuperset(step.channels)]
    if plan.repeat:
        times.append(course.reminded_at + plan.repeat)
    return min(times, default=None)


def still_down_text(began_at: datetime, now: datetime) -> str:
    """What people are told of an outage that lasts."""
    minutes = max(int((now - began_at).total_seconds()) // 60, 1)
    return f"It has been down for {duration(minutes * 60)}, and nobody has acknowledged it."


def _matches(match: Match, subject: Subject) -> bool:
    return (
        (not match.monitors or subject.monitor in match.monitors)
        and (not match.tags or not match.tags.isdisjoint(subject.tags))
        and (not match.kinds or subject.kind in match.kinds)
        and (not match.topics or subject.topic in match.topics)
        and (not match.severities or subject.severity in match.severities)
    )


def _that_reach(steps: Sequence[Step], enabled: Collection[UUID]) -> tuple[Step, ...]:
    """The steps with channels that are enabled and in none before; the first of them at the time of the very first."""
    seen: set[UUID] = set()
    found: list[Step] = []
    for step in steps:
        channels = tuple(uid for uid in dict.fromkeys(step.channels) if uid in enabled and uid not in seen)
        seen.update(channels)
        if channels:
            found.append(Step(step.after if found else steps[0].after, channels))
    return tuple(found)


def _at(plan: Plan, course: Course, step: Step) -> datetime:
    """Later steps follow the first that was told, however late it was: nobody is called at once because an alert was held."""
    return course.since + (step.after - plan.steps[0].after)


def _remind_at(plan: Plan, course: Course, now: datetime) -> bool:
    return plan.repeat is not None and course.reminded_at + plan.repeat <= now
