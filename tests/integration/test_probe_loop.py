"""The probe loop: on time, bounded, honest about its own slowness, and clean at the end."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from core.checker.lines import OPEN_AT_ONCE
from core.checker.loop import BACKLOG, Engine, ProbeLoop
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeRequest, ProbeResult
from core.domain.transitions import MonitorRef
from core.domain.website import Policy
from core.flows.websites import Finished, Job
from tests.engines import FakeEngine, result
from tests.waiting import until

LEASE = UUID(int=9)


def job(number: int = 1, *, due_in_s: float = 0.0, timeout_ms: int = 1000, lease_s: float = 30.0, host: str = "") -> Job:
    """Each is on a host of its own unless one is named."""
    now = datetime.now(UTC)
    url = f"http://{host or f'x{number}'}/"
    return Job(
        monitor=MonitorRef(number, UUID(int=number), UUID(int=0), "website", "shop", url),
        policy=Policy(60, 10, 3, 1),
        request=ProbeRequest(number, url, "GET", timeout_ms, (range(200, 300),), True, 5, True),
        lease_id=LEASE,
        due_at=now + timedelta(seconds=due_in_s),
        leased_until=now + timedelta(seconds=lease_s),
    )


@contextmanager
def running(engine: Engine, *, max_in_flight: int = 100, lag_limit_s: float = 30.0) -> Iterator[tuple[ProbeLoop, list[Finished]]]:
    done: list[Finished] = []
    loop = ProbeLoop(lambda: engine, done.append, max_in_flight=max_in_flight, lag_limit_s=lag_limit_s)
    loop.start()
    try:
        yield loop, done
    finally:
        loop.stop(0.0)
        assert not loop.alive


def test_each_probe_starts_at_its_due_time() -> None:
    engine = FakeEngine()
    jobs = [job(n, due_in_s=0.3 * n) for n in (4, 1, 3, 2, 0)]
    with running(engine) as (loop, done):
        assert loop.submit(jobs, 1)
        until(lambda: len(done) == 5)
    assert [number for number, _ in engine.started] == [0, 1, 2, 3, 4]
    due = {j.monitor.id: j.due_at.timestamp() for j in jobs}
    lateness = [at - due[number] for number, at in engine.started]
    assert min(lateness) >= 0
    assert max(lateness) < 0.5


def test_in_flight_is_bounded_and_everything_gets_its_turn() -> None:
    engine = FakeEngine(delay_s=0.005)
    with running(engine, max_in_flight=10) as (loop, done):
        assert loop.submit([job(n) for n in range(200)], 1)
        until(lambda: len(done) == 200)
    assert engine.most_running == 10
    assert [number for number, _ in engine.started] == list(range(200))


def test_who_waited_until_its_lease_may_end_is_not_probed() -> None:
    gate = threading.Event()
    engine = FakeEngine(gate=gate)
    with running(engine, max_in_flight=1) as (loop, done):
        assert loop.submit([job(1), job(2, timeout_ms=1000, lease_s=1.2), job(3)], 1)
        until(lambda: engine.started)
        threading.Timer(0.4, gate.set).start()
        until(lambda: len(done) == 2)
    assert [number for number, _ in engine.started] == [1, 3]


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
def test_a_wall_clock_that_jumps_while_jobs_wait_changes_nothing_for_them(jump_s: float) -> None:
    offset = 0.0
    done: list[Finished] = []
    loop = ProbeLoop(FakeEngine, done.append, max_in_flight=10, lag_limit_s=30.0, wall_clock=lambda: time.time() + offset)
    loop.start()
    try:
        loop.submit([job(1, due_in_s=0.3)], 1)
        until(lambda: len(loop._agenda))
        offset = jump_s
        until(lambda: done, 5)
    finally:
        loop.stop(0.0)


def test_who_seems_due_in_an_hour_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.checker.loop.LONGEST_WAIT_S", 0.2)
    with running(FakeEngine()) as (loop, done):
        loop.submit([job(1, due_in_s=3600, lease_s=3630)], 1)
        until(lambda: done, 5)


def test_a_full_loop_takes_no_more_until_there_is_room() -> None:
    gate = threading.Event()
    with running(FakeEngine(gate=gate), max_in_flight=1) as (loop, done):
        assert loop.submit([job(n) for n in range(BACKLOG + 2)], 1)
        until(lambda: not loop.submit([job(98_001)], 0.01))
        gate.set()
        assert loop.submit([job(98_002)], 10)
        until(lambda: any(found.job.monitor.id == 98_002 for found in done))


def test_an_engine_that_raises_is_our_trouble() -> None:
    def fail(_: ProbeRequest) -> ProbeResult:
        raise RuntimeError("bug")

    with running(FakeEngine(fail)) as (loop, done):
        loop.submit([job(1)], 1)
        until(lambda: done)
    assert (done[0].result.outcome, done[0].result.reason) == (Outcome.UNKNOWN, Reason.INTERNAL)


class StallingEngine(FakeEngine):
    """Its first probe holds the whole loop up; the others are under way meanwhile."""

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        if request.monitor_id == 0:
            time.sleep(0.6)  # noqa: ASYNC251  (a stalled loop is what this is about)
            return result()
        return await super().probe(request)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [(Reason.TIMEOUT, Reason.OVERLOADED), (Reason.CONNECTION_RESET, Reason.OVERLOADED), (Reason.HTTP_STATUS, Reason.HTTP_STATUS)],
)
def test_failures_that_our_own_lag_may_explain_do_not_count(reason: Reason, expected: Reason) -> None:
    engine = StallingEngine(
        lambda _: result(Outcome.DOWN, reason, detail="gone"), delay_s=0.5
    )  # till after the quarter that 0 starts at
    with running(engine, lag_limit_s=0.25) as (loop, done):
        loop.submit([job(1), job(0, due_in_s=0.1), job(2, due_in_s=2.0)], 1)
        until(lambda: len(done) == 3)
    found = {item.job.monitor.id: item.result for item in done}
    assert found[1].reason is expected
    assert found[1].outcome is (Outcome.DOWN if expected is reason else Outcome.UNKNOWN)
    assert found[0].outcome is Outcome.UP
    assert found[2].reason is reason


class StutteringEngine(FakeEngine):
    """Its first probe holds the loop up again and again, never for long."""

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        if request.monitor_id == 0:
            for _ in range(12):
                time.sleep(0.2)  # noqa: ASYNC251  (a stalled loop is what this is about)
                await asyncio.sleep(0.02)
            return result()
        return await super().probe(request)


def test_many_small_lags_are_one_large_one() -> None:
    engine = StutteringEngine(lambda _: result(Outcome.DOWN, Reason.TIMEOUT), delay_s=2.0)
    with running(engine, lag_limit_s=0.8) as (loop, done):
        loop.submit([job(0), job(1), job(2, due_in_s=3.5)], 1)
        until(lambda: len(done) == 3)
    found = {item.job.monitor.id: item.result.reason for item in done}
    assert found == {0: Reason.OK, 1: Reason.OVERLOADED, 2: Reason.TIMEOUT}


def test_stopping_lets_probes_finish_and_hands_back_what_never_started() -> None:
    engine = FakeEngine(delay_s=0.3)
    with running(engine) as (loop, done):
        loop.submit([job(1), job(2, due_in_s=60)], 1)
        until(lambda: engine.started)
        unstarted = loop.stop(5.0)
    assert [j.monitor.id for j in unstarted] == [2]
    assert [(item.job.monitor.id, item.result.outcome) for item in done] == [(1, Outcome.UP)]
    assert engine.closed
    assert not loop.submit([job(3)], 0.01)


def test_what_does_not_finish_in_time_says_that_we_stopped() -> None:
    engine = FakeEngine(gate=threading.Event())
    with running(engine) as (loop, done):
        loop.submit([job(1)], 1)
        until(lambda: engine.started)
        assert loop.stop(0.1) == []
    assert [(item.result.outcome, item.result.reason) for item in done] == [(Outcome.UNKNOWN, Reason.SHUTTING_DOWN)]


def test_an_engine_that_ignores_its_end_is_cut_off() -> None:
    class Stubborn(FakeEngine):
        async def close(self) -> None:
            """Nothing."""

    engine = Stubborn(gate=threading.Event())
    with running(engine) as (loop, done):
        loop.submit([job(1)], 1)
        until(lambda: engine.started)
        loop.stop(0.0)
    assert [item.result.reason for item in done] == [Reason.SHUTTING_DOWN]


def test_an_engine_that_cannot_start_is_told_to_the_starter() -> None:
    def refuse() -> Engine:
        raise RuntimeError("no certificates")

    loop = ProbeLoop(refuse, lambda _: None, max_in_flight=1, lag_limit_s=1)
    with pytest.raises(RuntimeError, match="no certificates"):
        loop.start()


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody in line begins before another has ended."""
    monkeypatch.setattr("core.checker.loop.STEP_S", 600.0)


@pytest.mark.usefixtures("no_steps")
@pytest.mark.parametrize("due_in_s", [-120.0, 0.1], ids=["overdue", "due together"])
def test_checks_of_one_host_never_all_begin_at_once(due_in_s: float) -> None:
    engine = FakeEngine(delay_s=0.005)
    with running(engine) as (loop, done):
        assert loop.submit([job(n, due_in_s=due_in_s, host="shop") for n in range(40)], 1)
        until(lambda: len(done) == 40)
    assert engine.most_running == OPEN_AT_ONCE
    assert [number for number, _ in engine.started] == list(range(40))


def test_a_host_that_hangs_is_soon_found_to_hang_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.checker.loop.STEP_S", 0.01)
    engine = FakeEngine(gate=threading.Event())
    with running(engine) as (loop, _):
        assert loop.submit([job(n, host="shop") for n in range(40)], 1)
        until(lambda: engine.running == 40)


@pytest.mark.usefixtures("no_steps")
def test_a_line_of_one_host_is_handed_back_at_the_end_and_holds_no_other_host_up() -> None:
    engine = FakeEngine(gate=threading.Event())
    with running(engine) as (loop, _):
        assert loop.submit([*(job(n, host="shop") for n in range(10)), job(99)], 1)
        until(lambda: engine.running == OPEN_AT_ONCE + 1)
        left = loop.stop(0.0)
    assert [one.monitor.id for one in left] == list(range(OPEN_AT_ONCE, 10))


@pytest.mark.usefixtures("no_steps")
def test_who_came_too_late_to_begin_is_followed_like_who_has_ended() -> None:
    gate = threading.Event()
    with running(FakeEngine(gate=gate), max_in_flight=1) as (loop, done):
        late = [job(n, timeout_ms=1000, lease_s=1.2, host="shop") for n in range(2, 2 + OPEN_AT_ONCE)]
        assert loop.submit([job(1), *late, job(99, host="shop")], 1)
        threading.Timer(0.4, gate.set).start()
        until(lambda: [one.job.monitor.id for one in done] == [1, 99])
