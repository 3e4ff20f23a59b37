"""Gaps of our own edge, and whom they excuse."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from core.domain.edge_gaps import EdgeWatch, Gap, failed, horizon, is_doubtful, proved, touched, without
from core.domain.heartbeat import Heartbeat, HeartbeatState, PingFact, step
from core.domain.heartbeat_schedule import Schedule, every
from core.domain.heartbeat_watch import EdgeStamp, EdgeState, Missed, Unknown, excuse, is_behind, judge
from core.domain.outcomes import MonitorState
from core.domain.recurrence import Cron
from core.domain.transitions import MonitorRef
from tests.heartbeats import minutes

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVERY = timedelta(seconds=30)
HOURLY = every(3600, 600)


def s(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def well(at: datetime) -> EdgeWatch:
    return EdgeWatch(proved_at=at, asked_at=at)


def silent(begin: datetime, end: datetime) -> Gap:
    return Gap(begin, end, silent=True, settled=False)


def test_proofs_in_a_row_leave_no_gap() -> None:
    watch, gaps = proved(EdgeWatch(), NOON, EVERY)
    assert (watch, gaps) == (well(NOON), []), "nothing is known of the time before the first proof"
    assert proved(watch, s(90), EVERY) == (well(s(90)), []), "two canaries that were late are no gap"


def test_a_failure_is_a_gap_from_the_last_proof_to_the_next() -> None:
    watch, gaps = failed(well(NOON), s(30), EVERY)
    assert (watch.failing_since, gaps, horizon(watch, [])) == (NOON, [], NOON)
    watch, gaps = failed(watch, s(60), EVERY)
    assert (watch.failing_since, gaps) == (NOON, []), "it goes on"
    assert proved(watch, s(75), EVERY) == (well(s(75)), [Gap(NOON, s(75))])


def test_a_time_in_which_nobody_asked_is_a_gap_that_is_not_settled() -> None:
    watch, gaps = proved(well(NOON), s(3600), EVERY)
    assert gaps == [silent(NOON, s(3600))]
    assert horizon(watch, gaps) == NOON, "nobody is judged by it before it is"
    assert horizon(watch, [Gap(NOON, s(3600), silent=True)]) is None


def test_a_failure_after_nobody_asked_does_not_blame_the_edge_for_all_of_it() -> None:
    watch, gaps = failed(well(NOON), s(3600), EVERY)
    assert (watch.failing_since, gaps) == (s(3510), [silent(NOON, s(3600))])


@pytest.mark.parametrize(("then", "since"), [(proved, None), (failed, s(3510))])
def test_a_failure_that_nobody_followed_is_known_only_until_the_last_look(then: Any, since: datetime | None) -> None:
    watch, _ = failed(well(NOON), s(30), EVERY)
    watch, gaps = then(watch, s(3600), EVERY)
    assert gaps == [Gap(NOON, s(30)), silent(s(30), s(3600))]
    assert watch.failing_since == since


def test_a_canary_that_was_never_well_has_no_say() -> None:
    assert failed(EdgeWatch(), NOON, EVERY) == (EdgeWatch(), [])


def test_a_clock_that_is_set_back_makes_no_gap() -> None:
    assert proved(well(NOON), s(-3600), EVERY) == (well(s(-3600)), [])


def test_a_canary_that_fails_for_long_is_doubted() -> None:
    assert not is_doubtful(EdgeWatch(NOON, NOON), s(600))
    assert is_doubtful(EdgeWatch(NOON, NOON), s(601))
    assert not is_doubtful(EdgeWatch(NOON), s(9999))


def test_pings_of_others_prove_the_edge_where_nobody_asked() -> None:
    gap = Gap(NOON, s(600), silent=True, settled=False)
    assert without(gap, [s(80 * n) for n in range(1, 8)], EVERY) == []
    assert without(gap, [s(60), s(120), s(400), s(560)], EVERY) == [
        Gap(s(120), s(400), silent=True),
        Gap(s(400), s(560), silent=True),
    ]
    assert without(gap, [s(-5), s(700)], EVERY) == [Gap(NOON, s(600), silent=True)], "only those in it count"


def test_gaps_without_a_proof_between_them_are_one() -> None:
    early, long, late = Gap(NOON, s(60)), Gap(s(10), s(300)), Gap(s(400), s(500))
    assert touched([late, long, early], s(20), s(30)) == Gap(NOON, s(300))
    assert touched([late, long, early], s(20), s(450)) == Gap(NOON, s(500))
    assert touched([late, long, early], s(300), s(400)) is None, "the proofs at both ends are no part of it"


def heartbeat(state: HeartbeatState, schedule: Schedule = HOURLY) -> Heartbeat:
    ref = MonitorRef(7, UUID(int=7), UUID(int=1), "heartbeat", "backup", schedule.words)
    return Heartbeat(ref, schedule, 1, None, state)


def after(*pings: PingFact, schedule: Schedule = HOURLY) -> Heartbeat:
    found = heartbeat(HeartbeatState(), schedule)
    for ping in pings:
        found, _ = step(found, ping)
    return found


def at_edge(beat: Heartbeat) -> EdgeState:
    state = beat.state
    success = EdgeStamp(state.last_success_at, state.verdict_sequence) if state.last_success_at else None
    start = EdgeStamp(state.last_start_at, state.start_sequence) if state.last_start_at else None
    return EdgeState(state.last_sequence, success=success, start=start)


def missed(beat: Heartbeat, now: datetime) -> Missed:
    verdict = judge(beat, at_edge(beat), now)
    assert isinstance(verdict, Missed)
    return verdict


@pytest.mark.parametrize(
    ("gap", "excused"),
    [
        (Gap(NOON + minutes(108), NOON + minutes(108.9)), False),
        (Gap(NOON + minutes(108), NOON + minutes(109.1)), True),
        (Gap(NOON + minutes(124), NOON + minutes(125)), True),
        (Gap(NOON + minutes(129.9), NOON + minutes(150)), True),
        (Gap(NOON + minutes(130), NOON + minutes(150)), False),
    ],
)
def test_a_gap_excuses_from_before_the_ping_was_expected_until_the_deadline(gap: Gap, excused: bool) -> None:
    """The last ping may have been late by the grace (10 min), so that the next is early by as much, and by a minute."""
    beat = after(PingFact(1, "success", None, NOON), PingFact(2, "success", None, NOON + minutes(60)))
    assert isinstance(excuse(beat, missed(beat, NOON + minutes(155)), [gap]), Unknown) is excused


@pytest.mark.parametrize("kind", ["success", "fail"])
def test_after_a_first_ping_or_an_outage_nothing_is_known_of_the_rhythm(kind: Any) -> None:
    beat = after(PingFact(1, kind, None, NOON - minutes(9)), PingFact(2, "success", None, NOON))
    excused = excuse(beat, missed(beat, NOON + minutes(95)), [Gap(NOON + minutes(5), NOON + minutes(6))])
    assert (excused is not None) is (kind == "fail")
    assert excuse(beat, missed(beat, NOON + minutes(95)), [Gap(NOON - minutes(5), NOON)]) is None, "before the last ping"


def test_after_a_gap_nothing_is_known_of_the_rhythm_either() -> None:
    """The first ping after it may come at once, and meet the next gap."""
    beat = after(PingFact(1, "success", None, NOON), PingFact(2, "success", None, NOON + minutes(60)))
    verdict = excuse(beat, missed(beat, NOON + minutes(135)), [Gap(NOON + minutes(119), NOON + minutes(130))])
    assert verdict
    again = missed(verdict.heartbeat, NOON + minutes(210))
    assert excuse(verdict.heartbeat, again, [Gap(NOON + minutes(131), NOON + minutes(133))])
    assert excuse(verdict.heartbeat, again, [Gap(NOON + minutes(119), NOON + minutes(130))]) is None


@pytest.mark.parametrize("schedule", [HOURLY, Schedule(Cron("0 * * * *"), 600)], ids=["period", "cron"])
def test_a_run_that_begins_after_the_gap_and_before_the_verdict_does_not_hide_what_was_lost(schedule: Schedule) -> None:
    beat = after(
        PingFact(1, "success", None, NOON - minutes(60)),
        PingFact(2, "success", None, NOON),
        PingFact(3, "start", None, NOON + minutes(121)),
        schedule=schedule,
    )
    assert excuse(beat, missed(beat, NOON + minutes(122)), [Gap(NOON + minutes(55), NOON + minutes(120.5))])
    assert excuse(beat, missed(beat, NOON + minutes(122)), [Gap(NOON + minutes(85), NOON + minutes(120.5))]) is None


def test_a_grace_longer_than_the_period_is_excused_once() -> None:
    beat = after(PingFact(1, "success", None, NOON), schedule=every(60, 3600))
    gap = Gap(NOON + minutes(10), NOON + minutes(12))
    verdict = excuse(beat, missed(beat, NOON + minutes(70)), [gap])
    assert verdict
    assert verdict.heartbeat.state.deadline_at == NOON + minutes(12 + 61)
    assert excuse(verdict.heartbeat, missed(verdict.heartbeat, NOON + minutes(80)), [gap]) is None


def test_an_excused_heartbeat_stays_up_and_expects_a_ping_within_a_period_from_the_gap() -> None:
    beat = after(PingFact(1, "success", None, NOON))
    gap = Gap(NOON + minutes(55), NOON + minutes(85))
    verdict = excuse(beat, missed(beat, NOON + minutes(90)), [gap])
    assert verdict
    state = verdict.heartbeat.state
    assert (state.state, state.deadline_at) == (MonitorState.UP, NOON + minutes(85 + 70))
    assert state.last_success_at == NOON, "nothing is made up"
    assert excuse(verdict.heartbeat, missed(verdict.heartbeat, NOON + minutes(160)), [gap]) is None, "once is enough"


def test_a_run_whose_end_may_have_met_a_gap_is_given_up() -> None:
    beat = after(PingFact(1, "success", None, NOON), PingFact(2, "start", None, NOON + minutes(50)))
    gap = Gap(NOON + minutes(51), NOON + minutes(53))
    verdict = excuse(beat, missed(beat, NOON + minutes(61)), [gap])
    assert verdict
    assert not verdict.heartbeat.state.running
    assert verdict.heartbeat.state.deadline_at == NOON + minutes(53 + 70)
    started, _ = step(verdict.heartbeat, PingFact(3, "start", None, NOON + minutes(110)))
    assert started.state.deadline_at == NOON + minutes(120), "the next run has its grace, and no memory of what was lost"


def test_pings_on_their_way_are_known_by_their_sequence() -> None:
    beat = after(PingFact(4, "success", None, NOON))
    assert not is_behind(beat, EdgeState(9, success=EdgeStamp(NOON, 4)))
    assert is_behind(beat, EdgeState(9, success=EdgeStamp(NOON, 4), fail=EdgeStamp(NOON, 5)))
    assert not is_behind(beat, EdgeState(9)), "a sequence whose ping was never written says nothing"


def test_a_sign_of_life_that_is_not_kept_is_no_ping_on_its_way() -> None:
    beat = after(PingFact(4, "success", None, NOON))
    assert not is_behind(beat, EdgeState(9, success=EdgeStamp(NOON, 9), kept_sequence=4))
    assert is_behind(beat, EdgeState(9, success=EdgeStamp(NOON, 9), kept_sequence=5))
