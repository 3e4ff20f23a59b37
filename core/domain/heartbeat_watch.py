"""Watch for silence: judge a heartbeat whose deadline has passed, against what DynamoDB knows.

Pings at the edge that we have not processed only postpone; the state itself changes in `core.domain.heartbeat.step`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from core.domain.heartbeat import Heartbeat, HeartbeatState, Schedule, deadline_after, duration, later
from core.domain.outcomes import MonitorState, Reason
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
    """What DynamoDB knows of a heartbeat; None means never."""

    sequence: int
    success: EdgeStamp | None = None
    fail: EdgeStamp | None = None
    start: EdgeStamp | None = None

    @property
    def verdict(self) -> EdgeStamp | None:
        """The later of success and fail."""
        stamps = [stamp for stamp in (self.success, self.fail) if stamp]
        return max(stamps, key=lambda stamp: stamp.sequence, default=None)


@dataclass(frozen=True, slots=True)
class Projection:
    """What the edge has to know of a heartbeat, as PostgreSQL knows it: to make its item anew where it was lost."""

    uid: UUID
    workspace_id: UUID
    config_version: int
    state: HeartbeatState


@dataclass(frozen=True, slots=True)
class Postponed:
    """Not missed: a ping is at the edge that we have not processed yet. `deadline_at` is the next one."""

    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class Missed:
    """The deadline passed in silence. `heartbeat` is the state to store."""

    heartbeat: Heartbeat
    transition: WentDown


def judge(heartbeat: Heartbeat, edge: EdgeState, now: datetime) -> Postponed | Missed:
    """Judge a heartbeat whose deadline has passed, against what the edge knows.

    When the last ping at the edge is overdue as well, the verdict stands on all that the edge knows: its sequences are taken over,
    so that pings which were still on their way change nothing when they arrive.
    """
    state, schedule = heartbeat.state, heartbeat.schedule
    known = _merged(state, edge)
    due = _edge_deadline(state, known, edge, schedule)
    if due + MARGIN > now:
        return Postponed(due)
    down = replace(known, state=MonitorState.DOWN, deadline_at=None, changed_at=now)
    transition = WentDown(heartbeat.monitor, due, Reason.HEARTBEAT_MISSED, _why_missed(known, schedule, due))
    return Missed(replace(heartbeat, state=down), transition)


def _merged(state: HeartbeatState, edge: EdgeState) -> HeartbeatState:
    """The state with the facts of the edge."""
    merged = replace(
        state,
        last_sequence=max(state.last_sequence, edge.sequence),
        verdict_sequence=max(state.verdict_sequence, edge.verdict.sequence if edge.verdict else 0),
        start_sequence=max(state.start_sequence, edge.start.sequence if edge.start else 0),
        last_success_at=later(state.last_success_at, edge.success.at) if edge.success else state.last_success_at,
        last_fail_at=later(state.last_fail_at, edge.fail.at) if edge.fail else state.last_fail_at,
        last_start_at=later(state.last_start_at, edge.start.at) if edge.start else state.last_start_at,
    )
    times = [merged.last_ping_at, merged.last_success_at, merged.last_fail_at, merged.last_start_at]
    return replace(merged, last_ping_at=max((at for at in times if at), default=None))


def _edge_deadline(state: HeartbeatState, known: HeartbeatState, edge: EdgeState, schedule: Schedule) -> datetime:
    """The deadline that follows from the pings at the edge; ours where it has nothing newer. It never comes before ours."""
    assert state.deadline_at is not None, "only heartbeats with a deadline are judged"
    started = known.last_start_at if known.running else None
    if edge.verdict and edge.verdict.sequence > state.verdict_sequence:
        newer = deadline_after(edge.verdict.at, started, schedule)
    elif known.start_sequence > state.start_sequence and state.state is MonitorState.UP:
        newer = deadline_after(state.last_success_at, started, schedule)
    else:
        newer = None
    return max(state.deadline_at, newer) if newer else state.deadline_at


def _why_missed(state: HeartbeatState, schedule: Schedule, due: datetime) -> str:
    grace, words = schedule.grace, duration(schedule.grace_s)
    if state.running and state.last_start_at:
        if due == state.last_start_at + grace:
            return f"started at {_clock(state.last_start_at)} and did not end within {words}"
        expected, last = due - 2 * grace, f"started at {_clock(state.last_start_at)} and did not end"
    else:
        expected, last = due - grace, f"last ping {_clock(state.last_ping_at)}" if state.last_ping_at else "no ping yet"
    return f"expected at {_clock(expected)} (every {duration(schedule.period_s)}), grace {words}, {last}"


def _clock(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
