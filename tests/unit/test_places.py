"""Whatever becomes of the senders of a monitor's messages to one channel, nothing is heard out of its place, and nobody waits without need.

`Order` itself works here, on a table in memory. What it has to know is said a second time, as simply as possible.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.alert_dispatch.order import LEASE, Order
from lambdas.alert_dispatch.places import AlreadySent, Claimed, Newer, Outage, Place, Superseded, Wait
from tests.dispatch_in_memory import memory_order
from tests.edge_reference import Ending

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
RECOVERY: Final = 1_000_000
OUTAGES: Final = (1, 2, 3)
SEQUENCES: Final = (1, 2, 3, RECOVERY)
WAIT: Final = timedelta(seconds=5)


def began(outage: int) -> datetime:
    return NOW + timedelta(hours=outage)


def ended(outage: int) -> datetime:
    return began(outage) + timedelta(minutes=10)


def place(outage: int, sequence: int) -> Place:
    about = Outage(UUID(int=9 - outage), began(outage), began(outage) + timedelta(minutes=1))
    if sequence == RECOVERY:
        about = replace(about, ended_at=ended(outage))
    return Place(UUID(int=1), UUID(int=2), sequence, supersedable=sequence != RECOVERY, outage=about)


@dataclass
class Truth:
    """What happened so far, by outage and sequence. `sent`: for sure. `doubtful`: it may have arrived."""

    sent: set[tuple[int, int]] = field(default_factory=set)
    doubtful: set[tuple[int, int]] = field(default_factory=set)
    tried: dict[tuple[int, int], int] = field(default_factory=dict)
    turns: dict[tuple[int, int], datetime] = field(default_factory=dict)
    came: set[int] = field(default_factory=set)
    over: set[int] = field(default_factory=set)
    """The outages whose end was tried while they were the latest."""

    leased_until: datetime = NOW
    leased_by: int = -1

    def newer(self, outage: int) -> Newer | None:
        latest = max(self.came, default=0)
        return Newer(began(latest), ended(latest) if latest in self.over else None) if latest > outage else None

    def due(self, outage: int, sequence: int, now: datetime) -> type[AlreadySent | Claimed | Superseded | Wait]:
        """What must come of a message that is received now."""
        later = {at for of, at in self.sent if of == outage and at > sequence}
        if (outage, sequence) in self.sent:
            return AlreadySent
        if sequence != RECOVERY and (later or (self.newer(outage) and any(of == outage for of, _ in self.sent))):
            return Superseded
        may_have_come = any(of == outage and at > sequence for of, at in self.doubtful)
        return Wait if now <= self.leased_until or (may_have_come and sequence != RECOVERY) else Claimed

    def ends(self, outage: int, sequence: int, ending: Ending, now: datetime, by: int) -> None:
        this = (outage, sequence)
        self.leased_by = -1
        if not self.newer(outage):
            self.over |= {outage} if sequence == RECOVERY else set()
        self.came.add(outage)
        self.tried[this] = self.tried.get(this, 0) + (ending is not Ending.POSTPONED)
        self.turns.pop(this, None)
        match ending:
            case Ending.TAKEN:
                self.sent.add(this)
                self.doubtful -= {(of, at) for of, at in self.doubtful if of == outage and at <= sequence}
            case Ending.UNANSWERED:
                self.doubtful.add(this)
            case Ending.ENDED:
                self.doubtful.discard(this)
            case Ending.POSTPONED:
                self.turns[this] = now + WAIT
            case Ending.KILLED:
                self.doubtful.add(this)
                self.leased_until = now + LEASE
                self.leased_by = by

    def comes_back(self, outage: int, sequence: int, by: int) -> None:
        """Who seemed to be killed was slow, and has sent it after all."""
        self.sent.add((outage, sequence))
        if by == self.leased_by:
            self.leased_until, self.leased_by = NOW, -1


@settings(max_examples=400)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(OUTAGES),
            st.sampled_from(SEQUENCES),
            st.sampled_from(Ending),
            st.sampled_from([0, 1, 31]),
            st.booleans(),
        ),
        min_size=5,
        max_size=40,
    )
)
def test_nothing_is_out_of_its_place_and_nobody_waits_without_need(steps: list[tuple[int, int, Ending, int, bool]]) -> None:
    order, truth, now = memory_order(), Truth(), NOW + timedelta(days=1)
    slow: list[tuple[int, int, Claimed]] = []
    for number, (outage, sequence, ending, seconds, somebody_comes_back) in enumerate(steps):
        now += timedelta(seconds=seconds)
        if slow and somebody_comes_back:
            of, at, claimed = slow.pop(0)
            order.finish(place(of, at), claimed, now)
            truth.comes_back(of, at, int(claimed.token))
        turn = order.claim(place(outage, sequence), str(number), now)
        assert type(turn) is truth.due(outage, sequence, now)
        if not isinstance(turn, Claimed):
            continue
        assert turn.newer == truth.newer(outage)
        assert turn.tries == truth.tried.get((outage, sequence), 0)
        assert turn.turn_at == truth.turns.get((outage, sequence))
        assert (sequence in turn.doubtful) == ((outage, sequence) in truth.doubtful)
        _end(order, place(outage, sequence), turn, ending, now)
        truth.ends(outage, sequence, ending, now, number)
        if ending is Ending.KILLED:
            slow.append((outage, sequence, turn))


def _end(order: Order, place: Place, claimed: Claimed, ending: Ending, now: datetime) -> None:
    match ending:
        case Ending.TAKEN:
            order.finish(place, claimed, now)
        case Ending.REFUSED:
            order.release(place, claimed, unsure=place.sequence in claimed.doubtful)
        case Ending.UNANSWERED:
            order.release(place, claimed, unsure=True)
        case Ending.POSTPONED:
            order.postpone(place, claimed, now + WAIT)
        case Ending.ENDED:
            order.release(place, claimed)
        case Ending.KILLED:
            pass
