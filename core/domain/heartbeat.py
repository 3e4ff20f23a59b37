"""The state of a heartbeat: what a ping changes, and when silence counts as missed.

The state follows from sequences, not from the order in which pings arrive: what counts is which success is the latest, which failures came
after it, and which runs have started and not ended. So any order and any repetition of the same pings end in the same state.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from core.domain.heartbeat_runs import NO_RUNS, WITHOUT_ID, Run, Runs
from core.domain.heartbeat_schedule import Schedule, duration
from core.domain.outcomes import MonitorState, Reason
from core.domain.transitions import CameUp, MonitorRef, Transition, WentDown

type PingKind = Literal["success", "fail", "start", "log"]


class Failure(NamedTuple):
    """A failure since the last success. `rank` orders failures and successes: that of a ping is twice its sequence.

    A ping that did not come ranks one above the last that did.
    """

    rank: int
    at: datetime


@dataclass(frozen=True, slots=True)
class HeartbeatState:
    """Hot state, as in the table `heartbeat_state`. `pings` counts every ping that was stored.

    Sequences are the highest: of any ping, of the success or fail that was judged, of a success, of a success or fail without a run id,
    of a start. What is expected counts from `anchor_at`: the last success or fail, the miss after it, the end of a pause or of a gap of
    ours. `due_at` is the time that is expected next, `deadline_at` when it, or the end of a run, counts as missed. `failures` holds no
    more than are needed to be down.
    """

    state: MonitorState = MonitorState.NEW
    last_sequence: int = 0
    verdict_sequence: int = 0
    success_sequence: int = 0
    end_sequence: int = 0
    start_sequence: int = 0
    last_ping_at: datetime | None = None
    last_success_at: datetime | None = None
    last_fail_at: datetime | None = None
    last_start_at: datetime | None = None
    anchor_at: datetime | None = None
    due_at: datetime | None = None
    deadline_at: datetime | None = None
    pings: int = 0
    changed_at: datetime | None = None
    runs: Runs = NO_RUNS
    failures: tuple[Failure, ...] = ()

    @property
    def running(self) -> bool:
        """Whether a run has started and not ended."""
        return bool(self.runs.open)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat with its schedule and its state."""

    monitor: MonitorRef
    schedule: Schedule
    config_version: int
    paused_at: datetime | None
    state: HeartbeatState


@dataclass(frozen=True, slots=True)
class PingFact:
    """What the state needs to know of a ping.

    `rid` is the run id that the job sent. `started_at` is when the edge saw the run start that this ping ends. `body_of` is the ping's own
    id where it has a body.
    """

    sequence: int
    kind: PingKind
    exit_status: int | None
    pinged_at: datetime
    rid: UUID | None = None
    started_at: datetime | None = None
    body_of: UUID | None = None

    @property
    def run_key(self) -> str:
        """The run that it is about."""
        return str(self.rid) if self.rid else WITHOUT_ID


class Limit(NamedTuple):
    """Something that must have happened by `at`: the end of the run `rid`, or a ping where that is None."""

    at: datetime
    rid: str | None = None


def limits(state: HeartbeatState, schedule: Schedule) -> tuple[datetime | None, list[Limit]]:
    """When a ping is due, and what must have happened by when; nothing of a heartbeat that is down.

    A run that started since the last verdict stands for the ping that is due: it has its own time, from its start but no later than the end
    of the grace, so that a job that starts again and again without ending is found. Any other run has its time from its start.
    """
    if state.state is MonitorState.DOWN:
        return None, []
    anchor = state.anchor_at
    due = schedule.due_after_ping(anchor) if anchor else None
    latest_start = due + schedule.grace if due else None
    current = {rid for rid, run in state.runs.open.items() if run.sequence > state.verdict_sequence}
    found = [
        Limit((min(run.at, latest_start) if latest_start and rid in current else run.at) + schedule.max_run, rid)
        for rid, run in state.runs.open.items()
    ]
    if latest_start and not current:
        found.append(Limit(latest_start))
    return due, found


def expecting(state: HeartbeatState, schedule: Schedule) -> HeartbeatState:
    """The state with what follows from it: what is due, and the deadline."""
    due, found = limits(state, schedule)
    return replace(state, due_at=due, deadline_at=min((limit.at for limit in found), default=None))


def step(heartbeat: Heartbeat, ping: PingFact) -> tuple[Heartbeat, Transition | None]:
    """Apply one ping, stored for the first time. A ping (not a log) after the pause resumes a heartbeat, unless its pause is sticky."""
    ping, too_fast = _judged_by_length(heartbeat, ping)
    resumed = _resumed_by(heartbeat, ping)
    noted = replace(resumed, state=_noted(resumed.state, ping))
    if noted.paused_at is not None:
        return replace(noted, state=_passed_over(noted.state, ping)), None
    match ping.kind:
        case "log":
            return noted, None
        case "start":
            return replace(noted, state=_started(noted.state, ping, noted.schedule)), None
        case _:
            return _judged(noted, ping, too_fast)


def later(one: datetime | None, other: datetime) -> datetime:
    """The later of two times, where the first may be absent."""
    return max(one, other) if one else other


def failed_so_often(state: HeartbeatState, schedule: Schedule, why: str) -> str:
    """Why it is down, where more than one failure was needed for that."""
    if schedule.failure_threshold == 1:
        return why
    return f"{len(state.failures)} failures in a row, the last: {why}"


def with_failure(state: HeartbeatState, failure: Failure, schedule: Schedule) -> HeartbeatState:
    """With one more failure, unless a success came after it. The last ones are kept, as many as make it down."""
    if failure.rank < 2 * state.success_sequence:
        return state
    return replace(state, failures=tuple(sorted([*state.failures, failure])[-schedule.failure_threshold :]))


def _judged_by_length(heartbeat: Heartbeat, ping: PingFact) -> tuple[PingFact, str | None]:
    """A success that came too soon after the start of its run is a failure; then also the reason."""
    least = heartbeat.schedule.min_run
    if ping.kind != "success" or not least:
        return ping, None
    run = heartbeat.state.runs.open.get(ping.run_key)
    known = run.at if run and run.sequence < ping.sequence else None
    started = ping.started_at or known
    if started is None or ping.pinged_at - started >= least:
        return ping, None
    took = duration(round((ping.pinged_at - started).total_seconds()))
    why = f"the job ended after {took}, sooner than the {duration(heartbeat.schedule.min_run_s)} that it takes at least"
    return replace(ping, kind="fail"), why


def _resumed_by(heartbeat: Heartbeat, ping: PingFact) -> Heartbeat:
    """A heartbeat that was up before its pause starts as a new one: what it missed in the pause is nobody's business."""
    paused_at = heartbeat.paused_at
    if paused_at is None or heartbeat.schedule.sticky_pause or ping.kind == "log" or ping.pinged_at <= paused_at:
        return heartbeat
    return replace(heartbeat, paused_at=None, state=afresh(heartbeat.state, ping.pinged_at))


def afresh(state: HeartbeatState, at: datetime) -> HeartbeatState:
    """The state after a pause that ends at `at`. What is down stays down until a success."""
    fresh = replace(state, anchor_at=None, due_at=None, deadline_at=None, runs=NO_RUNS)
    if state.state is MonitorState.DOWN:
        return fresh
    changed_at = at if state.state is MonitorState.UP else state.changed_at
    return replace(fresh, state=MonitorState.NEW, changed_at=changed_at, failures=())


def _noted(state: HeartbeatState, ping: PingFact) -> HeartbeatState:
    """The facts of a ping, whatever it changes; the same in any order."""
    at, kind = ping.pinged_at, ping.kind
    return replace(
        state,
        last_sequence=max(state.last_sequence, ping.sequence),
        start_sequence=max(state.start_sequence, ping.sequence) if kind == "start" else state.start_sequence,
        last_ping_at=later(state.last_ping_at, at),
        last_success_at=later(state.last_success_at, at) if kind == "success" else state.last_success_at,
        last_fail_at=later(state.last_fail_at, at) if kind == "fail" else state.last_fail_at,
        last_start_at=later(state.last_start_at, at) if kind == "start" else state.last_start_at,
        pings=state.pings + 1,
    )


def _passed_over(state: HeartbeatState, ping: PingFact) -> HeartbeatState:
    """A ping of a paused heartbeat: it changes nothing, now or when it arrives again in another guise, such as the edge's latest."""
    if ping.kind in {"log", "start"}:
        return state
    return replace(state, verdict_sequence=max(state.verdict_sequence, ping.sequence), runs=_ended(state, ping).runs)


def _started(state: HeartbeatState, ping: PingFact, schedule: Schedule) -> HeartbeatState:
    """A start on a new heartbeat is its first sign of life; the earliest one counts, so that starts alone never put it off for ever."""
    started = replace(state, runs=state.runs.started(ping.run_key, Run(ping.sequence, ping.pinged_at), state.end_sequence))
    if state.state is MonitorState.NEW and state.anchor_at is None:
        armed = ping.pinged_at + schedule.max_run
        return replace(started, deadline_at=min(state.deadline_at, armed) if state.deadline_at else armed)
    return expecting(started, schedule)


def _ended(state: HeartbeatState, ping: PingFact) -> HeartbeatState:
    if ping.rid:
        return replace(state, runs=state.runs.ended_one(ping.run_key, ping.sequence))
    return replace(state, end_sequence=max(state.end_sequence, ping.sequence), runs=state.runs.ended_all(ping.sequence))


def _judged(heartbeat: Heartbeat, ping: PingFact, too_fast: str | None) -> tuple[Heartbeat, Transition | None]:
    """Apply a success or a failure: the end of its run, what it says, and what is expected next."""
    before = heartbeat.state.state
    state = _ended(heartbeat.state, ping)
    if ping.kind == "success":
        highest = max(state.success_sequence, ping.sequence)
        standing = tuple(failure for failure in state.failures if failure.rank > 2 * highest)
        state = replace(state, success_sequence=highest, failures=standing)
    else:
        state = with_failure(state, Failure(2 * ping.sequence, ping.pinged_at), heartbeat.schedule)
    after = _state_after(state, ping, heartbeat.schedule)
    newest = ping.sequence > state.verdict_sequence
    state = replace(
        state,
        state=after,
        changed_at=state.changed_at if before is after else ping.pinged_at,
        verdict_sequence=ping.sequence if newest else state.verdict_sequence,
        anchor_at=later(state.anchor_at, ping.pinged_at) if newest else state.anchor_at,
    )
    judged = replace(heartbeat, state=expecting(state, heartbeat.schedule))
    if before is MonitorState.DOWN and after is MonitorState.UP:
        return judged, CameUp(heartbeat.monitor, ping.pinged_at)
    if before is not MonitorState.DOWN and after is MonitorState.DOWN:
        why = failed_so_often(state, heartbeat.schedule, too_fast or _why_failed(ping))
        return judged, WentDown(heartbeat.monitor, state.failures[0].at, Reason.HEARTBEAT_FAILED, why, ping.body_of)
    return judged, None


def _state_after(state: HeartbeatState, ping: PingFact, schedule: Schedule) -> MonitorState:
    """Only a success brings up what is down; a first failure that is not enough leaves a new heartbeat new."""
    if len(state.failures) >= schedule.failure_threshold:
        return MonitorState.DOWN
    return MonitorState.UP if ping.kind == "success" else state.state


def _why_failed(ping: PingFact) -> str:
    return "the job reported a failure" if ping.exit_status is None else f"the job ended with exit status {ping.exit_status}"
