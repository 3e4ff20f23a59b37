"""What alert_dispatch must know of the messages it sends, said a second time and as simply as possible.

Which were tried and may have arrived, and who must wait for whom; and what a channel may hear.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final
from uuid import UUID

from core.contracts.events import AlertRequested
from lambdas.alert_dispatch.places import PASSING, SUPERSEDABLE, Newer

LEASE: Final = timedelta(seconds=30)


class Ending(Enum):
    """Of a try, as its sender sees it: `ENDED` without any other to follow. Whoever is `KILLED` sees nothing, and tidies nothing up."""

    TAKEN = auto()
    REFUSED = auto()
    UNANSWERED = auto()
    POSTPONED = auto()
    ENDED = auto()
    KILLED = auto()


@dataclass(frozen=True)
class Heard:
    """What reached a channel, whether it said that there is a newer outage, and whether its sender could know that it arrived."""

    data: AlertRequested
    newer: Newer | None
    is_known: bool


@dataclass
class Edge:
    """What happened to all messages.

    `doubts` has the places of an outage that may have arrived on a channel, `leases` says how long who was killed keeps a story.
    """

    tries: Counter[UUID] = field(default_factory=Counter)
    doubts: dict[tuple[UUID, UUID], set[int]] = field(default_factory=lambda: defaultdict(set))
    leases: dict[tuple[UUID, UUID], datetime] = field(default_factory=dict)
    postponed: dict[UUID, datetime] = field(default_factory=dict)

    def is_first_try(self, data: AlertRequested) -> bool:
        """Whoever waited for a turn has not tried."""
        return not self.tries[data.delivery_id]

    def ends(self, data: AlertRequested, ending: Ending, now: datetime, turn_at: datetime | None = None) -> None:
        """A try ended."""
        doubts = self.doubts[_outage(data)]
        self.tries[data.delivery_id] += ending is not Ending.POSTPONED
        if ending in {Ending.UNANSWERED, Ending.KILLED}:
            doubts.add(data.sequence)
        if ending is Ending.TAKEN:
            doubts -= {place for place in doubts if place <= data.sequence}
        if ending is Ending.KILLED:
            self.leases[_story(data)] = now + LEASE
        if turn_at:
            self.postponed[data.delivery_id] = turn_at

    def may_wait(self, data: AlertRequested, now: datetime) -> bool:
        """Whether a message that was not tried had a reason.

        Who was killed has its story in hand; its own turn has not come; or a later one that tells its story may have arrived.
        """
        later = max(self.doubts[_outage(data)], default=0) > data.sequence
        return (
            self.leases.get(_story(data), datetime.min.replace(tzinfo=UTC)) >= now
            or self.postponed.get(data.delivery_id, now) > now
            or (later and data.alert_type in SUPERSEDABLE)
        )


def _story(data: AlertRequested) -> tuple[UUID, UUID]:
    assert data.monitor
    return data.channel_id, data.monitor.id


def _outage(data: AlertRequested) -> tuple[UUID, UUID]:
    assert data.incident
    return data.channel_id, data.incident.id


def goes_back(heard: list[Heard]) -> list[Heard]:
    """What one channel heard of one monitor, and should not have heard any more.

    Of each outage nothing comes after what came later; nor does anything of an earlier outage after a later one, unless it says so. And it
    says so only then, or where the channel may have heard of that later outage. Of one that it is known to know the end alone is worth it,
    and that it flapped nothing at all.
    """
    wrong = []
    places: dict[UUID, int] = {}
    known: dict[UUID, int] = {}
    latest = datetime.min.replace(tzinfo=UTC)
    for one in heard:
        assert one.data.incident
        about, opened = one.data.incident.id, one.data.incident.opened_at
        before = places.get(about, -1)
        out_of_place = one.data.sequence < before
        untrue = one.newer is not None and one.newer.began_at <= one.data.incident.began_at
        knows = 0 < known.get(about, 0) < one.data.sequence and one.data.alert_type in SUPERSEDABLE
        idle = one.newer is not None and (knows or one.data.alert_type in PASSING)
        unsaid = one.newer is None and opened < latest
        if out_of_place or untrue or idle or unsaid:
            wrong.append(one)
        places[about] = max(before, one.data.sequence)
        known |= {about: one.data.sequence} if one.is_known else {}
        latest = max(latest, opened)
    return wrong
