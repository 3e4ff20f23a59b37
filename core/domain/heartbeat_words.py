"""Why a ping is or was expected, in words for people: in alerts, and in the API."""

from datetime import datetime
from zoneinfo import ZoneInfo

from core.domain.heartbeat import Heartbeat, HeartbeatState
from core.domain.heartbeat_schedule import Schedule, duration
from core.domain.outcomes import MonitorState


def clock(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """A moment as a clock on the wall shows it, with its date unless that is today, and its offset where the clock shows it twice."""
    local = at.astimezone(zone)
    day = "" if local.date() == now.astimezone(zone).date() else local.strftime("%Y-%m-%d ")
    time = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    return f"{day}{time}{local.strftime('%:z') if twice else ''}"


def why_late(state: HeartbeatState, schedule: Schedule, due: datetime, now: datetime) -> str:
    """E.g. `expected at 12:00 Europe/Riga (cron 0 12 * * *), grace 10 min, last ping 2026-11-22 12:00:03`."""
    zone = schedule.zone
    last = f"last ping {clock(state.last_ping_at, zone, now)}" if state.last_ping_at else "no ping yet"
    return f"expected at {clock(due, zone, now)} {zone.key} ({schedule.rule}), grace {duration(schedule.grace_s)}, {last}"


def why_hung(started_at: datetime, rid: str, schedule: Schedule, now: datetime) -> str:
    """E.g. `run 6f1c… started at 12:00 Europe/Riga and did not end within 10 min`."""
    run = f"run {rid} started" if rid else "started"
    zone = schedule.zone
    took = duration(round(schedule.max_run.total_seconds()))
    return f"{run} at {clock(started_at, zone, now)} {zone.key} and did not end within {took}"


def explanation(heartbeat: Heartbeat, now: datetime) -> str:
    """What is expected of a heartbeat now, and why."""
    state, schedule = heartbeat.state, heartbeat.schedule
    zone = schedule.zone
    if heartbeat.paused_at:
        ends = "only a person ends that" if schedule.sticky_pause else "the next ping ends that"
        return f"paused since {clock(heartbeat.paused_at, zone, now)} {zone.key}; {ends}"
    if state.state is MonitorState.DOWN:
        since = f" since {clock(state.changed_at, zone, now)} {zone.key}" if state.changed_at else ""
        return f"down{since}; a ping that says success brings it up ({schedule.words})"
    parts = [why_late(state, schedule, state.due_at, now)] if state.due_at else []
    parts += [f"running since {clock(started, zone, now)}" for started in _first_run(state)]
    if state.failures:
        parts.append(f"{len(state.failures)} of {schedule.failure_threshold} failures in a row")
    if parts:
        return "; ".join(parts)
    if state.state is MonitorState.NEW:
        return f"waits for its first ping ({schedule.words})"
    return f"nothing more is expected: no time is left ({schedule.words})"


def _first_run(state: HeartbeatState) -> list[datetime]:
    return sorted(run.at for run in state.runs.open.values())[:1]
