"""Watch for silence: judge a heartbeat whose deadline has passed, against what DynamoDB knows.

Pings at the edge that we have not processed only postpone; the state itself changes in `core.domain.heartbeat.step`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.domain.edge_gaps import Gap, touched
from core.domain.heartbeat import (
    Failure,
    Heartbeat,
    HeartbeatState,
    Limit,
    expecting,
    failed_so_often,
    later,
    limits,
    with_failure,
)
from core.domain.heartbeat_runs import NO_RUNS, WITHOUT_ID, Run, Runs
from core.domain.heartbeat_schedule import EARLY_AT_MOST, EARLY_SHARE, Schedule
from core.domain.heartbeat_words import why_hung, why_late
from core.domain.outcomes import MonitorState, Reason
from core.domain.recurrence import Period
from core.domain.transitions import WentDown

MARGIN: Final = timedelta(seconds=3)
"""How long after a deadline the detector waits: a ping that came in time is in DynamoDB by then."""


@dataclass(frozen=True, slots=True)
class EdgeStamp:
    """The latest ping of one kind at the edge."""

    at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class EdgeState:
    """What DynamoDB knows of a heartbeat; None means never.

    `start` is the latest one without a run id, `runs` are the open ones with one. `end_sequence` is that of the latest success or fail
    without a run id. It is None where there was none, and where a version of before the run ids did not write it down: that knew one run
    at most, which any success or fail ended. `kept_sequence` is that of the latest of them all that the core gets to see: those beyond
    the rate limit are signs of life alone. None: it sees every one.
    """

    sequence: int
    success: EdgeStamp | None = None
    fail: EdgeStamp | None = None
    start: EdgeStamp | None = None
    end_sequence: int | None = None
    runs: Mapping[str, Run] = field(default_factory=dict)
    kept_sequence: int | None = None

    @property
    def on_its_way(self) -> int:
        """The sequence up to which the core has yet to store pings, or has stored them all."""
        if self.kept_sequence is not None:
            return self.kept_sequence
        stamps = [stamp.sequence for stamp in (self.success, self.fail, self.start) if stamp]
        return max([*stamps, *(run.sequence for run in self.runs.values())], default=0)

    @property
    def verdict(self) -> EdgeStamp | None:
        """The later of success and fail."""
        stamps = [stamp for stamp in (self.success, self.fail) if stamp]
        return max(stamps, key=lambda stamp: stamp.sequence, default=None)

    def open_runs(self) -> Mapping[str, Run]:
        """Every run that has not ended, as far as the edge knows."""
        found = {rid: run for rid, run in self.runs.items() if run.sequence > (self.end_sequence or 0)}
        last_end = self.end_sequence
        if last_end is None:
            last_end = self.verdict.sequence if self.verdict else 0
        if self.start and self.start.sequence > last_end:
            found[WITHOUT_ID] = Run(self.start.sequence, self.start.at)
        return found


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """Settings that the edge applies. `filters` is JSON (`core.contracts.ping_filters`), empty for none."""

    slug: str = ""
    post_only: bool = False
    filters: str = ""


@dataclass(frozen=True, slots=True)
class Projection:
    """What the edge has to know of a heartbeat, as PostgreSQL knows it: to make its item anew where it was lost."""

    uid: UUID
    workspace_id: UUID
    config_version: int
    state: HeartbeatState
    options: EdgeOptions | None = None
    """None where they are not at hand: what the item has of them stays."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """Not missed: a ping is at the edge that we have not processed yet. `due_at` and `deadline_at` are the next ones."""

    deadline_at: datetime | None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """A deadline passed in silence. `heartbeat` is the state to store; `transition` is there if that makes it down.

    It does not where more failures are needed, and where nobody is to be told of runs that died in an outage that is over.

    Between `window_from` and `window_until` the ping could have come that did not.
    """

    heartbeat: Heartbeat
    transition: WentDown | None
    window_from: datetime
    window_until: datetime


@dataclass(frozen=True, slots=True)
class Unknown:
    """The deadline passed in silence, but the ping may have met a `gap` of ours. `heartbeat` is the state to store, armed anew.

    Up to that deadline the silence was in time; from `since` on nothing is known, until the next ping.
    """

    heartbeat: Heartbeat
    gap: Gap
    since: datetime


def is_behind(heartbeat: Heartbeat, edge: EdgeState) -> bool:
    """Whether the edge has a ping of this heartbeat that is on its way to us: its state changes when that is stored."""
    return edge.on_its_way > heartbeat.state.last_sequence


def excuse(heartbeat: Heartbeat, missed: Missed, gaps: Sequence[Gap]) -> Unknown | None:
    """What becomes of a missed heartbeat whose ping may have met one of `gaps`; None where it met none.

    What comes after the gap is expected as after a ping at its end: whatever the rhythm of a job, it pings once in any period.
    """
    gap = touched(gaps, window_from(heartbeat, missed), missed.window_until)
    return Unknown(rearmed(heartbeat, gap.ended_at), gap, missed.window_until) if gap else None


def window_from(heartbeat: Heartbeat, missed: Missed) -> datetime:
    """Since when the ping could have come that is missing.

    Times of a cron are known. A period counts from the last ping, and that may have been late by the grace: so the next may be early
    by as much, and by a little more. After a first success, one that ended an outage, or a gap, nothing is known of the rhythm.
    """
    state, schedule, begin = heartbeat.state, heartbeat.schedule, missed.window_from
    if state.due_at and begin > state.due_at + schedule.grace:  # a run that began later stands for the ping that was due
        begin = state.due_at - schedule.early_for(state.due_at)
    if isinstance(schedule.recurrence, Period):
        begin -= schedule.grace + min(timedelta(seconds=schedule.recurrence.seconds) * EARLY_SHARE, EARLY_AT_MOST)
        if state.anchor_at and not _has_rhythm(state):
            begin = min(begin, state.anchor_at)
    return max(begin, state.anchor_at) if state.anchor_at else begin


def _has_rhythm(state: HeartbeatState) -> bool:
    """Whether what is expected counts from a success that followed another one."""
    return state.anchor_at == state.last_success_at and (state.changed_at is None or state.anchor_at != state.changed_at)


def judge(heartbeat: Heartbeat, edge: EdgeState, now: datetime) -> Postponed | Missed:
    """Judge a heartbeat whose deadline has passed, against what the edge knows.

    When the last ping at the edge is overdue as well, the verdict stands on all that the edge knows: its sequences are taken over,
    so that pings which were still on their way change nothing when they arrive.
    """
    state, schedule = heartbeat.state, heartbeat.schedule
    assert state.deadline_at is not None, "only heartbeats with a deadline are judged"
    if dead := _of_an_outage_that_is_over(state, schedule):
        cleared = replace(heartbeat, state=expecting(_without(state, dead), schedule))
        return Missed(cleared, None, min(run.at for run in dead.values()), state.deadline_at)
    known = _merged(state, edge)
    due, found = limits(known, schedule)
    limit = min(found, key=lambda limit: limit.at, default=None)
    if limit is None and known.anchor_at:  # what was waited for has come, and the schedule has no time left
        return Postponed(None)
    if limit is None:  # a version of before the anchor wrote the deadline: it is all that is known, and silence would be worse
        due, limit = state.deadline_at - schedule.grace, Limit(state.deadline_at)
    if known.anchor_at is None:  # the first start of a new heartbeat counts, whatever started since
        limit = limit._replace(at=state.deadline_at)
    limit = limit._replace(at=max(limit.at, state.deadline_at))
    if limit.at + MARGIN > now:
        return Postponed(limit.at, due)
    if limit.rid is not None and known.runs.open[limit.rid].sequence > state.start_sequence:
        known = replace(known, runs=known.runs.overtaken(limit.rid, known.last_sequence + 1))
    return _missed(replace(heartbeat, state=known), limit, due, now)


def rearmed(heartbeat: Heartbeat, at: datetime) -> Heartbeat:
    """Nothing that was expected until `at` is held against a heartbeat: our trouble. What comes after is expected as after a ping then.

    Runs under way are forgotten, as their ends may have been lost. A new heartbeat of which nothing but a run was known waits for a ping.
    """
    state = heartbeat.state
    anchor = max(state.anchor_at, at) if state.anchor_at else None
    return replace(heartbeat, state=expecting(replace(state, anchor_at=anchor, runs=NO_RUNS), heartbeat.schedule))


def _missed(heartbeat: Heartbeat, limit: Limit, due: datetime | None, now: datetime) -> Missed:
    """One failure more; if that is enough it is down, else what comes next is expected."""
    known, schedule = heartbeat.state, heartbeat.schedule
    state = with_failure(known, Failure(2 * known.last_sequence + 1, limit.at), schedule)
    if limit.rid is None:
        assert due is not None, "a ping is late for something"
        began, why = due - schedule.early_for(due), why_late(known, schedule, due, now)
        state = replace(state, anchor_at=due)
    else:
        began = known.runs.open[limit.rid].at if known.anchor_at else limit.at - schedule.max_run
        why = why_hung(began, limit.rid, schedule, now)
        state = replace(state, anchor_at=later(known.anchor_at, began), runs=known.runs.without(limit.rid))
    overdue = {rid: run for rid, run in state.runs.open.items() if run.at + schedule.max_run <= now}
    state = _without(state, overdue)
    if len(state.failures) < schedule.failure_threshold:
        return Missed(replace(heartbeat, state=expecting(state, schedule)), None, began, limit.at)
    down = replace(state, state=MonitorState.DOWN, due_at=None, deadline_at=None, changed_at=now)
    transition = WentDown(heartbeat.monitor, down.failures[0].at, Reason.HEARTBEAT_MISSED, failed_so_often(down, schedule, why))
    return Missed(replace(heartbeat, state=down), transition, began, limit.at)


def _of_an_outage_that_is_over(state: HeartbeatState, schedule: Schedule) -> Mapping[str, Run]:
    """Runs whose time was over before the heartbeat came up: people heard of them, or of what killed them, when it went down."""
    if state.state is not MonitorState.UP or state.changed_at is None:
        return {}
    return {rid: run for rid, run in state.runs.open.items() if run.at + schedule.max_run <= state.changed_at}


def _without(state: HeartbeatState, runs: Mapping[str, Run]) -> HeartbeatState:
    if not runs:
        return state
    return replace(state, runs=replace(state.runs, open={rid: run for rid, run in state.runs.open.items() if rid not in runs}))


def _merged(state: HeartbeatState, edge: EdgeState) -> HeartbeatState:
    """The state with the facts of the edge."""
    verdict = edge.verdict
    newer = verdict if verdict and verdict.sequence > state.verdict_sequence else None
    succeeded = state.success_sequence
    if edge.success and edge.success.sequence > state.verdict_sequence:
        succeeded = max(succeeded, edge.success.sequence)
    merged = replace(
        state,
        last_sequence=max(state.last_sequence, edge.sequence),
        verdict_sequence=newer.sequence if newer else state.verdict_sequence,
        success_sequence=succeeded,
        end_sequence=max(state.end_sequence, edge.end_sequence or 0),
        start_sequence=max([state.start_sequence, *(run.sequence for run in edge.open_runs().values())]),
        last_success_at=later(state.last_success_at, edge.success.at) if edge.success else state.last_success_at,
        last_fail_at=later(state.last_fail_at, edge.fail.at) if edge.fail else state.last_fail_at,
        last_start_at=later(state.last_start_at, edge.start.at) if edge.start else state.last_start_at,
        anchor_at=later(state.anchor_at, newer.at) if newer else state.anchor_at,
        runs=_still_open(state, edge),
        failures=tuple(failure for failure in state.failures if failure.rank > 2 * succeeded),
    )
    times = [merged.last_ping_at, merged.last_success_at, merged.last_fail_at, merged.last_start_at]
    return replace(merged, last_ping_at=max((at for at in times if at), default=None))


def _still_open(state: HeartbeatState, edge: EdgeState) -> Runs:
    """The runs that have neither ended here nor there: those that both know as open, and those whose start has not come here yet."""
    at_edge = edge.open_runs()
    both = {rid: run for rid, run in state.runs.open.items() if rid in at_edge}
    unseen = {rid: run for rid, run in at_edge.items() if run.sequence > state.start_sequence}
    return replace(state.runs, open={**both, **unseen})
