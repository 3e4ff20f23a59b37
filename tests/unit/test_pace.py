"""How often due websites are looked for: what the fleet says, and what beat makes of it."""

import threading
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from celery.beat import ScheduleEntry

from core.checker.app import app
from core.checker.beat import AHEAD_HEADER, DUE_AT_HEADER, PACED, PunctualScheduler, SteadyEntry
from core.checker.clocks import SteadyWallClock
from core.checker.grid import Grid
from core.checker.leadership import Leadership
from core.checker.pace import CALM_S, MEMORY_S, MOST_AT_ONCE, PROMPT_S, Nudge, Pacer
from tests.waiting import until


class Board:
    """What was said last."""

    def __init__(self, pace: float | None = None) -> None:
        self.pace = pace

    def told(self) -> float | None:
        return self.pace

    def tell(self, seconds: float) -> None:
        self.pace = seconds


class Clock:
    """Seconds that go on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def pace_after(rate: float, seconds: int) -> float | None:
    """What is said after `seconds` with a look each second that finds `rate` websites."""
    board, clock = Board(), Clock()
    pacer = Pacer(board, clock)
    for _ in range(seconds):
        clock.now += 1
        pacer.found(round(rate))
    return board.pace


def test_few_websites_are_looked_for_calmly_and_many_promptly() -> None:
    calmly = MOST_AT_ONCE / CALM_S
    assert pace_after(0, 30) == CALM_S
    assert pace_after(calmly, 30) == CALM_S
    assert pace_after(calmly + 1, 30) == PROMPT_S


def test_after_a_start_nobody_knows_yet() -> None:
    assert pace_after(0, round(MEMORY_S) - 1) == PROMPT_S


def test_a_burst_is_over_after_a_while() -> None:
    board, clock = Board(), Clock()
    pacer = Pacer(board, clock)
    clock.now += MEMORY_S
    pacer.found(10 * MOST_AT_ONCE)
    assert board.pace == PROMPT_S
    clock.now += MEMORY_S
    pacer.found(1)
    assert board.pace == CALM_S


def test_a_look_that_somebody_asked_for_has_the_pace_of_the_others() -> None:
    assert Pacer(Board(CALM_S)).pace_s() == CALM_S
    assert Pacer(Board()).pace_s() == PROMPT_S


def test_looks_are_asked_for_at_most_once_a_second_and_none_is_forgotten() -> None:
    clock = Clock()
    asked: list[float] = []
    nudge = Nudge(lambda: asked.append(clock.now), clock)
    for _ in range(3):
        nudge()
    assert len(asked) == 1
    until(lambda: len(asked) == 2)
    clock.now += PROMPT_S
    nudge()
    assert len(asked) == 3


def test_once_closed_nobody_is_asked() -> None:
    asked = threading.Event()
    nudge = Nudge(asked.set, Clock())
    nudge.close()
    nudge()
    assert not asked.is_set()


class Granted:
    """The lease of the only beat there is."""

    def hold(self, seconds: float) -> bool:
        return True

    def release(self) -> None:
        pass


class Beat(PunctualScheduler):
    """Sends nothing: keeps what it would send."""

    producer: ClassVar[Any] = None

    def __init__(self, board: Board) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        super().__init__(app, pace=board, leadership=Leadership(Granted()), lazy=True)
        self.max_interval = 5  # longer than any schedule here

    def send_task(self, name: str, *_args: Any, producer: Any = None, **options: Any) -> None:
        self.sent.append((name, options))


class Wall:
    """The two clocks of a machine, seconds after noon."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def wall(self) -> float:
        return datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() + self.elapsed

    def steady(self) -> float:
        return self.elapsed


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    clocks = Wall()
    monkeypatch.setattr(SteadyEntry, "clock", SteadyWallClock(clocks.wall, clocks.steady))
    return clocks


def runs_of(beat: Beat, board: Board, wall: Wall, seconds: int, paces: dict[int, float | None]) -> list[tuple[int, Any]]:
    """When a task was sent, to the second, and with what, while the fleet says what `paces` says from a second on."""
    runs: list[tuple[int, Any]] = []
    for tenth in range(10 * seconds):
        wall.elapsed = tenth / 10
        board.pace = paces.get(tenth // 10, board.pace) if tenth % 10 == 0 else board.pace
        known = len(beat.sent)
        while beat.tick() == 0:
            continue
        runs += [(tenth // 10, options) for _, options in beat.sent[known:]]
    return runs


def entry(name: str, period_s: float) -> ScheduleEntry:
    """An entry that ran when it was made, by the clock of the test. Its task is none of ours, which would really be sent."""
    return next(SteadyEntry(name=name, task=f"not {name}", schedule=Grid(period_s), options={"expires": period_s}, app=app))


def test_beat_follows_the_fleet_from_one_run_to_the_next(wall: Wall) -> None:
    board = Board()
    beat = Beat(board)
    beat.schedule = {PACED: entry(PACED, PROMPT_S)}
    runs = runs_of(beat, board, wall, 60, {10: CALM_S, 30: PROMPT_S, 40: None, 50: 3600.0})
    times = [second for second, _ in runs]
    assert times == [*range(1, 10), 10, 12, 16, 20, 24, 28, *range(32, 50), 50, 52, 56]
    ahead = [options["headers"][AHEAD_HEADER] for _, options in runs]
    assert ahead[:-1] == [later - earlier for earlier, later in pairwise(times)], "a look goes as far as to the next"
    assert [options["expires"] for _, options in runs] == ahead
    assert all(DUE_AT_HEADER in options["headers"] for _, options in runs)


def test_tasks_of_one_period_are_sent_together_whenever_they_began(wall: Wall) -> None:
    board = Board(CALM_S)
    beat = Beat(board)
    beat.schedule = {PACED: entry(PACED, PROMPT_S)}
    wall.elapsed = 1.7
    beat.schedule = {**beat.schedule, "other": entry("other", CALM_S), "tenfold": entry("tenfold", 10 * CALM_S)}
    sent: dict[int, set[str]] = {}
    for second in range(2, 130):
        wall.elapsed = float(second)
        known = len(beat.sent)
        while beat.tick() == 0:
            continue
        if names := {name.removeprefix("not ") for name, _ in beat.sent[known:]}:
            sent[second] = names
    assert sent[4] == {PACED, "other"}
    assert {second for second, names in sent.items() if "other" in names} == set(range(4, 130, 4))
    assert {second for second, names in sent.items() if PACED in names} >= set(range(4, 130, 4))
    assert [second for second, names in sent.items() if "tenfold" in names] == [40, 80, 120]


def test_beat_sleeps_until_an_entry_is_due_and_does_not_spin(wall: Wall) -> None:
    beat = Beat(Board())
    beat.schedule = {"other": entry("other", CALM_S)}
    wall.elapsed = 0.5
    assert beat.tick() == pytest.approx(CALM_S - 0.5)
    wall.elapsed = CALM_S - 0.005
    assert beat.tick() == pytest.approx(0.005, abs=1e-6)
