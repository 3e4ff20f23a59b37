"""What people do to a heartbeat: pause it, resume it, give it another schedule."""

from dataclasses import replace
from datetime import datetime

from core.domain.heartbeat import HeartbeatState, afresh, expecting
from core.domain.heartbeat_schedule import Schedule
from core.domain.outcomes import MonitorState


def paused(state: HeartbeatState) -> HeartbeatState:
    """Nothing is expected until the pause ends."""
    return replace(state, due_at=None, deadline_at=None)


def resumed(state: HeartbeatState, schedule: Schedule, now: datetime) -> HeartbeatState:
    """After a pause that a person ended: what had pinged before starts anew, as if a ping had come now. What is down stays down."""
    fresh = afresh(state, now)
    if state.state is MonitorState.DOWN or state.anchor_at is None:
        return fresh
    return expecting(replace(fresh, anchor_at=now), schedule)


def rescheduled(state: HeartbeatState, before: Schedule, after: Schedule, now: datetime) -> HeartbeatState:
    """With another schedule. Other times count from the last ping, but give the job at least its grace from now to meet them."""
    if _times(before) == _times(after):
        return state
    moved = expecting(state, after)
    if moved.deadline_at is None:
        return moved
    return replace(moved, deadline_at=max(moved.deadline_at, now + after.grace))


def _times(schedule: Schedule) -> tuple[object, ...]:
    """What a deadline follows from."""
    return schedule.recurrence, schedule.grace_s, schedule.early_s, schedule.max_run_s
