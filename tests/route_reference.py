"""What routes say of the outages of a monitor, said a second time and as simply as possible; and routes that are made up."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from hypothesis import strategies as st

type Channels = frozenset[UUID]

DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Subject:
    """A monitor, as routes see it."""

    tag: str
    severity: str


@dataclass(frozen=True)
class Step:
    """Who is told of an outage that has lasted so long."""

    after: timedelta
    channels: Channels


@dataclass(frozen=True)
class Quiet:
    """Each day from so long after midnight (UTC), for so long; outages that are critical are told, unless `critical_too`."""

    begins: timedelta
    lasts: timedelta
    critical_too: bool


@dataclass(frozen=True)
class Route:
    """For monitors with a tag and of a severity, as far as it names them. Nobody is in two steps."""

    steps: tuple[Step, ...]
    repeat: timedelta | None = None
    quiet: Quiet | None = None
    tag: str = ""
    severity: str = ""

    @property
    def first(self) -> Channels:
        """Those who are told first."""
        return self.steps[0].channels

    @property
    def delay(self) -> timedelta:
        """How long an outage lasts until they are."""
        return self.steps[0].after

    def quiet_until(self, subject: Subject, now: datetime) -> datetime | None:
        """When quiet hours end that keep what is about this monitor."""
        if self.quiet is None or (subject.severity == "critical" and not self.quiet.critical_too):
            return None
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for begins in (midnight - DAY + self.quiet.begins, midnight + self.quiet.begins):
            if begins <= now < begins + self.quiet.lasts:
                return begins + self.quiet.lasts
        return None


def route_of(subject: Subject, routes: Sequence[Route], everybody: Collection[UUID]) -> Route:
    """The first that fits; without one all are told at once."""
    fitting = [route for route in routes if route.tag in {"", subject.tag} and route.severity in {"", subject.severity}]
    return fitting[0] if fitting else Route((Step(timedelta(), frozenset(everybody)),))


MADE_UP_QUIET: Final = st.builds(
    Quiet,
    st.sampled_from([timedelta(hours=12, minutes=20), timedelta(hours=13), timedelta(hours=22)]),
    st.sampled_from([timedelta(minutes=40), timedelta(hours=15)]),
    st.booleans(),
)
"""Histories begin at noon."""


@st.composite
def made_up_routes(draw: st.DrawFn, channels: Sequence[UUID]) -> Route:
    """Routes of one or two steps: the first tells some of the channels, the second all others."""
    first = draw(st.sets(st.sampled_from(channels), min_size=1))
    delay = timedelta(seconds=draw(st.sampled_from([0, 0, 900])))
    steps = [Step(delay, frozenset(first))]
    if others := frozenset(channels) - first:
        steps.append(Step(delay + timedelta(seconds=draw(st.sampled_from([240, 1500]))), others))
    return Route(
        tuple(steps),
        draw(st.sampled_from([None, timedelta(minutes=20)])),
        draw(st.none() | MADE_UP_QUIET),
        tag=draw(st.sampled_from(["", "", "db"])),
        severity=draw(st.sampled_from(["", "", "critical", "warning"])),
    )
