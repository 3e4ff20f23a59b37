"""Failures in a burst wait for the canaries; what they say decides whose failures they are."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from core.checker import canaries
from core.checker.canaries import Aviary
from core.checker.loop import ProbeLoop
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeRequest, ProbeResult
from core.domain.transitions import MonitorRef
from core.domain.website import Policy, WebsiteState
from core.flows.websites import Finished, Job
from tests.engines import FakeEngine, result
from tests.waiting import until


class FakeCanary:
    """Is well or not, as it is told, and counts how often it was asked."""

    def __init__(self, name: str = "canary", *, well: bool = True, takes_s: float = 0.0) -> None:
        self.name = name
        self.well = well
        self.takes_s = takes_s
        self.asked = 0

    async def is_well(self) -> bool:
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        return self.well


def job(number: int, *, failing: bool = False) -> Job:
    now = datetime.now(UTC)
    return Job(
        monitor=MonitorRef(number, UUID(int=number), UUID(int=0), "website", "shop", "http://x/"),
        policy=Policy(60, 10, 3, 1),
        request=ProbeRequest(number, "http://x/", "GET", 1000, (range(200, 300),), True, 5, True),
        lease_id=UUID(int=9),
        due_at=now,
        leased_until=now + timedelta(seconds=30),
        state=WebsiteState(failures=int(failing)),
    )


@contextmanager
def checking(
    answer: Callable[[ProbeRequest], ProbeResult],
    *,
    network: list[FakeCanary] | None = None,
    resolver: list[FakeCanary] | None = None,
) -> Iterator[tuple[ProbeLoop, list[Finished]]]:
    """A loop whose canaries have been asked once."""
    done: list[Finished] = []
    all_canaries = [*(network or []), *(resolver or [])]
    loop = ProbeLoop(
        lambda: FakeEngine(answer),
        done.append,
        max_in_flight=1000,
        lag_limit_s=30.0,
        make_aviary=lambda: Aviary(network or [], resolver or []),
    )
    loop.start()
    try:
        until(lambda: all(canary.asked for canary in all_canaries))
        yield loop, done
    finally:
        loop.stop(0.0)


def failing(reason: Reason = Reason.TIMEOUT) -> Callable[[ProbeRequest], ProbeResult]:
    return lambda _: result(Outcome.DOWN, reason, detail="gone")


def outcomes(done: list[Finished]) -> set[tuple[Outcome, Reason]]:
    return {(item.result.outcome, item.result.reason) for item in done}


def test_a_large_hoster_that_really_fails_is_down_at_once_and_for_each() -> None:
    canary = FakeCanary()
    part = lambda request: result() if request.monitor_id % 10 >= 7 else result(Outcome.DOWN, Reason.TIMEOUT)  # noqa: E731  (a line of data)
    with checking(part, network=[canary]) as (loop, done):
        began = time.monotonic()
        loop.submit([job(n) for n in range(300)], 1)
        until(lambda: len(done) == 300)
        assert time.monotonic() - began < 5
    assert sum(item.result.outcome is Outcome.DOWN for item in done) == 210
    assert canary.asked >= 2


def test_failures_do_not_count_while_the_canaries_fail_and_count_again_after() -> None:
    canary, other = FakeCanary("one"), FakeCanary("two")
    with checking(failing(), network=[canary, other]) as (loop, done):
        canary.well = other.well = False
        loop.submit([job(n) for n in range(50)], 1)
        until(lambda: len(done) == 50)
        assert outcomes(done) == {(Outcome.UNKNOWN, Reason.LOCAL_NETWORK)}
        assert all("gone" in item.result.detail for item in done)
        canary.well = True
        asked = canary.asked
        until(lambda: canary.asked > asked, 10)
        done.clear()
        until(lambda: _again(loop, done), 10)


def _again(loop: ProbeLoop, done: list[Finished], number: int = 1) -> bool:
    loop.submit([job(number)], 1)
    until(lambda: done)
    return done.pop().result.outcome is Outcome.DOWN


def test_one_canary_that_is_well_is_enough() -> None:
    well, ill = FakeCanary("one"), FakeCanary("two")
    with checking(failing(), network=[well, ill]) as (loop, done):
        ill.well = False
        loop.submit([job(n) for n in range(5)], 1)
        until(lambda: len(done) == 5)
    assert outcomes(done) == {(Outcome.DOWN, Reason.TIMEOUT)}


def test_without_a_way_out_outages_are_found_without_waiting() -> None:
    never_well = FakeCanary(well=False)
    with checking(failing(), network=[never_well]) as (loop, done):
        loop.submit([job(n) for n in range(5)], 1)
        until(lambda: len(done) == 5)
    assert outcomes(done) == {(Outcome.DOWN, Reason.TIMEOUT)}
    assert never_well.asked == 1


def test_a_single_failure_among_many_asks_nobody() -> None:
    canary = FakeCanary()
    one = lambda request: result(Outcome.DOWN, Reason.TIMEOUT) if request.monitor_id == 199 else result()  # noqa: E731  (a line of data)
    with checking(one, network=[canary]) as (loop, done):
        loop.submit([job(n) for n in range(200)], 1)
        until(lambda: len(done) == 200)
    assert canary.asked == 1
    assert sum(item.result.outcome is Outcome.DOWN for item in done) == 1


def test_who_failed_before_makes_no_burst() -> None:
    canary = FakeCanary()
    with checking(failing(), network=[canary]) as (loop, done):
        loop.submit([job(n, failing=True) for n in range(50)], 1)
        until(lambda: len(done) == 50)
    assert canary.asked == 1
    assert outcomes(done) == {(Outcome.DOWN, Reason.TIMEOUT)}


@pytest.mark.parametrize(
    ("well", "expected"), [(True, (Outcome.DOWN, Reason.DNS_FAILURE)), (False, (Outcome.UNKNOWN, Reason.RESOLVER_FAILURE))]
)
def test_a_name_that_fails_is_judged_by_the_resolver_canary(well: bool, expected: tuple[Outcome, Reason]) -> None:
    network, name = FakeCanary(), FakeCanary("name")
    with checking(failing(Reason.DNS_FAILURE), network=[network], resolver=[name]) as (loop, done):
        name.well = well
        loop.submit([job(1, failing=True)], 1)
        until(lambda: done)
    assert outcomes(done) == {expected}


def test_what_is_plainly_ours_makes_the_canaries_speak_before_it_looks_like_theirs() -> None:
    """The resolver says that it is dead; when it is back, what it had failed at still comes as the name's failure."""
    name = FakeCanary("name")
    answers = {1: result(Outcome.UNKNOWN, Reason.RESOLVER_FAILURE), 2: result(Outcome.DOWN, Reason.DNS_FAILURE)}
    with checking(lambda request: answers[request.monitor_id], resolver=[name]) as (loop, done):
        name.well = False
        loop.submit([job(1)], 1)
        until(lambda: name.asked >= 2)
        name.well = True
        asked = name.asked
        until(lambda: name.asked > asked, 5)
        loop.submit([job(2)], 1)
        until(lambda: len(done) == 2)
    assert outcomes(done) == {(Outcome.UNKNOWN, Reason.RESOLVER_FAILURE)}


def test_what_waits_for_canaries_at_the_end_does_not_count() -> None:
    canary = FakeCanary()
    with checking(failing(), network=[canary]) as (loop, done):
        canary.takes_s = 30.0
        loop.submit([job(1)], 1)
        until(lambda: canary.asked == 2)
        assert done == []
        loop.stop(1.0)
    assert outcomes(done) == {(Outcome.UNKNOWN, Reason.SHUTTING_DOWN)}


def test_too_many_failures_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canaries, "MOST_HELD", 10)
    canary = FakeCanary()
    with checking(failing(), network=[canary]) as (loop, done):
        loop.submit([job(n) for n in range(30)], 1)
        until(lambda: len(done) == 30)
    assert outcomes(done) == {(Outcome.DOWN, Reason.TIMEOUT), (Outcome.UNKNOWN, Reason.OVERLOADED)}
    assert sum(item.result.outcome is Outcome.DOWN for item in done) == 10


def test_canaries_that_most_websites_contradict_lose_their_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canaries, "are_liars", lambda failing_for_s, *, up, failed: up > failed)
    monkeypatch.setattr(canaries, "TROUBLE_ROUND_S", 0.1)
    canary = FakeCanary()
    half = lambda request: result() if request.monitor_id % 3 else result(Outcome.DOWN, Reason.TIMEOUT)  # noqa: E731  (a line of data)
    with checking(half, network=[canary]) as (loop, done):
        canary.well = False
        loop.submit([job(0)], 1)
        until(lambda: done)
        assert outcomes(done) == {(Outcome.UNKNOWN, Reason.LOCAL_NETWORK)}
        loop.submit([job(n) for n in range(1, 30)], 1)
        until(lambda: len(done) == 30)
        done.clear()
        until(lambda: _again(loop, done, 0), 10)
