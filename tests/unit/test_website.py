"""Confirmation, recovery and honesty about what we cannot tell."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from core.domain.outcomes import MonitorState, Outcome, Reason
from core.domain.schedule import next_check_at
from core.domain.transitions import CameUp, MonitorRef, WentDown
from core.domain.website import Check, MonitoredAgain, NotMonitored, Policy, Step, WebsiteState, excuse, step

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MONITOR = MonitorRef(7, UUID(int=7), UUID(int=1), "website", "shop", "https://example.com/")
POLICY = Policy(interval_s=60, retry_interval_s=10, failure_threshold=3, recovery_threshold=2)
REASON = {Outcome.UP: Reason.OK, Outcome.DOWN: Reason.TIMEOUT, Outcome.UNKNOWN: Reason.LOCAL_NETWORK}
U, D, X = Outcome.UP, Outcome.DOWN, Outcome.UNKNOWN

outcomes = st.lists(st.sampled_from([U, D, X]), max_size=60)
policies = st.builds(Policy, st.integers(5, 600), st.integers(1, 60), st.integers(1, 5), st.integers(1, 5))


def run(said: Sequence[Outcome], policy: Policy = POLICY, state: WebsiteState | None = None, every_s: int = 10) -> list[Step]:
    steps: list[Step] = []
    state = state or WebsiteState()
    for n, outcome in enumerate(said):
        at = NOW + timedelta(seconds=every_s * n)
        steps.append(step(MONITOR, state, Check(at, outcome, REASON[outcome], "because"), policy, now=at, jitter=0.0))
        state = steps[-1].state
    return steps


def test_a_first_success_tells_nobody() -> None:
    [only] = run([U])
    assert only.state.state is MonitorState.UP
    assert only.transition is None
    assert only.state.changed_at == NOW
    assert only.next_check_at == next_check_at(MONITOR.id, 60, NOW)


def test_a_new_website_that_never_answered_goes_down_since_its_first_failure() -> None:
    steps = run([D, D, D])
    assert [s.transition for s in steps[:2]] == [None, None]
    assert steps[2].transition == WentDown(MONITOR, NOW, Reason.TIMEOUT, "because")
    assert steps[2].state.state is MonitorState.DOWN


def test_one_success_ends_the_count_of_failures() -> None:
    steps = run([U, D, D, U, D, D])
    assert all(s.transition is None for s in steps)
    assert steps[-1].state.failures == 2
    assert steps[-1].state.first_failure_at == NOW + timedelta(seconds=40)


def test_retries_come_soon_and_the_confirmed_outage_returns_to_its_slots() -> None:
    steps = run([D, D, D])
    waits = [s.next_check_at - (NOW + timedelta(seconds=10 * n)) for n, s in enumerate(steps)]
    assert waits[:2] == [timedelta(seconds=10), timedelta(seconds=15)]
    assert steps[2].next_check_at == next_check_at(MONITOR.id, 60, NOW + timedelta(seconds=20))


def test_recovery_takes_its_successes_in_a_row() -> None:
    steps = run([D, D, D, U, D, U, U])
    assert [s.state.state for s in steps[3:]] == [MonitorState.DOWN] * 3 + [MonitorState.UP]
    assert steps[6].transition == CameUp(MONITOR, NOW + timedelta(seconds=60))
    assert steps[3].next_check_at == NOW + timedelta(seconds=40)
    assert steps[6].state.first_failure_at is None
    assert [s.down_since for s in steps] == [None] * 6 + [NOW]


def test_not_monitored_is_said_once_and_taken_back_once() -> None:
    notices = [s.notice for s in run([U] + [X] * 100 + [U, U])]
    said = [(n, notice) for n, notice in enumerate(notices) if notice]
    since = NOW + timedelta(seconds=10)
    assert said == [(61, NotMonitored(MONITOR, since, Reason.LOCAL_NETWORK)), (101, MonitoredAgain(MONITOR, since))]


def test_a_short_trouble_of_ours_tells_nobody() -> None:
    assert all(s.notice is None for s in run([U] + [X] * 30 + [U] + [X] * 30 + [D, U]))


def test_a_failed_check_is_monitoring_too() -> None:
    notices = [s.notice for s in run([X] * 61 + [D])]
    assert isinstance(notices[-1], MonitoredAgain)


def test_our_trouble_is_looked_at_again_soon_and_then_less_often() -> None:
    steps = run([X] * 30)
    waits = [(s.next_check_at - (NOW + timedelta(seconds=10 * n))).total_seconds() for n, s in enumerate(steps)]
    assert waits[0] == 10
    assert waits == sorted(waits)
    assert max(waits) == 60


def test_lag_excuses_only_what_slowness_can_explain() -> None:
    assert excuse(D, Reason.TIMEOUT)
    assert excuse(D, Reason.CONNECTION_RESET)
    assert not excuse(D, Reason.CONNECT_REFUSED)
    assert not excuse(D, Reason.HTTP_STATUS)
    assert not excuse(D, Reason.INSECURE_REDIRECT)
    assert not excuse(U, Reason.OK)


@given(outcomes, policies)
def test_unknowns_in_between_never_change_what_happens(said: list[Outcome], policy: Policy) -> None:
    known = [outcome for outcome in said if outcome is not X]
    with_unknowns = [
        (type(s.transition), s.state.state, s.state.failures) for s, o in zip(run(said, policy), said, strict=True) if o is not X
    ]
    assert with_unknowns == [(type(s.transition), s.state.state, s.state.failures) for s in run(known, policy)]


@given(outcomes, policies)
def test_downs_and_ups_alternate_and_begin_with_a_down(said: list[Outcome], policy: Policy) -> None:
    told = [type(s.transition) for s in run(said, policy) if s.transition]
    assert told == [WentDown, CameUp] * (len(told) // 2) + [WentDown] * (len(told) % 2)


@given(outcomes, policies)
def test_an_outage_begins_with_the_first_failure_of_its_run(said: list[Outcome], policy: Policy) -> None:
    began: datetime | None = None
    for n, (s, outcome) in enumerate(zip(run(said, policy), said, strict=True)):
        if outcome is D:
            began = began or NOW + timedelta(seconds=10 * n)
        if isinstance(s.transition, WentDown):
            assert s.transition.began_at == began
        if outcome is U and s.state.state is MonitorState.UP:
            began = None


@given(st.lists(st.sampled_from([U, D, X]), max_size=80), policies, st.integers(1, 400))
def test_notices_alternate(said: list[Outcome], policy: Policy, every_s: int) -> None:
    told = [type(s.notice) for s in run(said, policy, every_s=every_s) if s.notice]
    assert told == [NotMonitored, MonitoredAgain] * (len(told) // 2) + [NotMonitored] * (len(told) % 2)


@given(outcomes, policies, st.floats(0, 1, exclude_max=True))
def test_the_next_check_is_later_and_within_an_interval(said: list[Outcome], policy: Policy, jitter: float) -> None:
    state = WebsiteState()
    for n, outcome in enumerate(said):
        now = NOW + timedelta(seconds=n)
        after = step(MONITOR, state, Check(now, outcome, REASON[outcome]), policy, now=now, jitter=jitter)
        assert timedelta(0) < after.next_check_at - now <= timedelta(seconds=policy.interval_s)
        state = after.state
