"""The state of a heartbeat: what a ping changes, and when silence counts as missed.

The state follows from sequences, not from the order in which pings arrive: the highest sequence of a success or fail gives the
verdict, a start above it means that a run is under way. So any order and any repetition of the same pings end in the same state.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from core.domain.outcomes import MonitorState, Reason
from core.domain.transitions import CameUp, MonitorRef, Transition, WentDown

type PingKind = Literal["success", "fail", "start", "log"]

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Schedule:
    """A ping is expected every `period_s` seconds and may be late by `grace_s`; a run may take `grace_s` from its start."""

    period_s: int
    grace_s: int

    @property
    def period(self) -> timedelta:
        """Time between two pings."""
        return timedelta(seconds=self.period_s)

    @property
    def grace(self) -> timedelta:
        """Tolerated lateness, and tolerated length of a run."""
        return timedelta(seconds=self.grace_s)

    @property
    def words(self) -> str:
        """The schedule as messages name it, e.g. `every 1 d, grace 1 h`."""
        return f"every {duration(self.period_s)}, grace {duration(self.grace_s)}"


@dataclass(frozen=True, slots=True)
class HeartbeatState:
    """Hot state, as in the table `heartbeat_state`. `pings` counts every ping that was stored."""

    state: MonitorState = MonitorState.NEW
    last_sequence: int = 0
    verdict_sequence: int = 0
    start_sequence: int = 0
    last_ping_at: datetime | None = None
    last_success_at: datetime | None = None
    last_fail_at: datetime | None = None
    last_start_at: datetime | None = None
    deadline_at: datetime | None = None
    pings: int = 0
    changed_at: datetime | None = None

    @property
    def running(self) -> bool:
        """Whether a run has started and not ended."""
        return self.start_sequence > self.verdict_sequence


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
    """What the state needs to know of a ping."""

    sequence: int
    kind: PingKind
    exit_status: int | None
    pinged_at: datetime


def deadline(state: HeartbeatState, schedule: Schedule) -> datetime | None:
    """When silence counts as missed; None for a heartbeat that expects nothing (down, or new without a run).

    A run that started in time has its own grace; one that starts again and again without ending does not push the deadline further
    than one grace beyond the tolerated lateness.
    """
    if state.state is MonitorState.DOWN:
        return None
    last = state.last_success_at if state.state is MonitorState.UP else None
    started = state.last_start_at if state.running else None
    return deadline_after(last, started, schedule)


def step(heartbeat: Heartbeat, ping: PingFact) -> tuple[Heartbeat, Transition | None]:
    """Apply one ping, stored for the first time. A ping (not a log) after the pause resumes a paused heartbeat."""
    resumed = _resumed(heartbeat, ping)
    noted = replace(resumed, state=_noted(resumed.state, ping))
    if noted.paused_at is not None or ping.kind == "log" or ping.sequence <= noted.state.verdict_sequence:
        return noted, None
    if ping.kind == "start":
        return replace(noted, state=_started(noted, ping)), None
    return _judged(noted, ping)


def deadline_after(last: datetime | None, started: datetime | None, schedule: Schedule) -> datetime | None:
    """The deadline after a success at `last`, with a run under way since `started`; None without either."""
    latest_start = last + schedule.period + schedule.grace if last else None
    if started is None:
        return latest_start
    return (min(started, latest_start) if latest_start else started) + schedule.grace


def _resumed(heartbeat: Heartbeat, ping: PingFact) -> Heartbeat:
    """A heartbeat that was up before its pause starts as a new one: what it missed in the pause is nobody's business."""
    if heartbeat.paused_at is None or ping.kind == "log" or ping.pinged_at <= heartbeat.paused_at:
        return heartbeat
    state = heartbeat.state
    if state.state is MonitorState.UP:
        state = replace(state, state=MonitorState.NEW, changed_at=ping.pinged_at)
    return replace(heartbeat, paused_at=None, state=replace(state, deadline_at=None))


def _noted(state: HeartbeatState, ping: PingFact) -> HeartbeatState:
    """The facts of a ping, whatever it changes; the same in any order."""
    noted = replace(
        state,
        last_sequence=max(state.last_sequence, ping.sequence),
        last_ping_at=later(state.last_ping_at, ping.pinged_at),
        pings=state.pings + 1,
    )
    match ping.kind:
        case "success":
            return replace(noted, last_success_at=later(state.last_success_at, ping.pinged_at))
        case "fail":
            return replace(noted, last_fail_at=later(state.last_fail_at, ping.pinged_at))
        case "start":
            started = max(state.start_sequence, ping.sequence)
            return replace(noted, start_sequence=started, last_start_at=later(state.last_start_at, ping.pinged_at))
        case "log":
            return noted


def _started(heartbeat: Heartbeat, ping: PingFact) -> HeartbeatState:
    """A start on a new heartbeat is its first sign of life; the earliest one counts, so that starts alone never put it off for ever."""
    state = heartbeat.state
    if state.state is MonitorState.NEW:
        armed = ping.pinged_at + heartbeat.schedule.grace
        return replace(state, deadline_at=min(state.deadline_at, armed) if state.deadline_at else armed)
    return replace(state, deadline_at=deadline(state, heartbeat.schedule))


def _judged(heartbeat: Heartbeat, ping: PingFact) -> tuple[Heartbeat, Transition | None]:
    before = heartbeat.state.state
    after = MonitorState.UP if ping.kind == "success" else MonitorState.DOWN
    state = replace(
        heartbeat.state,
        state=after,
        verdict_sequence=ping.sequence,
        changed_at=heartbeat.state.changed_at if before is after else ping.pinged_at,
    )
    judged = replace(heartbeat, state=replace(state, deadline_at=deadline(state, heartbeat.schedule)))
    if before is MonitorState.DOWN and after is MonitorState.UP:
        return judged, CameUp(heartbeat.monitor, ping.pinged_at)
    if before is not MonitorState.DOWN and after is MonitorState.DOWN:
        return judged, WentDown(heartbeat.monitor, ping.pinged_at, Reason.HEARTBEAT_FAILED, _why_failed(ping))
    return judged, None


def _why_failed(ping: PingFact) -> str:
    return "the job reported a failure" if ping.exit_status is None else f"the job ended with exit status {ping.exit_status}"


def later(one: datetime | None, other: datetime) -> datetime:
    """The later of two times, where the first may be absent."""
    return max(one, other) if one else other


def duration(seconds: int) -> str:
    """Seconds in words of whole units, e.g. `1 d`, `1 h 30 min`, `45 s`."""
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
