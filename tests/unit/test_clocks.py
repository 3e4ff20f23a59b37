"""A wall clock that is set by an hour, told from one that drifts; and beat, which must not mind."""

import math
from datetime import UTC, datetime

import pytest

from core.checker.app import app
from core.checker.beat import SteadyEntry
from core.checker.clocks import SKEW_S, ClockWatch, SteadyWallClock, steady

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


class Clocks:
    """A machine's two clocks."""

    def __init__(self) -> None:
        self.wall_s = NOON
        self.steady_s = 500.0

    def wall(self) -> float:
        return self.wall_s

    def steady(self) -> float:
        return self.steady_s

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 60.0])
def test_a_jump_is_seen_until_it_is_settled(jump: float) -> None:
    clocks = Clocks()
    watch = ClockWatch(clocks.wall, clocks.steady)
    assert watch.jump() == -math.inf
    watch.settle()
    clocks.go(5000)
    assert watch.jump() == 0
    clocks.wall_s += jump
    assert watch.jump() == jump
    clocks.go(1)
    assert watch.jump() == jump
    watch.settle()
    assert watch.jump() == 0


@pytest.mark.parametrize(("jump", "looks_again"), [(3600.0, False), (-3600.0, True)])
def test_who_wrote_by_the_old_clock_after_it_was_set_back_is_found_once(jump: float, looks_again: bool) -> None:
    clocks = Clocks()
    watch = ClockWatch(clocks.wall, clocks.steady)
    watch.settle()
    clocks.wall_s += jump
    watch.settle()
    clocks.go(SKEW_S - 1)
    assert watch.jump() == 0
    clocks.go(1)
    assert watch.jump() == (-math.inf if looks_again else 0)
    watch.settle()
    clocks.go(10 * SKEW_S)
    assert watch.jump() == 0


def test_small_corrections_never_add_up_to_a_jump() -> None:
    clocks = Clocks()
    watch = ClockWatch(clocks.wall, clocks.steady)
    watch.settle()
    for _ in range(100):
        clocks.wall_s += 1.0
        assert watch.jump() == 0


def test_a_machine_that_was_not_stopped_saw_no_jump() -> None:
    watch = ClockWatch()
    watch.settle()
    assert watch.jump() == 0
    assert steady() <= steady()


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_beat_goes_on_evenly_when_the_wall_clock_is_set(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    clocks = Clocks()
    monkeypatch.setattr(SteadyEntry, "clock", SteadyWallClock(clocks.wall, clocks.steady))
    entry = next(SteadyEntry(name="tick", task="check_due_websites", schedule=1.0, app=app))
    assert not entry.is_due()[0]
    clocks.wall_s += jump
    assert not entry.is_due()[0]
    runs = 0
    for _ in range(10):
        clocks.go(1.0)
        runs += entry.is_due()[0]
        entry = next(entry)
    assert runs == 10
