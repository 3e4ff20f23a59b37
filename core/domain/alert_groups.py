"""Many alerts about changes for one channel: which go out by themselves, which become one message, and when that message is told again.

Promises: every alert is told by itself or in a group, never in both; a storm costs a channel a number of messages that does not grow with
the number of alerts; what a group told last is how its monitors are, or it will be told again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final
from uuid import UUID

from core.contracts.events import GroupFacts, GroupLine, LineState
from core.domain.alert_facts import AlertFacts

CHANGES: Final = frozenset({"down", "recovered", "flapping", "reminder", "escalated"})
"""The types that are about changes of a monitor, and can be grouped."""

RECOVERED: Final = "recovered"

NEVER_GROUPED: Final = frozenset({"pagerduty", "opsgenie", "webhook"})
"""Kinds of channels where programs listen, which tell incidents apart by themselves."""

EDITABLE: Final = frozenset({"discord", "telegram"})
"""Kinds whose messages can be replaced, whatever the channel's configuration."""

GATHER: Final = timedelta(seconds=5)
"""How long a group collects before it is told first."""

GAPS: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
"""The least time after the first, the second and any later message of a group until the next."""

EDIT_EVERY: Final = timedelta(seconds=30)
QUIET: Final = timedelta(minutes=1)
"""A group to which nothing was added for so long can end."""

LONGEST: Final = timedelta(minutes=30)
"""After so long a group ends although not everything is up: from then on recoveries are told by themselves."""

LOOK_EVERY: Final = timedelta(seconds=15)
LISTED: Final = 50
"""So many monitors are named: with names of 100 characters these are 30 kB at most, of the 256 kB that an event may have."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`alone` messages may be sent at once; another may for each `within` that has passed."""

    alone: int
    within: timedelta

    def take(self, free_at: datetime | None, now: datetime) -> datetime | None:
        """The new `free_at`, when all of them may be sent at once again; None: not now.

        One time is all that is remembered (the generic cell rate algorithm).
        """
        after = max(free_at or now, now) + self.within
        return after if after <= now + self.alone * self.within else None


class Earlier(Enum):
    """Where an earlier message of the same incident is: on its way by itself, or told by the group that is open."""

    ON_ITS_WAY = auto()
    GROUPED = auto()


@dataclass(frozen=True, slots=True)
class News:
    """An alert for one channel, as far as it matters here."""

    id: UUID
    alert_type: str
    order_key: UUID


@dataclass(frozen=True, slots=True)
class Placed:
    """Which alerts go by themselves and which into the group, and when the channel is free again."""

    alone: frozenset[UUID]
    grouped: frozenset[UUID]
    free_at: datetime | None


def place(news: Sequence[News], earlier: Mapping[UUID, Earlier], limit: Limit, free_at: datetime | None, now: datetime) -> Placed:
    """Decide about the alerts for one channel, in their order. `earlier` is by order key.

    Messages about one incident are ordered against each other, a group's message and others are not. So an alert follows an earlier
    one that is still on its way, or that the open group tells.
    """
    earlier = dict(earlier)
    alone: set[UUID] = set()
    grouped: set[UUID] = set()
    for one in news:
        where = earlier.get(one.order_key)
        if where is None and one.alert_type in CHANGES:
            after = limit.take(free_at, now)
            free_at = after or free_at
            where = Earlier.ON_ITS_WAY if after else Earlier.GROUPED
        (grouped if where is Earlier.GROUPED else alone).add(one.id)
        earlier[one.order_key] = where or Earlier.ON_ITS_WAY
    return Placed(frozenset(alone), frozenset(grouped), free_at)


@dataclass(frozen=True, slots=True)
class Group:
    """An open group. `told_at` is its latest message or edit, `posted_at` its latest message that was no edit: there were `posts`."""

    channel_kind: str
    opened_at: datetime
    folded_at: datetime
    revision: int = 0
    told_at: datetime | None = None
    posts: int = 0
    posted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What a group is about: how many of its monitors are down and up now, and what came since it was told.

    Whether alerts came since its latest message or edit (`untold`) and since its latest message (`unposted`), news of outages among
    these (`worse`), and whether the latest has no receipt yet (`on_its_way`).
    """

    down: int
    up: int
    untold: bool
    unposted: bool
    worse: bool
    on_its_way: bool


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the group now; fields as in `GroupFacts`."""

    replaces: bool = False
    final: bool = False


class Close:
    """Nothing is left to tell."""


type Look = Tell | Close | None


def look(group: Group, tally: Tally, now: datetime) -> Look:
    """What to do about a group now; None: look again later.

    It stays open while its latest message is on its way, so that nothing that changes meanwhile can arrive before it.
    """
    if tally.down + tally.up == 0:
        return Close()
    if group.posted_at is None or group.told_at is None:
        return Tell() if now >= group.opened_at + GATHER else None
    if now >= group.folded_at + QUIET and (tally.down == 0 or now >= group.opened_at + LONGEST):
        if tally.unposted:
            return Tell(final=True)
        return None if tally.on_its_way else Close()
    return _update(group, tally, group.told_at, group.posted_at, now) if tally.untold else None


def _update(group: Group, tally: Tally, told_at: datetime, posted_at: datetime, now: datetime) -> Tell | None:
    """News of outages make a new message, that people notice; the rest replaces the one before where that is possible."""
    if group.channel_kind not in EDITABLE:
        return Tell(replaces=not tally.worse) if now >= told_at + _gap(group.revision) else None
    if tally.worse and now >= posted_at + _gap(group.posts):
        return Tell()
    return Tell(replaces=True) if now >= told_at + EDIT_EVERY else None


def after(group: Group, telling: Tell, now: datetime) -> Group:
    """The group once it is told."""
    posts, posted_at = (group.posts, group.posted_at) if telling.replaces else (group.posts + 1, now)
    return Group(group.channel_kind, group.opened_at, group.folded_at, group.revision + 1, now, posts, posted_at)


def facts(group: Group, tally: Tally, listed: Sequence[tuple[str, AlertFacts]], telling: Tell, now: datetime) -> GroupFacts:
    """What the message says. `listed`: type and facts of what was told last of the first monitors, those that are down first."""
    lines = [line for alert_type, told in listed[:LISTED] if (line := _line(alert_type, told))]
    return GroupFacts(
        opened_at=group.opened_at,
        as_of=now,
        down=tally.down,
        up=tally.up,
        lines=lines,
        more=tally.down + tally.up - len(lines),
        replaces=telling.replaces,
        final=telling.final,
    )


def _line(alert_type: str, told: AlertFacts) -> GroupLine | None:
    if told.monitor is None:
        return None
    states: dict[str, LineState] = {RECOVERED: "up", "flapping": "flapping"}
    outage = told.incident if alert_type != "flapping" else None
    return GroupLine(
        monitor_id=told.monitor.id,
        kind=told.monitor.kind,
        name=told.monitor.name,
        state=states.get(alert_type, "down"),
        reason=outage.reason if outage else "",
        since=outage.began_at if outage else None,
        until=outage.resolved_at if outage else None,
    )


def _gap(told: int) -> timedelta:
    return GAPS[min(told, len(GAPS)) - 1]
