"""The agenda of a probe loop: together, never early, nothing lost."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from core.checker.agenda import TICKS_PER_S, Agenda
from core.domain.probes import ProbeRequest
from core.domain.transitions import MonitorRef
from core.domain.website import Policy
from core.flows.websites import Job

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def job(number: int) -> Job:
    monitor = MonitorRef(number, UUID(int=number), UUID(int=0), "website", "shop", "http://x/")
    request = ProbeRequest(number, "http://x/", "GET", 1000, (), True, 5, True)
    return Job(monitor, Policy(60, 10, 3, 1), request, UUID(int=1), NOW, NOW)


def numbers(taken: list[tuple[Job, float]]) -> list[int]:
    return [item.monitor.id for item, _ in taken]


def test_those_due_in_one_tick_start_together_and_others_do_not() -> None:
    agenda = Agenda()
    for number, due in enumerate((100.001, 100.049, 100.051)):
        agenda.add(due, job(number), start_by=200.0 + number)
    assert agenda.take(100.04) == []
    assert agenda.next_at() == 100.05
    assert agenda.take(100.05) == [(job(0), 200.0), (job(1), 201.0)]
    assert numbers(agenda.take(100.1)) == [2]
    assert agenda.next_at() is None


def test_the_longest_due_comes_first_and_then_who_was_added_first() -> None:
    agenda = Agenda()
    for number, due in enumerate((30.0, 10.0, 20.0, 10.0)):
        agenda.add(due, job(number), start_by=99.0)
    assert numbers(agenda.take(30.0)) == [1, 3, 2, 0]


def test_few_start_together_by_the_quarter_of_a_second() -> None:
    agenda = Agenda()
    for number, due in enumerate((100.001, 100.24, 100.251)):
        agenda.add(due, job(number), start_by=200.0, calm=True)
    agenda.add(100.01, job(3), start_by=200.0)
    assert numbers(agenda.take(100.05)) == [3]
    assert agenda.next_at() == 100.25
    assert numbers(agenda.take(100.25)) == [0, 1]
    assert numbers(agenda.take(100.5)) == [2]


def test_a_website_can_be_taken_out_before_its_time() -> None:
    agenda = Agenda()
    for number in range(3):
        agenda.add(100.0 + number // 2, job(number), start_by=200.0)
    assert numbers(agenda.take_out(UUID(int=1))) == [1]
    assert agenda.take_out(UUID(int=1)) == []
    assert len(agenda) == 2
    assert numbers(agenda.take(101.0)) == [0, 2]


@given(st.lists(st.floats(0, 20), max_size=60), st.lists(st.floats(0, 20), max_size=20))
def test_nobody_starts_early_or_more_than_a_tick_late_and_nobody_is_lost(dues: list[float], looks: list[float]) -> None:
    agenda = Agenda()
    for number, due in enumerate(dues):
        agenda.add(due, job(number), start_by=99.0)
    tick_s = 1 / TICKS_PER_S
    started: list[int] = []
    for now in [*sorted(looks), 20.0 + tick_s]:
        taken = numbers(agenda.take(now))
        assert all(dues[number] <= now for number in taken)
        assert {number for number, due in enumerate(dues) if due + tick_s <= now} <= {*started, *taken}
        started += taken
    assert sorted(started) == list(range(len(dues)))
    assert len(agenda) == 0
