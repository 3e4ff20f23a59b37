"""Two beats, one lease: exactly one leads, and where nobody can be asked, better two than none."""

from dataclasses import dataclass, field

import pytest

from core import metrics
from core.checker.app import app
from core.checker.leadership import ASK_S, LEASE_S, Leadership


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Shelf:
    """Where the lease lies: by its holder, until a time."""

    clock: Clock
    holder: str | None = None
    until: float = 0.0
    reachable: bool = True
    asked: int = 0


@dataclass
class Claim:
    """One process's access to it."""

    shelf: Shelf
    name: str = field(default="")

    def hold(self, seconds: float) -> bool | None:
        self.shelf.asked += 1
        if not self.shelf.reachable:
            return None
        if self.shelf.holder not in {None, self.name} and self.shelf.clock.now < self.shelf.until:
            return False
        self.shelf.holder, self.shelf.until = self.name, self.shelf.clock.now + seconds
        return True

    def release(self) -> None:
        if self.shelf.holder == self.name:
            self.shelf.holder = None


@dataclass
class Two:
    clock: Clock
    shelf: Shelf
    first: Leadership
    second: Leadership

    def lead(self) -> tuple[bool, bool]:
        return self.first.leads(), self.second.leads()

    def leading_after(self, seconds: float) -> tuple[bool, bool]:
        self.clock.now += seconds
        return self.lead()


@pytest.fixture
def two() -> Two:
    clock = Clock()
    shelf = Shelf(clock)
    return Two(clock, shelf, *(Leadership(Claim(shelf, name), clock) for name in ("first", "second")))


def test_the_first_leads_and_goes_on_leading(two: Two) -> None:
    assert [two.leading_after(ASK_S) for _ in range(20)] == [(True, False)] * 20


def test_the_lease_is_not_asked_for_at_every_tick(two: Two) -> None:
    for _ in range(10):
        two.first.leads()
    assert two.shelf.asked == 1


def test_who_stands_by_leads_when_the_lease_of_a_dead_leader_has_ended(two: Two) -> None:
    two.lead()
    waited = 0.0
    while not two.second.leads():
        two.clock.now += 0.5
        waited += 0.5
    assert LEASE_S <= waited <= LEASE_S + ASK_S + 0.5


def test_a_leader_that_was_stopped_for_longer_than_its_lease_asks_before_it_ticks(two: Two) -> None:
    two.lead()
    two.clock.now += LEASE_S + 1
    assert two.second.leads()
    assert not two.first.leads()


def test_a_leader_that_cannot_renew_within_its_lease_would_not_tick_without_asking(two: Two) -> None:
    """Between two questions its own clock ends the term."""
    two.lead()
    two.first._asked_at = two.clock.now + LEASE_S  # as if it were not time to ask
    two.clock.now += LEASE_S
    assert not two.first.leads()


def test_a_leader_that_resigns_is_followed_at_the_next_question(two: Two) -> None:
    two.lead()
    two.first.resign()
    two.clock.now += ASK_S
    assert two.second.leads()


def test_who_resigns_without_leading_takes_nothing_away(two: Two) -> None:
    two.lead()
    two.second.resign()
    assert two.leading_after(ASK_S)[0]


def test_where_nobody_can_be_asked_both_tick_and_one_of_them_afterwards(two: Two) -> None:
    two.lead()
    two.shelf.reachable = False
    assert two.leading_after(LEASE_S + ASK_S) == (True, True)
    two.shelf.reachable = True
    assert sum(two.leading_after(ASK_S)) == 1


def test_a_lost_lease_goes_to_one_of_them(two: Two) -> None:
    two.lead()
    two.shelf.holder = None  # all of Redis is lost
    assert sum(two.leading_after(ASK_S)) == 1
    assert sum(two.leading_after(ASK_S)) == 1


def test_beat_turns_often_enough_to_ask_three_times_within_a_lease() -> None:
    between_questions = app.conf.beat_max_loop_interval
    assert between_questions > ASK_S
    assert 2 * between_questions < LEASE_S


def test_the_metric_says_who_leads(two: Two) -> None:
    two.first.leads()
    assert metrics.BEAT_LEADS._value.get() == 1
    two.second.leads()
    assert metrics.BEAT_LEADS._value.get() == 0
