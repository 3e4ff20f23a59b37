"""What is tolerated: early pings, failures in a row, pauses that last; and what people are told about it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.checker.configuration import beat_schedule
from core.domain.heartbeat import Heartbeat, HeartbeatState, PingFact, PingKind
from core.domain.heartbeat_changes import paused, rescheduled, resumed
from core.domain.heartbeat_schedule import Schedule, every
from core.domain.heartbeat_watch import MARGIN, Missed, Postponed, judge, rearmed
from core.domain.heartbeat_words import explanation
from core.domain.outcomes import MonitorState, Reason
from core.domain.recurrence import Cron, OnCalendar, Period, Recurrence
from core.domain.transitions import CameUp, WentDown
from tests.heartbeat_steps import HOURLY, MONITOR, after, at, missed, ping, scheduled, seen_at_edge
from tests.wall_clock import both_passes, first_pass, job, runs

RIGA, NEW_YORK = ZoneInfo("Europe/Riga"), ZoneInfo("America/New_York")
NOON_IN_RIGA = Schedule(Cron("0 12 * * *", RIGA), 600)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def pinged(number: int, when: datetime) -> PingFact:
    return PingFact(number, "success", None, when)


@pytest.mark.parametrize("recurrence", [Cron("0 12 * * *", RIGA), OnCalendar("12:00", RIGA)])
def test_an_early_ping_satisfies_its_time(recurrence: Recurrence) -> None:
    """Two seconds before noon, and nobody is told at one o'clock."""
    schedule = Schedule(recurrence, 3600)
    early = [pinged(1, utc("2026-11-23 09:59:58"))]
    heartbeat, _ = after(early, scheduled(schedule))
    assert heartbeat.state.due_at == utc("2026-11-24 10:00:00")
    assert isinstance(judge(heartbeat, seen_at_edge(early), utc("2026-11-23 11:01:00")), Postponed)
    too_early, _ = after([pinged(1, utc("2026-11-23 09:58:59"))], scheduled(schedule))
    assert too_early.state.due_at == utc("2026-11-23 10:00:00")
    strict, _ = after(early, scheduled(replace(schedule, early_s=0)))
    assert strict.state.due_at == utc("2026-11-23 10:00:00")


@pytest.mark.parametrize(
    ("schedule", "ping_at", "due"),
    [
        (Schedule(Cron("*/5 * * * *"), 60), "2026-11-23 11:59:30", "2026-11-23 12:05:00"),
        (Schedule(Cron("*/5 * * * *"), 60), "2026-11-23 11:59:29", "2026-11-23 12:00:00"),
        (Schedule(Cron("* * * * *"), 60), "2026-11-23 11:59:54", "2026-11-23 12:01:00"),
        (Schedule(Cron("* * * * *"), 60), "2026-11-23 11:59:53", "2026-11-23 12:00:00"),
        (Schedule(Cron("*/10 * * * *"), 60, early_s=600), "2026-11-23 11:54:00", "2026-11-23 12:00:00"),
        (Schedule(Cron("*/10 * * * *"), 60, early_s=600), "2026-11-23 11:57:00", "2026-11-23 12:10:00"),
        (Schedule(Cron("0,1 12 * * *"), 60), "2026-11-23 12:00:05", "2026-11-23 12:01:00"),
        (Schedule(OnCalendar("2026-11-23 12:00"), 60), "2026-11-23 11:59:00", None),
        (Schedule(Period(300), 60), "2026-11-23 11:59:59", "2026-11-23 12:04:59"),
    ],
)
def test_how_early_is_early(schedule: Schedule, ping_at: str, due: str | None) -> None:
    """A tenth of the time between two, at most a minute, or as asked; a ping that is nearer to the time before is the late one of that."""
    assert schedule.due_after_ping(utc(ping_at)) == (utc(due) if due else None)


@pytest.mark.parametrize(("zone", "before"), [(RIGA, "2026-10-24 22:00:00"), (NEW_YORK, "2026-11-01 03:00:00")])
@pytest.mark.parametrize("kind", [Cron, OnCalendar])
@pytest.mark.parametrize("runner", [first_pass, both_passes])
def test_a_perfect_job_over_the_repeated_hour_is_never_missed(zone: ZoneInfo, before: str, kind: type, runner: object) -> None:
    """Every 15 minutes with 10 minutes of grace, as systemd runs it and as cron does, with the detector looking every minute."""
    this = job(frozenset({0, 15, 30, 45}), None, None)
    schedule = Schedule(kind(this.cron if kind is Cron else this.on_calendar, zone), 600)
    begin, long = utc(before), timedelta(hours=6)
    times = list(runs(this, zone, begin, long, wanted=runner))  # type: ignore[arg-type]  # pytest loses the type
    pings = [pinged(number, when + timedelta(seconds=3)) for number, when in enumerate(times, 1)]
    heartbeat, _ = after(pings[:1], scheduled(schedule))
    for number, (last, following) in enumerate(pairwise(pings), 1):
        now = last.pinged_at
        while now < following.pinged_at:
            assert heartbeat.state.deadline_at
            assert heartbeat.state.deadline_at > now, "it would have been judged"
            now += timedelta(minutes=1)
        heartbeat, told = after([pings[number]], heartbeat)
        assert told == []


def test_what_is_told_about_a_ping_that_did_not_come() -> None:
    pings = [pinged(1, utc("2026-11-22 10:00:03"))]
    heartbeat, _ = after(pings, scheduled(NOON_IN_RIGA))
    verdict = missed(heartbeat, pings, utc("2026-11-23 10:10:04"))
    assert verdict.transition
    assert verdict.transition.detail == (
        "expected at 12:00 Europe/Riga (cron 0 12 * * *), grace 10 min, last ping 2026-11-22 12:00:03"
    )
    assert verdict.transition.began_at == utc("2026-11-23 10:10:00")
    assert (verdict.window_from, verdict.window_until) == (utc("2026-11-23 09:59:00"), utc("2026-11-23 10:10:00"))


def test_a_time_that_the_clock_shows_twice_is_told_with_its_offset() -> None:
    heartbeat, _ = after([pinged(1, utc("2026-10-25 00:00:00"))], scheduled(Schedule(OnCalendar("*:0/15", RIGA), 60)))
    text = explanation(heartbeat, utc("2026-10-25 00:01:00"))
    assert text == "expected at 03:15+03:00 Europe/Riga (OnCalendar *:0/15), grace 1 min, last ping 03:00+03:00"


def test_what_is_expected_in_words() -> None:
    now = utc("2026-11-23 09:00:00")
    new = scheduled(NOON_IN_RIGA)
    assert explanation(new, now) == "waits for its first ping (cron 0 12 * * * Europe/Riga, grace 10 min)"
    started, _ = after([PingFact(1, "start", None, now)], new)
    assert explanation(started, now) == "running since 11:00"
    up, _ = after([pinged(2, now)], new)
    assert explanation(up, now) == "expected at 12:00 Europe/Riga (cron 0 12 * * *), grace 10 min, last ping 11:00"
    at_rest = replace(up, paused_at=now)
    assert explanation(at_rest, now) == "paused since 11:00 Europe/Riga; the next ping ends that"
    sticky = replace(at_rest, schedule=replace(NOON_IN_RIGA, sticky_pause=True))
    assert explanation(sticky, now).endswith("only a person ends that")
    down, _ = after([PingFact(3, "fail", None, now)], up)
    assert explanation(down, now).startswith("down since 11:00 Europe/Riga; a ping that says success brings it up")
    once, _ = after([pinged(1, now)], scheduled(Schedule(OnCalendar("2026-11-23 09:00", ZoneInfo("UTC")), 60)))
    assert explanation(once, now) == "nothing more is expected: no time is left (OnCalendar 2026-11-23 09:00 UTC, grace 1 min)"


def test_when_no_time_is_left_nobody_waits() -> None:
    once = scheduled(Schedule(OnCalendar("2026-11-23 12:00", RIGA), 600))
    heartbeat, _ = after([pinged(1, utc("2026-11-23 10:00:05"))], once)
    assert (heartbeat.state.state, heartbeat.state.due_at, heartbeat.state.deadline_at) == (MonitorState.UP, None, None)
    started, _ = after([PingFact(2, "start", None, utc("2026-11-23 11:00:00"))], heartbeat)
    assert started.state.deadline_at == utc("2026-11-23 11:10:00"), "a run that has started must end all the same"
    edge = seen_at_edge([PingFact(2, "start", None, utc("2026-11-23 11:00:00")), pinged(3, utc("2026-11-23 11:05:00"))])
    assert judge(started, edge, utc("2026-11-23 11:11:00")) == Postponed(None)


def test_a_deadline_without_the_moment_that_it_counts_from_is_kept() -> None:
    """As a version of before that moment writes it while both are running."""
    pings = [ping(1, "success", 0)]
    heartbeat, _ = after(pings)
    old = replace(heartbeat, state=replace(heartbeat.state, anchor_at=None, due_at=None))
    verdict = missed(old, pings, at(66))
    assert verdict.transition
    assert verdict.transition.detail == "expected at 13:00 UTC (every 1 h), grace 5 min, last ping 12:00"
    assert judge(old, seen_at_edge([*pings, ping(2, "success", 64)]), at(66)) == Postponed(at(129), at(124))


PATIENT = replace(HOURLY, failure_threshold=3)


def test_people_are_told_after_so_many_failures_in_a_row() -> None:
    pings = [ping(1, "success", 0), ping(2, "fail", 50, 1), ping(3, "fail", 100)]
    heartbeat, told = after(pings, scheduled(PATIENT))
    assert (heartbeat.state.state, told, len(heartbeat.state.failures)) == (MonitorState.UP, [], 2)
    assert heartbeat.state.deadline_at == at(165), "a job that failed is expected again"
    assert explanation(heartbeat, at(110)).endswith("; 2 of 3 failures in a row")
    down, [first] = after([ping(4, "fail", 110, 9)], heartbeat)
    why = "3 failures in a row, the last: the job ended with exit status 9"
    assert first == WentDown(MONITOR, at(50), Reason.HEARTBEAT_FAILED, why)
    _, [back] = after([ping(5, "success", 120)], down)
    assert back == CameUp(MONITOR, at(120))
    well, _ = after([ping(4, "success", 110)], heartbeat)
    assert well.state.failures == ()


def test_missed_pings_are_failures_too() -> None:
    pings = [ping(1, "success", 0), ping(2, "fail", 30)]
    heartbeat, _ = after(pings, scheduled(PATIENT))
    second = missed(heartbeat, pings, at(96))
    assert second.transition is None
    state = second.heartbeat.state
    assert (state.state, state.due_at, state.deadline_at) == (MonitorState.UP, at(150), at(155))
    third = missed(second.heartbeat, pings, at(156))
    assert third.transition
    assert third.transition.began_at == at(30)
    assert third.transition.detail.startswith("3 failures in a row, the last: expected at 14:30 UTC (every 1 h)")
    _, told = after([ping(3, "success", 100)], second.heartbeat)
    assert told == []


def test_a_hung_run_that_is_not_enough_counts_once() -> None:
    pings = [ping(1, "success", 0), ping(2, "start", 58)]
    heartbeat, _ = after(pings, scheduled(replace(PATIENT, max_run_s=1800)))
    verdict = missed(heartbeat, pings, at(89))
    state = verdict.heartbeat.state
    assert (verdict.transition, len(state.failures), state.running) == (None, 1, False)
    assert (state.due_at, state.deadline_at) == (at(118), at(123)), "the next one counts from the start of that run"


def test_a_first_failure_that_is_not_enough_leaves_a_heartbeat_new() -> None:
    heartbeat, told = after([ping(1, "fail", 0)], scheduled(PATIENT))
    assert (heartbeat.state.state, told, heartbeat.state.deadline_at) == (MonitorState.NEW, [], at(65))


PING_KINDS: list[PingKind] = ["success", "fail", "start", "log"]
STEPS = st.lists(st.tuples(st.sampled_from(PING_KINDS), st.integers(0, 90)), min_size=1, max_size=9)


@given(STEPS, st.integers(1, 4), st.randoms(use_true_random=False))
def test_failures_in_a_row_are_counted_in_any_order(steps: list[tuple[PingKind, int]], threshold: int, random: object) -> None:
    history = [ping(n, kind, sum(gap for _, gap in steps[:n])) for n, (kind, _) in enumerate(steps, start=1)]
    kinds = [kind for kind, _ in steps if kind in {"success", "fail"}]
    in_a_row = 0
    for kind in reversed(kinds):
        if kind == "success":
            break
        in_a_row += 1
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types its Random as object
    heartbeat, _ = after(shuffled, scheduled(replace(HOURLY, failure_threshold=threshold)))
    assert (heartbeat.state.state is MonitorState.DOWN) == (in_a_row >= threshold)


@pytest.mark.parametrize("kind", ["success", "start", "fail"])
def test_a_sticky_pause_takes_note_of_pings_and_changes_nothing(kind: PingKind) -> None:
    up, _ = after([ping(1, "success", 0)], scheduled(replace(HOURLY, sticky_pause=True)))
    at_rest = replace(up, paused_at=at(10), state=paused(up.state))
    heartbeat, told = after([ping(2, kind, 600)], at_rest)
    assert (heartbeat.paused_at, told) == (at(10), [])
    assert (heartbeat.state.state, heartbeat.state.deadline_at, heartbeat.state.pings) == (MonitorState.UP, None, 2)
    back = replace(heartbeat, paused_at=None, state=resumed(heartbeat.state, heartbeat.schedule, at(700)))
    assert (back.state.state, back.state.deadline_at) == (MonitorState.NEW, at(765))
    assert isinstance(judge(back, seen_at_edge([ping(2, kind, 600)]), at(701)), Postponed)


def test_resuming_by_hand_starts_anew() -> None:
    running, _ = after([ping(1, "success", 0), ping(2, "start", 58, rid=1)])
    state = resumed(paused(running.state), HOURLY, at(700))
    assert (state.state, state.due_at, state.deadline_at, state.running) == (MonitorState.NEW, at(760), at(765), False)
    down, _ = after([ping(1, "fail", 0)])
    assert resumed(paused(down.state), HOURLY, at(700)).state is MonitorState.DOWN
    assert resumed(HeartbeatState(), HOURLY, at(700)) == HeartbeatState()


def test_another_schedule_counts_from_the_last_ping_with_its_grace_from_now() -> None:
    up, _ = after([ping(1, "success", 0)])
    assert rescheduled(up.state, HOURLY, every(7200, 300), at(10)).deadline_at == at(125)
    assert rescheduled(up.state, HOURLY, every(60, 300), at(10)).deadline_at == at(15)
    assert rescheduled(HeartbeatState(), HOURLY, every(60, 300), at(10)) == HeartbeatState()
    assert rescheduled(up.state, HOURLY, replace(HOURLY, sticky_pause=True, failure_threshold=2), at(64)) == up.state
    daily = rescheduled(up.state, HOURLY, NOON_IN_RIGA, at(10))
    assert daily.due_at == utc("2026-11-24 10:00:00")


def test_after_a_gap_of_ours_the_next_time_counts() -> None:
    heartbeat, _ = after([pinged(1, utc("2026-11-22 10:00:00"))], scheduled(NOON_IN_RIGA))
    assert rearmed(heartbeat, utc("2026-11-23 10:05:00")).state.due_at == utc("2026-11-24 10:00:00")
    assert rearmed(heartbeat, utc("2026-11-23 09:59:30")).state.due_at == utc("2026-11-24 10:00:00"), "its window touches the gap"
    assert rearmed(heartbeat, utc("2026-11-23 09:00:00")).state.due_at == utc("2026-11-23 10:00:00")


@given(st.sampled_from([NOON_IN_RIGA, HOURLY, Schedule(OnCalendar("*:0/5", RIGA), 30)]), st.integers(0, 400 * 86_400))
def test_whoever_is_missed_was_due_since_its_last_ping(schedule: Schedule, second: int) -> None:
    ping_at = utc("2026-01-01 00:00:00") + timedelta(seconds=second)
    pings = [pinged(1, ping_at)]
    heartbeat: Heartbeat = after(pings, scheduled(schedule))[0]
    deadline = heartbeat.state.deadline_at
    assert deadline
    assert isinstance(judge(heartbeat, seen_at_edge(pings), deadline + MARGIN / 2), Postponed)
    verdict = judge(heartbeat, seen_at_edge(pings), deadline + MARGIN)
    assert isinstance(verdict, Missed)
    assert verdict.transition
    assert ping_at < verdict.window_until == deadline


def test_a_missed_ping_is_found_within_eight_seconds() -> None:
    """The detector waits for the margin and comes by its tick; a second is left for it to look and to write."""
    tick: float = beat_schedule["check_due_heartbeats"]["options"]["expires"]
    assert MARGIN.total_seconds() + tick <= 7
