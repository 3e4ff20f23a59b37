"""Any interleaving of claims, workers and flushes, against what the same checks say one after the other.

The machine below plays the whole fleet: batches that are delivered twice, workers that sleep over their lease, results that are late,
repeated and out of order, edits, pauses and a wall clock that is set. Its oracle knows nothing of leases: each website has an epoch
that every event raises, and a result counts exactly if nothing has happened to its website since the claim it stems from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import psycopg
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from core.domain import website
from core.domain.outcomes import Outcome
from core.domain.transitions import CameUp, WentDown
from core.domain.website import Check, Policy, WebsiteState
from core.flows import websites as flows
from core.flows.websites import LEASE_MARGIN, Applied, Claim, Finished, Job
from tests.websites import finished

BEGAN: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
TICK: Final = timedelta(seconds=1.5)
TIMEOUT: Final = timedelta(seconds=5)
WEBSITES: Final = 3

outcomes = st.sampled_from([Outcome.UP, Outcome.DOWN, Outcome.DOWN, Outcome.UNKNOWN])
policies = st.builds(Policy, st.just(60), st.just(10), st.integers(1, 3), st.integers(1, 2))

type Incident = tuple[datetime, datetime | None]


class World(Protocol):
    """The flow functions over some store. `incidents` are (began, resolved) in order of their beginning, `checks` all stored outcomes."""

    def add(self, policy: Policy, now: datetime) -> int: ...
    def claim(self, now: datetime, limit: int) -> Claim: ...
    def claim_now(self, monitor_id: int, now: datetime) -> Claim: ...
    def load(self, claim: Claim, now: datetime) -> list[Job]: ...
    def apply(self, results: Sequence[Finished], now: datetime) -> Applied: ...
    def hand_back(self, claim: Claim) -> None: ...
    def edit(self, monitor_id: int, now: datetime, *, request: bool) -> None: ...
    def pause(self, monitor_id: int, now: datetime) -> None: ...
    def resume(self, monitor_id: int, now: datetime) -> None: ...
    def set_clock(self, now: datetime, jump_s: float) -> None: ...
    def incidents(self, monitor_id: int) -> list[Incident]: ...
    def checks(self, monitor_id: int) -> int: ...
    def close(self) -> None: ...


class OverFlows:
    """The part of a world that is the real flow functions."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def claim(self, now: datetime, limit: int) -> Claim:
        return flows.claim_due(self._connection, now, horizon=TICK, limit=limit)

    def load(self, claim: Claim, now: datetime) -> list[Job]:
        return flows.load(self._connection, claim, now)[0]

    def apply(self, results: Sequence[Finished], now: datetime) -> Applied:
        return flows.apply_results(self._connection, results, now, draw=lambda: 0.0)

    def hand_back(self, claim: Claim) -> None:
        flows.hand_back(self._connection, claim.lease_id, claim.ids)

    def set_clock(self, now: datetime, jump_s: float) -> None:
        flows.realign(self._connection, now, jump_s)


@dataclass
class Expected:
    """What must be true of one website: the fold of the checks that counted, one after the other."""

    policy: Policy
    epoch: int = 0
    paused: bool = False
    leased_until: datetime | None = None
    state: WebsiteState = field(default_factory=WebsiteState)
    incidents: list[Incident] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)

    def disturb(self) -> None:
        """Something happened: whatever is under way is void."""
        self.epoch += 1
        self.leased_until = None

    def forget_counts(self) -> None:
        state = self.state
        self.state = WebsiteState(
            state.state, unknown_since=state.unknown_since, last_checked_at=state.last_checked_at, changed_at=state.changed_at
        )

    def count(self, made: "Made", now: datetime) -> None:
        result = made.finished.result
        check = Check(result.started_at, result.outcome, result.reason)
        judged = website.step(made.finished.job.monitor, self.state, check, self.policy, now=now, jitter=0.0)
        self.state = judged.state
        match judged.transition:
            case WentDown(began_at=began_at):
                self.incidents.append((began_at, None))
            case CameUp(at=at):
                began_at, _ = self.incidents[-1]
                self.incidents[-1] = (began_at, max(at, began_at))
        self.counted.append(made.began)
        self.disturb()


@dataclass(frozen=True)
class Batch:
    """A claim on its way, with the epoch of each website when it was made."""

    claim: Claim
    epochs: dict[int, int]


@dataclass(frozen=True)
class Made:
    """A result; `began` is when its probe really began, on a clock that nobody sets."""

    finished: Finished
    epoch: int
    began: float


class Interleavings(RuleBasedStateMachine):
    """Subclasses open a world."""

    open_world: Callable[[], World]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).open_world()
        self.steady = 0.0
        self.set_by = timedelta()
        self.expected: dict[int, Expected] = {}
        self.batches: list[Batch] = []
        self.jobs: list[tuple[Job, int]] = []
        self.results: list[Made] = []
        self.waiting: list[Made] = []

    @property
    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.steady) + self.set_by

    @initialize(drawn=st.lists(policies, min_size=WEBSITES, max_size=WEBSITES))
    def add_websites(self, drawn: list[Policy]) -> None:
        for policy in drawn:
            self._blink()
            self.expected[self.world.add(policy, self.now)] = Expected(policy)

    @rule(seconds=st.sampled_from([0.3, 1.0, 4.0, 7.0, 12.0, 30.0, 61.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.steady += seconds

    @rule(limit=st.integers(1, WEBSITES))
    def claim(self, limit: int = WEBSITES) -> None:
        self._claimed(self.world.claim(self.now, limit))

    @rule(number=st.integers(0, WEBSITES - 1))
    def check_now(self, number: int) -> None:
        self._claimed(self.world.claim_now(self._website(number), self.now))

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """Also again, also long after: the batch stays where it can be drawn."""
        self._load(data.draw(_recent(self.batches)))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), outcome=outcomes)
    def probe(self, data: st.DataObject, outcome: Outcome) -> None:
        """Now, however long the worker has slept since it loaded the job."""
        self._probe(*data.draw(_recent(self.jobs)), outcome)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), repeated=st.integers(0, 2))
    def flush(self, data: st.DataObject, repeated: int) -> None:
        """Some of what waits in any order, now or late, and some that was flushed before, or twice in one batch."""
        batch = data.draw(st.lists(_recent(self.waiting), min_size=1, max_size=5))
        batch += data.draw(st.lists(_recent(self.results), min_size=repeated, max_size=repeated))
        self._flush(data.draw(st.permutations(batch)))

    @rule(outcome=outcomes)
    def check_what_is_due(self, outcome: Outcome) -> None:
        """One after the other up to the results, which wait."""
        seen = len(self.jobs)
        self.claim()
        self._load(self.batches[-1])
        for job, epoch in self.jobs[seen:]:
            self._probe(job, epoch, outcome)

    @rule(outcome=outcomes)
    def everything_in_order(self, outcome: Outcome) -> None:
        """What is due, with nothing in between."""
        seen = len(self.results)
        self.check_what_is_due(outcome)
        if made := self.results[seen:]:
            self._flush(made)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        batch = data.draw(_recent(self.batches))
        self.world.hand_back(batch.claim)
        for monitor_id, epoch in batch.epochs.items():
            if self.expected[monitor_id].epoch == epoch:
                self.expected[monitor_id].disturb()

    @rule(number=st.integers(0, WEBSITES - 1), request=st.booleans())
    def edit(self, number: int, request: bool) -> None:
        """Of what is checked, or only of how often."""
        self._blink()
        monitor_id = self._website(number)
        self.world.edit(monitor_id, self.now, request=request)
        self.expected[monitor_id].disturb()
        if request:
            self.expected[monitor_id].forget_counts()

    @rule(number=st.integers(0, WEBSITES - 1))
    def pause_or_resume(self, number: int) -> None:
        monitor_id = self._website(number)
        expected = self.expected[monitor_id]
        if expected.paused:
            self.world.resume(monitor_id, self.now)
        else:
            self.world.pause(monitor_id, self.now)
            expected.disturb()
            expected.forget_counts()
        expected.paused = not expected.paused

    @rule(jump_s=st.sampled_from([3600.0, -3600.0]))
    def the_wall_clock_is_set(self, jump_s: float) -> None:
        self.set_by += timedelta(seconds=jump_s)
        self.world.set_clock(self.now, jump_s)
        for expected in self.expected.values():
            if expected.leased_until:
                expected.leased_until = min(expected.leased_until, self.now + TIMEOUT + 2 * LEASE_MARGIN)

    @rule(outcome=st.sampled_from([Outcome.UP, Outcome.DOWN]))
    def in_the_end_everything_is_found(self, outcome: Outcome) -> None:
        """Whatever happened before: nobody is forgotten, nobody is held for ever."""
        for _ in range(3):
            self.time_passes(100.0)
            self.everything_in_order(outcome)
        for expected in self.expected.values():
            assert expected.paused or expected.state.state == outcome.name.lower()

    @invariant()
    def incidents_are_those_of_the_checks_in_order(self) -> None:
        for monitor_id, expected in self.expected.items():
            assert self.world.incidents(monitor_id) == expected.incidents
            assert self.world.checks(monitor_id) == len(expected.counted)
            assert sorted(set(expected.counted)) == expected.counted, (
                "each counts once, in the order in which the checks were made"
            )

    def teardown(self) -> None:
        self.world.close()

    def _blink(self) -> None:
        """No two things happen at the same time, so that the order of what is due is certain."""
        self.steady += 0.001

    def _website(self, number: int) -> int:
        return list(self.expected)[number]

    def _claimed(self, claim: Claim) -> None:
        for monitor_id in claim.ids:
            expected = self.expected[monitor_id]
            assert not expected.paused
            assert expected.leased_until is None or expected.leased_until <= self.now, "nobody else has it"
            expected.disturb()
            expected.leased_until = self.now + TIMEOUT + LEASE_MARGIN
        self.batches.append(Batch(claim, {monitor_id: self.expected[monitor_id].epoch for monitor_id in claim.ids}))

    def _load(self, batch: Batch) -> None:
        jobs = self.world.load(batch.claim, self.now)
        ours = {monitor_id for monitor_id, epoch in batch.epochs.items() if self.expected[monitor_id].epoch == epoch}
        assert {job.monitor.id for job in jobs} == ours
        for job in jobs:
            self.expected[job.monitor.id].leased_until = job.leased_until
            self.jobs.append((job, batch.epochs[job.monitor.id]))

    def _probe(self, job: Job, epoch: int, outcome: Outcome) -> None:
        self._blink()
        self.results.append(Made(finished(job, self.now, outcome), epoch, self.steady))
        self.waiting.append(self.results[-1])

    def _flush(self, batch: Sequence[Made]) -> None:
        applied = self.world.apply([made.finished for made in batch], self.now)
        counted = []
        for made in batch:
            expected = self.expected[made.finished.job.monitor.id]
            if made.epoch == expected.epoch:
                expected.count(made, self.now)
                counted.append(made.finished)
        self.waiting = [made for made in self.waiting if made not in batch]
        assert sorted(map(id, (done for done, _ in applied.judged))) == sorted(map(id, counted))
        assert applied.stale == len(batch) - len(counted)


def _recent[T](made: Sequence[T]) -> st.SearchStrategy[T]:
    """The newest first: with all of a long past to choose from, hardly anything would ever count."""
    return st.sampled_from(made[:-8:-1])


def play(open_world: Callable[[], World], **more: Any) -> None:
    """Run the machine. The same examples every time: a failure is a failure for everybody."""
    machine = type("Machine", (Interleavings,), {"open_world": staticmethod(open_world)})
    run_state_machine_as_test(machine, settings=settings(derandomize=True, deadline=None, stateful_step_count=60, **more))
