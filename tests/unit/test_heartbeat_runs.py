"""Runs told apart by their ids: a hung one among healthy ones, any order, and runs that are too long or too short."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.heartbeat import Heartbeat, HeartbeatState, PingFact, PingKind
from core.domain.heartbeat_runs import MOST_ENDED, MOST_OPEN, NO_RUNS, Run, Runs
from core.domain.heartbeat_schedule import every
from core.domain.heartbeat_watch import MARGIN, EdgeStamp, EdgeState, Postponed, judge, rearmed
from core.domain.outcomes import MonitorState, Reason
from core.domain.transitions import CameUp, WentDown
from tests.heartbeat_steps import MONITOR, after, at, key, missed, ping, scheduled, seen_at_edge

LONG_RUNS = replace(every(3600, 300), max_run_s=1800)
"""Hourly, 5 minutes late at most, and half an hour long."""


def test_a_hung_run_among_healthy_ones_is_found() -> None:
    pings = [
        ping(1, "start", 0, rid=1),
        ping(2, "start", 1, rid=2),
        ping(3, "success", 5, rid=2),
        ping(4, "start", 20, rid=3),
        ping(5, "success", 25, rid=3),
    ]
    heartbeat, told = after(pings, scheduled(LONG_RUNS))
    assert (heartbeat.state.state, told, heartbeat.state.deadline_at) == (MonitorState.UP, [], at(30))
    verdict = missed(heartbeat, pings, at(31))
    assert verdict.transition == WentDown(
        MONITOR, at(30), Reason.HEARTBEAT_MISSED, f"run {key(1)} started at 12:00 UTC and did not end within 30 min"
    )
    assert (verdict.window_from, verdict.window_until) == (at(0), at(30))
    assert not verdict.heartbeat.state.running
    back, [up] = after([ping(6, "success", 40, rid=4)], verdict.heartbeat)
    assert up == CameUp(MONITOR, at(40))
    assert back.state.deadline_at == at(105), "the run that hung is not found again"


def test_runs_that_died_in_an_outage_are_not_told_one_by_one_after_it() -> None:
    """A job that crashed again and again, each time with an id of its own, and then works."""
    crashes = [ping(n, "start", n, rid=n) for n in range(1, 6)]
    heartbeat, _ = after(crashes, scheduled(LONG_RUNS))
    verdict = missed(heartbeat, crashes, at(33))
    assert verdict.transition
    assert set(verdict.heartbeat.state.runs.open) == {key(4), key(5)}, "whose time was over by then is told with the first"
    pings = [*crashes, ping(6, "success", 50, rid=6)]
    back, [up] = after(pings[-1:], verdict.heartbeat)
    assert isinstance(up, CameUp)
    cleared = missed(back, pings, at(51))
    assert (cleared.transition, cleared.heartbeat.state.running) == (None, False)
    assert cleared.heartbeat.state.deadline_at == at(115)


def test_an_end_that_is_still_on_its_way_is_no_hung_run() -> None:
    pings = [ping(1, "start", 0, rid=1), ping(2, "success", 5, rid=2)]
    heartbeat, _ = after(pings, scheduled(LONG_RUNS))
    assert heartbeat.state.deadline_at == at(30)
    edge = seen_at_edge([*pings, ping(3, "success", 29, rid=1)])
    assert judge(heartbeat, edge, at(31)) == Postponed(at(94), at(89))


def test_a_start_that_is_still_on_its_way_postpones_and_may_hang_itself() -> None:
    pings = [ping(1, "success", 0), ping(2, "start", 64, rid=1)]
    heartbeat, _ = after(pings[:1], scheduled(LONG_RUNS))
    assert judge(heartbeat, seen_at_edge(pings), at(66)) == Postponed(at(94), at(60))
    verdict = missed(heartbeat, pings, at(95))
    again, told = after([pings[1]], verdict.heartbeat)
    assert (told, again.state.running) == ([], False), "its start came late and starts nothing"


def test_an_edge_that_forgot_an_end_does_not_hang_what_we_know_as_ended() -> None:
    pings = [ping(1, "start", 0, rid=1), ping(2, "success", 5, rid=1)]
    heartbeat, _ = after(pings, scheduled(LONG_RUNS))
    stuck = replace(seen_at_edge(pings), runs={key(1): Run(1, at(0))})
    assert judge(heartbeat, stuck, at(69)) == Postponed(at(70), at(65))


def test_an_end_without_an_id_ends_every_run_before_it() -> None:
    pings = [ping(1, "start", 0, rid=1), ping(2, "start", 1), ping(3, "success", 5), ping(4, "start", 6, rid=2)]
    heartbeat, _ = after(pings, scheduled(LONG_RUNS))
    assert set(heartbeat.state.runs.open) == {key(2)}
    assert seen_at_edge(pings).open_runs() == heartbeat.state.runs.open


def test_an_end_with_an_id_leaves_the_run_without_one_alone() -> None:
    heartbeat, _ = after([ping(1, "start", 0), ping(2, "success", 5, rid=1)], scheduled(LONG_RUNS))
    assert heartbeat.state.running
    assert heartbeat.state.deadline_at == at(30)


def test_a_run_with_a_limit_of_its_own() -> None:
    heartbeat, _ = after([ping(1, "success", 0), ping(2, "start", 58)], scheduled(LONG_RUNS))
    assert heartbeat.state.deadline_at == at(88), "it started in time, and has half an hour"
    late, _ = after([ping(1, "success", 0), ping(2, "start", 64)], scheduled(replace(LONG_RUNS, max_run_s=60)))
    assert late.state.deadline_at == at(65), "short runs end soon, however late a ping may be"


@pytest.mark.parametrize("rid", [None, 7])
def test_a_run_that_ends_too_fast_has_failed(rid: int | None) -> None:
    quick = scheduled(replace(LONG_RUNS, min_run_s=60))
    heartbeat, [down] = after([ping(1, "start", 0, rid=rid), ping(2, "success", 0.5, rid=rid)], quick)
    why = "the job ended after 30 s, sooner than the 1 min that it takes at least"
    assert down == WentDown(MONITOR, at(0.5), Reason.HEARTBEAT_FAILED, why)
    assert (heartbeat.state.last_success_at, heartbeat.state.last_fail_at, heartbeat.state.running) == (None, at(0.5), False)
    _, told = after([ping(1, "start", 0, rid=rid), ping(2, "success", 1, rid=rid)], quick)
    assert told == []
    _, told = after([ping(2, "success", 1, rid=rid)], quick)
    assert told == [], "nobody knows how long it took"


def test_the_edge_knows_how_long_a_run_took_whose_start_is_still_on_its_way() -> None:
    quick = scheduled(replace(LONG_RUNS, min_run_s=60))
    end = replace(ping(2, "success", 0.5, rid=1), started_at=at(0))
    in_order, told = after([ping(1, "start", 0, rid=1), end], quick)
    other_order, told_too = after([end, ping(1, "start", 0, rid=1)], quick)
    assert (in_order.state, told) == (other_order.state, told_too)
    assert len(told) == 1


def test_a_gap_of_ours_forgets_runs_and_arms_what_comes_next() -> None:
    heartbeat, _ = after([ping(1, "success", 0), ping(2, "start", 58, rid=1)], scheduled(LONG_RUNS))
    state = rearmed(heartbeat, at(70)).state
    assert (state.runs, state.due_at, state.deadline_at) == (NO_RUNS, at(130), at(135))
    only_started, _ = after([ping(1, "start", 0, rid=1)], scheduled(LONG_RUNS))
    assert rearmed(only_started, at(70)).state.deadline_at is None


def test_what_is_remembered_of_runs_is_bounded() -> None:
    starts = [ping(n, "start", n, rid=n) for n in range(1, MOST_OPEN + 9)]
    assert set(after(starts)[0].state.runs.open) == {key(n) for n in range(9, MOST_OPEN + 9)}
    ends = [ping(n, "success", n, rid=n) for n in range(1, MOST_ENDED + 9)]
    assert set(after(ends)[0].state.runs.ended) == {key(n) for n in range(9, MOST_ENDED + 9)}


@st.composite
def histories(draw: st.DrawFn) -> list[PingFact]:
    """Overlapping runs with and without ids, most of which end, among other pings; in the order of their sequences."""
    runs = draw(st.lists(st.tuples(st.integers(0, 90), st.sampled_from([None, 1, 5, 40, 200]), st.booleans()), max_size=5))
    events: list[tuple[float, PingKind, int | None]] = []
    for rid, (started, length, has_id) in enumerate(runs, 1):
        own = rid if has_id else None
        events.append((started, "start", own))
        if length is not None:
            events.append((started + length, draw(st.sampled_from(["success", "fail"])), own))
    kinds: Any = st.sampled_from(["success", "fail", "log"])
    events += [(minute, kind, None) for minute, kind in draw(st.lists(st.tuples(st.integers(0, 200), kinds), max_size=3))]
    in_order = sorted(events, key=lambda event: event[0])
    return [ping(number, kind, minute, rid=rid) for number, (minute, kind, rid) in enumerate(in_order, 1)]


def lasting(heartbeat: Heartbeat) -> HeartbeatState:
    """Its state without what depends on when pings arrived: since when, and which ends are remembered for starts to come."""
    return replace(heartbeat.state, changed_at=None, runs=Runs(heartbeat.state.runs.open))


@settings(max_examples=60)
@given(histories(), st.randoms(use_true_random=False), st.sampled_from([1, 2, 3]))
def test_any_order_of_runs_ends_in_the_same_state(history: list[PingFact], random: Any, threshold: int) -> None:
    new = scheduled(replace(LONG_RUNS, failure_threshold=threshold))
    shuffled = list(history)
    random.shuffle(shuffled)
    in_order, told = after(history, new)
    any_order, told_too = after(shuffled, new)
    assert lasting(any_order) == lasting(in_order)
    assert (
        sum(isinstance(t, WentDown) for t in told) - len(told) / 2
        == sum(isinstance(t, WentDown) for t in told_too) - len(told_too) / 2
    )


@given(histories())
def test_the_edge_knows_the_same_runs_as_open(history: list[PingFact]) -> None:
    """But for a run without an id of a job whose ends have all had one: the edge takes any of them for its end."""
    heartbeat, _ = after(history)
    edge = seen_at_edge(history)
    known = dict(heartbeat.state.runs.open)
    if edge.end_sequence is None and edge.verdict and "" in known and known[""].sequence < edge.verdict.sequence:
        del known[""]
    assert edge.open_runs() == known


@given(histories(), st.integers(0, 12), st.integers(0, 400))
def test_whatever_is_still_on_its_way_only_postpones(history: list[PingFact], processed: int, now: int) -> None:
    """Where all pings were processed and the deadline has not come, a detector that has processed fewer finds nobody either."""
    so_far = [each for each in history if each.pinged_at <= at(now)]
    all_of_it, _ = after(so_far, scheduled(LONG_RUNS))
    behind, _ = after(so_far[:processed], scheduled(LONG_RUNS))
    if behind.state.deadline_at is None or all_of_it.state.state is MonitorState.DOWN:
        return
    if all_of_it.state.deadline_at is None or all_of_it.state.deadline_at + MARGIN > at(now):
        assert isinstance(judge(behind, seen_at_edge(so_far), at(now)), Postponed)


def test_an_item_of_before_the_run_ids_is_read_as_it_was_meant() -> None:
    """Any success or fail ended the run; and a job that sends ids alone never ends a run without one."""
    started, ended = EdgeStamp(at(0), 1), EdgeStamp(at(5), 2)
    assert EdgeState(1, start=started).open_runs() == {"": Run(1, at(0))}
    assert EdgeState(2, success=ended, start=started).open_runs() == {}
    assert EdgeState(2, fail=ended, start=EdgeStamp(at(6), 3)).open_runs() == {"": Run(3, at(6))}
    assert EdgeState(2, success=ended, runs={key(1): Run(1, at(0))}).open_runs() == {key(1): Run(1, at(0))}
