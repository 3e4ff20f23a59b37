"""The queue of names against a clock of the test's own: what it asks at once, and what it waits for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from unittest.mock import Mock

from core.adapters.name_queue import BURST_S, MOST_FRESH, QUIET_S, ROOM_AT_ONCE, SLOW_S, NameQueue


@dataclass
class Clock:
    """As much of an event loop as the queue uses. `at` rings what is due on time, `stall` lets time pass without the loop turning."""

    now: float = 0.0
    alarms: list[tuple[float, Callable[[float], None], float]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, due: float, ring: Callable[[float], None], told: float) -> object:
        self.alarms.append((due, ring, told))
        return Mock(spec=asyncio.TimerHandle)

    def at(self, moment: float) -> None:
        while due := [alarm for alarm in self.alarms if alarm[0] <= moment]:
            first = min(due, key=lambda alarm: alarm[0])
            self.alarms.remove(first)
            self.now = max(self.now, first[0])
            first[1](first[2])
        self.now = moment

    def stall(self, seconds: float) -> None:
        self.now += seconds
        self.at(self.now)


def queue_of(clock: Clock, asked: list[str], **options: float) -> NameQueue:
    return NameQueue(cast("asyncio.AbstractEventLoop", clock), asked.append, **options)


def names(count: int) -> list[str]:
    return [f"n{number}.test" for number in range(count)]


def test_no_more_are_asked_about_than_answers_fit_and_each_answer_makes_room_for_one() -> None:
    clock, asked = Clock(), list[str]()
    queue = queue_of(clock, asked)
    for name in names(1000):
        queue.put(name)
    assert asked == names(MOST_FRESH)
    for place, name in enumerate(names(1000), start=1):
        queue.answered(name)
        assert asked == names(min(1000, MOST_FRESH + place))


def test_names_whose_servers_are_silent_make_room_a_few_at_a_time() -> None:
    clock, asked = Clock(), list[str]()
    queue = queue_of(clock, asked)
    for name in names(1000):
        queue.put(name)
    clock.at(QUIET_S * 0.99)
    assert len(asked) == MOST_FRESH
    for quiet in (1, 2, 3):
        clock.at(QUIET_S * (quiet + 0.5))
        assert len(asked) == MOST_FRESH + quiet * ROOM_AT_ONCE


def test_what_is_silent_while_others_are_answered_makes_room_when_it_had_its_time() -> None:
    clock, asked = Clock(), list[str]()
    queue = queue_of(clock, asked)
    for name in names(1000):
        queue.put(name)
    answered = 0
    for step in range(1, 11):
        clock.at(SLOW_S / 10 * step - 0.001)
        queue.answered(names(1000)[step])
        answered += 1
    assert len(asked) == MOST_FRESH + answered, "there was never a quiet moment, and nobody had waited for long"
    clock.at(SLOW_S + 0.001)
    assert len(asked) == 2 * MOST_FRESH, "all that were asked about at the start have had their time"


def test_a_loop_that_was_held_up_reads_before_it_takes_silence_for_an_answer() -> None:
    clock, asked = Clock(), list[str]()
    queue = queue_of(clock, asked)
    for name in names(1000):
        queue.put(name)
    clock.stall(3.0)
    assert len(asked) == MOST_FRESH
    for name in names(MOST_FRESH):
        queue.answered(name)
    assert len(asked) == 2 * MOST_FRESH
    clock.at(clock.now + QUIET_S * 0.99)
    assert len(asked) == 2 * MOST_FRESH, "the next silence begins with the last answer"


def test_a_loop_that_was_held_up_does_not_wait_for_the_dead_for_ever() -> None:
    clock, asked = Clock(), list[str]()
    queue = queue_of(clock, asked)
    for name in names(1000):
        queue.put(name)
    clock.stall(3.0)
    clock.at(clock.now + QUIET_S)
    assert len(asked) == 2 * MOST_FRESH


def test_a_limit_is_kept_whatever_is_answered() -> None:
    clock, asked = Clock(), list[str]()
    queue = queue_of(clock, asked, questions_per_s=200)
    for name in names(1000):
        queue.put(name)
    burst = round(BURST_S * 100)
    for tenth in range(50):
        clock.at(tenth / 10 + 0.001)
        for name in asked:
            queue.answered(name)
        assert len(asked) == burst + 1 + 10 * tenth, "two questions for each name"


def test_a_pause_does_not_save_up_more_than_a_burst() -> None:
    clock, asked = Clock(), list[str]()
    queue = queue_of(clock, asked, questions_per_s=200)
    clock.at(60)
    for name in names(100):
        queue.put(name)
    assert len(asked) == round(BURST_S * 100) + 1


def test_names_that_still_wait_are_given_back() -> None:
    clock, asked = Clock(), list[str]()
    queue = queue_of(clock, asked)
    for name in names(MOST_FRESH + 3):
        queue.put(name)
    assert queue.clear() == names(MOST_FRESH + 3)[MOST_FRESH:]
    assert queue.clear() == []
