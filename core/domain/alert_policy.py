"""Whether an alert about a change of state is sent now, held until later, or dropped because a later one tells more.

One promise: once everything due is decided, the last thing that people heard is how the monitor is, or the alert that says so is held, and
decided again at a known time. Of a monitor's undecided alerts only the latest can be held, so there is never a queue of old news; in quiet
hours also the end of the outage that people were told of last.

Other reasons to hold are further entries in `_reasons_to_hold`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.domain.maintenance import Window, covers, held_until
from core.domain.uptime import Span

FLAP_CHANGES: Final = 6
FLAP_WITHIN: Final = timedelta(minutes=30)
"""So many changes within this time, and a monitor is flapping."""

STABLE: Final = timedelta(minutes=10)
"""A flapping monitor that has not changed for so long has settled."""

TOLD_AT_MOST: Final = 4
TOLD_WITHIN: Final = timedelta(hours=1)
"""So many outages of a monitor are told within this time; one more waits until the first of them is that old. Each is followed by one
recovery at most, which is never kept back: it ends what people, and their pagers, were told."""

LOOK_BACK: Final = max(FLAP_WITHIN, TOLD_WITHIN)
"""How far back from the earliest change `Facts.counted` and `Facts.told` have to reach."""

LOOK_AGAIN: Final = timedelta(minutes=5)
"""How long a hold without an end of its own lasts: what ends it moves it up; this is for when that is lost."""

PARENT_GRACE: Final = timedelta(minutes=1)
PARENT_LOOK: Final = timedelta(seconds=5)
"""How long an alert waits for a parent that was not checked since, or whose failures are not confirmed yet, and how often it looks."""


LEAST_PATIENCE: Final = timedelta(minutes=1)
MOST_PATIENCE: Final = timedelta(minutes=5)
MOST_PATIENCE_OF_JOBS: Final = timedelta(hours=1)


class Heard(StrEnum):
    """What people were told last about a monitor."""

    NOTHING = ""
    DOWN = "down"
    UP = "recovered"
    FLAPPING = "flapping"


class Why(StrEnum):
    """Why an alert is held or was dropped. `UNTOLD`: a recovery from an outage that nobody was told of."""

    MAINTENANCE = "maintenance"
    DEPENDENCY = "dependency"
    FLAPPING = "flapping"
    PAUSED = "paused"
    MUTED = "muted"
    QUIET_HOURS = "quiet_hours"
    DELAYED = "delayed"
    UNTOLD = "untold"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Change:
    """An undecided alert: the outage that began at `began_at` was confirmed (`went_down`), or has ended.

    `at` is when we knew, `ended_at` when its outage ended (None while it lasts), `held` why it is being held already.
    """

    went_down: bool
    at: datetime
    began_at: datetime
    ended_at: datetime | None
    held: Why | None = None


@dataclass(frozen=True, slots=True)
class Outage:
    """The latest incident of a parent."""

    id: UUID
    began_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Parent:
    """What a monitor depends on. `watched`: neither paused nor unknown. `failing`: it has failures that are not confirmed yet.

    `checked_at` is when somebody looked last; None for a heartbeat, at which nobody can look.
    """

    watched: bool
    failing: bool
    outage: Outage | None
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides about the alerts of one monitor.

    `counted` are the times of changes that count for flapping, `told` those at which outages were told; `windows` are those that apply to
    the monitor; `patience` is how long the monitor may need to be well again after its parent is. `muted_until` may have passed. By the
    route of its alerts an outage is told after `delay`, and nothing before `quiet_until`.
    """

    heard: Heard
    counted: Sequence[datetime] = ()
    windows: Sequence[Window] = ()
    parent: Parent | None = None
    patience: timedelta = timedelta(minutes=1)
    paused: bool = False
    muted_until: datetime | None = None
    delay: timedelta = timedelta()
    quiet_until: datetime | None = None
    told: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """Tell people now. `text` says why they hear it late, if they do."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Decide again at `until`. With `flapping` people are told so now; `cause` is the outage of the parent behind it.

    With `ask_parent` the parent is to be checked now.
    """

    until: datetime
    why: Why
    cause: UUID | None = None
    flapping: bool = False
    ask_parent: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody needs to hear it. `flapping` and `cause` as for `Hold`."""

    why: Why
    cause: UUID | None = None
    flapping: bool = False


type Decision = Send | Hold | Drop

LATE: Final = {
    Why.MAINTENANCE: "This was held back during a maintenance window, which is over.",
    Why.DEPENDENCY: "This was held back because of what it depends on.",
    Why.FLAPPING: f"It had been flapping and has not changed for {STABLE.seconds // 60} minutes now.",
    Why.PAUSED: "This was held back while it was paused.",
    Why.MUTED: "This was held back while it was muted.",
    Why.QUIET_HOURS: "This was held back during quiet hours.",
    Why.THROTTLED: f"This was held back because {TOLD_AT_MOST} outages of it were told within {TOLD_WITHIN.seconds // 60} minutes.",
}


def decide(changes: Sequence[Change], facts: Facts, now: datetime) -> list[Decision]:
    """A decision about each of a monitor's undecided alerts, oldest first; only the last can be a `Hold`, and the end of what was told."""
    decisions: list[Decision] = []
    for number, change in enumerate(changes, 1):
        decision = _decide(change, facts, now, latest=number == len(changes))
        tells_outage = change.went_down and isinstance(decision, Send)
        told = [*facts.told, now] if tells_outage else facts.told
        facts = replace(facts, heard=_heard_after(facts.heard, change, decision), told=told)
        decisions.append(decision)
    return decisions


def hold_again(change: Change, facts: Facts, now: datetime) -> Hold | None:
    """Whether more about an outage that was told and lasts has to wait: it does wherever it would if it had been held before."""
    return _hold(replace(change, held=change.held or Why.DELAYED), replace(facts, delay=timedelta(), told=()), now)


def patience(kind: str, recovery: timedelta) -> timedelta:
    """How long a monitor may need to be seen well again after its parent is: `recovery` by its own settings, within bounds.

    Websites are checked at once when their parent comes up, so they need no whole interval. A job has to run first.
    """
    return min(max(recovery, LEAST_PATIENCE), MOST_PATIENCE_OF_JOBS if kind == "heartbeat" else MOST_PATIENCE)


def is_flapping(counted: Sequence[datetime], at: datetime) -> bool:
    """Whether the change at `at` is the one too many."""
    return sum(at - FLAP_WITHIN < time <= at for time in counted) >= FLAP_CHANGES


def flapping_text(*, down: bool) -> str:
    """What people are told when a monitor begins to flap."""
    state = "down" if down else "up"
    return (
        f"It changed {FLAP_CHANGES} times within {FLAP_WITHIN.seconds // 60} minutes and is {state} at the moment. "
        f"You will hear how it is once it has not changed for {STABLE.seconds // 60} minutes."
    )


def _decide(change: Change, facts: Facts, now: datetime, *, latest: bool) -> Decision:
    if not change.went_down and facts.heard not in {Heard.DOWN, Heard.FLAPPING}:
        return Drop(Why.UNTOLD)
    if facts.heard is Heard.FLAPPING:
        return _settling(change, facts, now, latest=latest)
    if not change.went_down and facts.quiet_until:
        return Hold(facts.quiet_until, Why.QUIET_HOURS)
    if change.went_down and (kept_back := _kept_back(change, facts, now)):
        return kept_back
    settled = latest and now >= change.at + STABLE
    if is_flapping(facts.counted, change.at) and not settled:
        return Hold(change.at + STABLE, Why.FLAPPING, flapping=True) if latest else Drop(Why.FLAPPING, flapping=True)
    return Send(LATE.get(change.held, "") if change.held else "")


def _settling(change: Change, facts: Facts, now: datetime, *, latest: bool) -> Decision:
    """People know that it flaps: they hear of the change after which nothing changed any more."""
    if not latest:
        return Drop(Why.FLAPPING)
    if now < change.at + STABLE:
        return Hold(change.at + STABLE, Why.FLAPPING)
    hold = _hold(change, facts, now) if change.went_down else _quiet_hours(change, facts, now)
    return hold or Send(LATE[Why.FLAPPING])


def _kept_back(change: Change, facts: Facts, now: datetime) -> Hold | Drop | None:
    """An outage that lasts is held while something explains it; one that is over is dropped if something explained all of it."""
    if change.ended_at is None:
        return _hold(change, facts, now)
    why = change.held or (Why.MUTED if _muted(change, facts, now) else None) or _untimely(change.at, change.ended_at, facts)
    if why:
        return Drop(why)
    known_late = change.ended_at < change.at
    if covers(facts.windows, Span(change.began_at if known_late else change.at, change.ended_at)):
        return Drop(Why.MAINTENANCE)
    outage = facts.parent.outage if facts.parent else None
    if outage and outage.began_at <= change.at and (outage.resolved_at is None or change.at <= outage.resolved_at):
        return Drop(Why.DEPENDENCY, outage.id)
    return Drop(Why.THROTTLED) if _told_enough_until(facts, now) else None


def _untimely(at: datetime, ended_at: datetime, facts: Facts) -> Why | None:
    """Why its route tells nobody of an outage that is over: it was too short, or it is not the time."""
    if facts.quiet_until:
        return Why.QUIET_HOURS
    return Why.DELAYED if facts.delay and ended_at < at + facts.delay else None


def _hold(change: Change, facts: Facts, now: datetime) -> Hold | None:
    return next((hold for reason in _reasons_to_hold if (hold := reason(change, facts, now))), None)


def _maintenance(change: Change, facts: Facts, now: datetime) -> Hold | None:
    """What began before the window is told, unless it was being held anyway."""
    until = held_until(facts.windows, now)
    if until is None or not (change.held or covers(facts.windows, Span(change.at, change.at))):
        return None
    return Hold(until, Why.MAINTENANCE)


def _dependency(change: Change, facts: Facts, now: datetime) -> Hold | None:
    """A parent that nobody watches explains nothing; one that came up leaves its children some time to do so, too.

    Parent and child fail together, and whichever is checked first is seen first: so the parent is asked before the child is told.
    """
    parent = facts.parent
    if parent is None or not parent.watched:
        return None
    outage = parent.outage
    if outage and outage.resolved_at is None:
        return Hold(now + LOOK_AGAIN, Why.DEPENDENCY, outage.id)
    if outage and outage.resolved_at and change.began_at <= outage.resolved_at and now < outage.resolved_at + facts.patience:
        return Hold(outage.resolved_at + facts.patience, Why.DEPENDENCY, outage.id)
    not_asked = parent.checked_at is not None and parent.checked_at < change.began_at
    if (parent.failing or not_asked) and now < change.at + PARENT_GRACE:
        return Hold(min(now + PARENT_LOOK, change.at + PARENT_GRACE), Why.DEPENDENCY, ask_parent=not_asked)
    return None


def _paused(change: Change, facts: Facts, now: datetime) -> Hold | None:
    """Nobody looks any more, so nobody knows whether what was held is still true."""
    return Hold(now + LOOK_AGAIN, Why.PAUSED) if facts.paused and change.held else None


def _muted(_change: Change, facts: Facts, now: datetime) -> Hold | None:
    """What began before somebody asked for silence is held as well: it was not told yet."""
    return Hold(facts.muted_until, Why.MUTED) if facts.muted_until and now < facts.muted_until else None


def _quiet_hours(_change: Change, facts: Facts, _now: datetime) -> Hold | None:
    return Hold(facts.quiet_until, Why.QUIET_HOURS) if facts.quiet_until else None


def _delayed(change: Change, facts: Facts, now: datetime) -> Hold | None:
    """An outage that is over before its time is told to nobody."""
    return Hold(change.at + facts.delay, Why.DELAYED) if now < change.at + facts.delay else None


def _throttle(_change: Change, facts: Facts, now: datetime) -> Hold | None:
    """Outages of which one follows the other too slowly to be flapping, but all day long."""
    until = _told_enough_until(facts, now)
    return Hold(until, Why.THROTTLED) if until else None


def _told_enough_until(facts: Facts, now: datetime) -> datetime | None:
    """When another outage may be told; None: now."""
    recent = sorted(at for at in facts.told if now - TOLD_WITHIN < at)
    return recent[-TOLD_AT_MOST] + TOLD_WITHIN if len(recent) >= TOLD_AT_MOST else None


_reasons_to_hold: Final[Sequence[Callable[[Change, Facts, datetime], Hold | None]]] = (
    _maintenance,
    _dependency,
    _paused,
    _muted,
    _quiet_hours,
    _delayed,
    _throttle,
)


def _heard_after(heard: Heard, change: Change, decision: Decision) -> Heard:
    if isinstance(decision, Send):
        return Heard.DOWN if change.went_down else Heard.UP
    if isinstance(decision, Hold) and not change.went_down and decision.why is Why.QUIET_HOURS:
        return Heard.UP  # they will have heard it before anything that happens later
    return Heard.FLAPPING if decision.flapping else heard
