"""Bursts, canaries, excuses, missed windows and clocks: the pure part of telling our own trouble from the targets'."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.outcomes import Outcome, Reason
from core.domain.own_trouble import (
    LIARS_AFTER_S,
    LONGEST_GAP,
    RecentResults,
    Spell,
    are_liars,
    canaries_fail,
    clock_jump,
    excused,
    missed_window,
)
from core.domain.probes import ProbeResult

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CALM = Spell()


def failure(reason: Reason = Reason.TIMEOUT, outcome: Outcome = Outcome.DOWN) -> ProbeResult:
    return ProbeResult(outcome=outcome, reason=reason, started_at=NOW, detail="gone")


@pytest.mark.parametrize(
    ("up", "failed", "burst"), [(0, 1, True), (9, 1, True), (1000, 1, False), (1000, 120, True), (5, 0, False)]
)
def test_a_burst_is_a_share_of_those_that_were_fine(up: int, failed: int, burst: bool) -> None:
    recent = RecentResults()
    for number in range(up + failed):
        recent.add(0.5, failed=number >= up)
    assert recent.is_burst is burst


def test_what_was_long_ago_does_not_dilute_a_burst() -> None:
    recent = RecentResults()
    for _ in range(1000):
        recent.add(0.0, failed=False)
    recent.add(2.0, failed=True)
    assert recent.is_burst


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=60))
def test_the_count_of_failures_is_that_of_the_window(steps: list[tuple[float, bool]]) -> None:
    recent, now, history = RecentResults(), 0.0, []
    for step, failed in steps:
        now += step
        history.append((now, failed))
        recent.add(now, failed=failed)
        within = [bad for at, bad in history if at >= now - 1.0]
        assert recent.is_burst == (sum(within) > 0 and sum(within) >= 0.1 * len(within))


@pytest.mark.parametrize(
    ("well", "fail"), [([], False), ([True], False), ([False], True), ([False, True], False), ([False, False], True)]
)
def test_one_canary_that_is_well_is_proof_enough(well: list[bool], fail: bool) -> None:
    assert canaries_fail(well) is fail


def test_a_trouble_covers_what_began_before_its_end() -> None:
    spell = CALM.began()
    assert spell.covers(99.0)
    over = spell.ended(10.0)
    assert over.covers(9.9)
    assert not over.covers(10.1)
    assert over.ended(20.0) == over
    assert not CALM.covers(0.0)


@pytest.mark.parametrize(
    ("reason", "network", "resolver", "outcome", "expected"),
    [
        (Reason.TIMEOUT, True, False, Outcome.UNKNOWN, Reason.LOCAL_NETWORK),
        (Reason.HTTP_STATUS, True, False, Outcome.UNKNOWN, Reason.LOCAL_NETWORK),
        (Reason.DNS_FAILURE, False, True, Outcome.UNKNOWN, Reason.RESOLVER_FAILURE),
        (Reason.DNS_NXDOMAIN, False, True, Outcome.UNKNOWN, Reason.RESOLVER_FAILURE),
        (Reason.DNS_FAILURE, True, False, Outcome.UNKNOWN, Reason.LOCAL_NETWORK),
        (Reason.TIMEOUT, False, True, Outcome.DOWN, Reason.TIMEOUT),
        (Reason.DNS_FAILURE, False, False, Outcome.DOWN, Reason.DNS_FAILURE),
    ],
)
def test_a_failure_is_excused_by_the_trouble_that_may_explain_it(
    reason: Reason, network: bool, resolver: bool, outcome: Outcome, expected: Reason
) -> None:
    found = excused(failure(reason), 1.0, Spell(active=network), Spell(active=resolver))
    assert (found.outcome, found.reason) == (outcome, expected)
    assert "gone" in found.detail


def test_a_name_that_failed_in_a_trouble_is_excused_for_as_long_as_the_resolver_repeats_it() -> None:
    over = CALM.began().ended(100.0)
    assert excused(failure(Reason.DNS_FAILURE), 109.0, CALM, over).outcome is Outcome.UNKNOWN
    assert excused(failure(Reason.DNS_FAILURE), 111.0, CALM, over).outcome is Outcome.DOWN
    assert excused(failure(Reason.TIMEOUT), 101.0, over, CALM).outcome is Outcome.DOWN


def test_a_success_is_never_excused() -> None:
    up = failure(Reason.OK, Outcome.UP)
    assert excused(up, 1.0, CALM.began(), CALM.began()) is up


def test_canaries_that_the_websites_contradict_are_not_believed_for_ever() -> None:
    assert not are_liars(LIARS_AFTER_S - 1, up=100, failed=0)
    assert are_liars(LIARS_AFTER_S, up=3, failed=2)
    assert not are_liars(LIARS_AFTER_S, up=0, failed=0)
    assert not are_liars(LIARS_AFTER_S, up=2, failed=3)


@pytest.mark.parametrize(
    ("late_s", "gap"), [(0, None), (60, None), (61, NOW), (86_400 * 30, NOW + timedelta(days=30) - LONGEST_GAP)]
)
def test_a_gap_is_more_than_an_interval(late_s: int, gap: datetime | None) -> None:
    assert missed_window(NOW, NOW + timedelta(seconds=late_s), 60) == gap


@pytest.mark.parametrize(("wall_s", "jump"), [(1000.0, 0.0), (1004.9, 0.0), (996.0, 0.0), (4600.0, 3600.0), (-2600.0, -3600.0)])
def test_a_jump_is_more_than_a_drift(wall_s: float, jump: float) -> None:
    assert clock_jump(1000.0, wall_s) == jump
