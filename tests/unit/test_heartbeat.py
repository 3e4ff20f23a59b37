"""What pings change, and when silence counts as missed."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.heartbeat import PingFact, PingKind, expecting
from core.domain.heartbeat_schedule import every
from core.domain.heartbeat_watch import MARGIN, Missed, Postponed, judge
from core.domain.outcomes import MonitorState, Reason
from core.domain.transitions import CameUp, Transition, WentDown
from tests.heartbeat_steps import HOURLY, MONITOR, NOON, after, at, ping, seen_at_edge


def test_the_first_success_brings_a_new_heartbeat_up_and_tells_nobody() -> None:
    heartbeat, transitions = after([ping(1, "success", 0)])
    assert (heartbeat.state.state, transitions) == (MonitorState.UP, [])
    assert heartbeat.state.deadline_at == at(65)


def test_a_failure_is_down_at_once_and_a_success_is_back_up() -> None:
    heartbeat, transitions = after([ping(1, "success", 0), ping(2, "fail", 7, 3), ping(3, "fail", 8), ping(4, "success", 9)])
    assert transitions == [
        WentDown(MONITOR, at(7), Reason.HEARTBEAT_FAILED, "the job ended with exit status 3"),
        CameUp(MONITOR, at(9)),
    ]
    assert (heartbeat.state.changed_at, heartbeat.state.deadline_at, heartbeat.state.pings) == (at(9), at(74), 4)


def test_a_first_ping_that_fails_opens_an_incident() -> None:
    heartbeat, [down] = after([ping(1, "fail", 0)])
    assert down == WentDown(MONITOR, at(0), Reason.HEARTBEAT_FAILED, "the job reported a failure")
    assert heartbeat.state.deadline_at is None


def test_a_run_that_started_has_its_grace_to_end() -> None:
    heartbeat, _ = after([ping(1, "success", 0), ping(2, "start", 58)])
    assert heartbeat.state.running
    assert heartbeat.state.deadline_at == at(63)
    late, _ = after([ping(1, "success", 0), ping(2, "start", 64)])
    assert late.state.deadline_at == at(69)
    ended, _ = after([ping(1, "success", 0), ping(2, "start", 58), ping(3, "success", 60)])
    assert not ended.state.running
    assert ended.state.deadline_at == at(125)


def test_a_job_that_starts_for_ever_is_missed_in_the_end() -> None:
    starts = [ping(n, "start", 4 * n) for n in range(2, 40)]
    heartbeat, _ = after([ping(1, "success", 0), *starts])
    assert heartbeat.state.deadline_at == at(70)
    fresh, _ = after(starts)
    assert fresh.state.deadline_at == at(13)


def test_a_start_on_a_new_heartbeat_is_a_sign_of_life() -> None:
    heartbeat, transitions = after([ping(1, "start", 0)])
    assert (heartbeat.state.state, heartbeat.state.deadline_at, transitions) == (MonitorState.NEW, at(5), [])
    verdict = judge(heartbeat, seen_at_edge([ping(1, "start", 0)]), at(6))
    assert isinstance(verdict, Missed)
    assert verdict.transition
    assert verdict.transition.detail == "started at 12:00 UTC and did not end within 5 min"


def test_a_start_does_not_bring_back_what_is_down() -> None:
    heartbeat, transitions = after([ping(1, "fail", 0), ping(2, "start", 5)])
    assert (heartbeat.state.state, heartbeat.state.deadline_at) == (MonitorState.DOWN, None)
    assert len(transitions) == 1


def test_a_log_is_stored_and_changes_nothing() -> None:
    before, _ = after([ping(1, "success", 0)])
    heartbeat, transitions = after([ping(2, "log", 30)], before)
    assert transitions == []
    assert heartbeat.state == replace(before.state, last_sequence=2, last_ping_at=at(30), pings=2)


def test_an_older_ping_is_recorded_and_changes_no_state() -> None:
    before, _ = after([ping(5, "success", 10)])
    heartbeat, transitions = after([ping(4, "fail", 9)], before)
    assert transitions == []
    assert (heartbeat.state.state, heartbeat.state.last_fail_at, heartbeat.state.deadline_at) == (MonitorState.UP, at(9), at(75))


@pytest.mark.parametrize("kind", ["success", "start", "fail"])
def test_a_ping_after_the_pause_resumes(kind: PingKind) -> None:
    up, _ = after([ping(1, "success", 0)])
    paused = replace(up, paused_at=at(10), state=replace(up.state, deadline_at=None))
    heartbeat, _ = after([ping(2, kind, 600)], paused)
    assert heartbeat.paused_at is None
    assert heartbeat.state.deadline_at == {"success": at(665), "start": at(605), "fail": None}[kind]


def test_pings_from_before_the_pause_and_logs_leave_it_paused() -> None:
    up, _ = after([ping(1, "success", 0)])
    paused = replace(up, paused_at=at(10), state=replace(up.state, deadline_at=None))
    heartbeat, transitions = after([ping(2, "fail", 9), ping(3, "log", 20)], paused)
    assert (heartbeat.paused_at, heartbeat.state.state, heartbeat.state.deadline_at) == (at(10), MonitorState.UP, None)
    assert (heartbeat.state.pings, transitions) == (3, [])


def test_silence_is_missed_and_says_why() -> None:
    pings = [ping(1, "success", 0)]
    heartbeat, _ = after(pings)
    verdict = judge(heartbeat, seen_at_edge(pings), at(66))
    assert isinstance(verdict, Missed)
    assert verdict.transition == WentDown(
        MONITOR,
        at(65),
        Reason.HEARTBEAT_MISSED,
        "expected at 13:00 UTC (every 1 h), grace 5 min, last ping 12:00",
    )
    assert (verdict.heartbeat.state.state, verdict.heartbeat.state.deadline_at) == (MonitorState.DOWN, None)


def test_within_the_margin_nobody_is_judged() -> None:
    pings = [ping(1, "success", 0)]
    heartbeat, _ = after(pings)
    assert judge(heartbeat, seen_at_edge(pings), at(65) + MARGIN / 2) == Postponed(at(65), at(60))


@pytest.mark.parametrize(
    ("newer", "due", "until"),
    [
        (ping(2, "success", 64), at(124), at(129)),
        (ping(2, "fail", 64), at(124), at(129)),
        (ping(2, "start", 64), at(60), at(69)),
    ],
)
def test_a_newer_ping_at_the_edge_postpones(newer: PingFact, due: datetime, until: datetime) -> None:
    heartbeat, _ = after([ping(1, "success", 0)])
    assert judge(heartbeat, seen_at_edge([ping(1, "success", 0), newer]), at(66)) == Postponed(until, due)


def test_pings_on_their_way_change_nothing_once_they_too_are_overdue() -> None:
    known, unseen = ping(1, "success", 0), ping(2, "success", 60)
    heartbeat, _ = after([known])
    verdict = judge(heartbeat, seen_at_edge([known, unseen]), at(200))
    assert isinstance(verdict, Missed)
    assert verdict.transition
    assert verdict.transition.began_at == at(125)
    heartbeat, transitions = after([unseen], verdict.heartbeat)
    assert (heartbeat.state.state, transitions) == (MonitorState.DOWN, [])
    _, [back] = after([ping(3, "success", 300)], heartbeat)
    assert back == CameUp(MONITOR, at(300))


def test_a_schedule_in_words() -> None:
    assert every(86_400, 3_600).words == "every 1 d, grace 1 h"
    assert every(5_400, 90).words == "every 1 h 30 min, grace 1 min 30 s"


PING_KINDS: list[PingKind] = ["success", "fail", "start", "log"]
KINDS = st.sampled_from(PING_KINDS)
HISTORIES = st.lists(st.tuples(KINDS, st.integers(0, 90)), min_size=1, max_size=8).map(
    lambda steps: [ping(number, kind, sum(gap for _, gap in steps[:number])) for number, (kind, _) in enumerate(steps, start=1)]
)


def open_incidents(transitions: list[Transition]) -> int:
    return sum(1 if isinstance(transition, WentDown) else -1 for transition in transitions)


@given(HISTORIES, st.randoms(use_true_random=False))
def test_any_order_of_delivery_ends_in_the_same_state(history: list[PingFact], random: object) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types its Random as object
    in_order, told = after(history)
    any_order, told_too = after(shuffled)
    assert replace(any_order.state, changed_at=None) == replace(in_order.state, changed_at=None)
    assert open_incidents(told_too) == open_incidents(told)


@given(HISTORIES, st.data())
def test_pings_delivered_again_change_no_state(history: list[PingFact], data: st.DataObject) -> None:
    once, _ = after(history)
    again = data.draw(st.lists(st.sampled_from(history)))
    twice, transitions = after(again, once)
    assert transitions == []
    assert replace(twice.state, pings=0) == replace(once.state, pings=0)


@given(HISTORIES)
def test_downs_and_ups_alternate(history: list[PingFact]) -> None:
    _, transitions = after(history)
    assert [isinstance(t, WentDown) for t in transitions] == [n % 2 == 0 for n in range(len(transitions))]


@given(st.lists(st.integers(0, 3899), min_size=1, max_size=12), st.integers(0, 12), st.integers(0, 3899))
def test_pings_in_time_are_never_missed(gaps: list[int], processed: int, silence_s: int) -> None:
    """However few of them have been processed, whenever the detector looks."""
    seconds = [sum(gaps[:number]) for number in range(1, len(gaps) + 1)]
    pings = [PingFact(n, "success", None, NOON + timedelta(seconds=s)) for n, s in enumerate(seconds, start=1)]
    heartbeat, _ = after(pings[: max(1, processed)])
    now = pings[-1].pinged_at + timedelta(seconds=silence_s)
    assert isinstance(judge(heartbeat, seen_at_edge(pings), now), Postponed)


@given(HISTORIES)
def test_the_deadline_follows_from_the_state_unless_it_is_new(history: list[PingFact]) -> None:
    heartbeat, _ = after(history)
    if heartbeat.state.state is not MonitorState.NEW:
        assert heartbeat.state == expecting(heartbeat.state, HOURLY)
