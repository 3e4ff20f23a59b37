"""Pings of one heartbeat as the domain sees them, and what the edge knows after them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from core.domain.heartbeat import Heartbeat, HeartbeatState, PingFact, PingKind, step
from core.domain.heartbeat_runs import Run
from core.domain.heartbeat_schedule import Schedule, every
from core.domain.heartbeat_watch import EdgeStamp, EdgeState, Missed, judge
from core.domain.transitions import MonitorRef, Transition

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOURLY = every(3600, 300)
MONITOR = MonitorRef(1, UUID(int=1), UUID(int=2), "heartbeat", "backup", HOURLY.words)
NEW = Heartbeat(MONITOR, HOURLY, 1, None, HeartbeatState())


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def scheduled(schedule: Schedule) -> Heartbeat:
    """A new heartbeat with another schedule."""
    return Heartbeat(MONITOR, schedule, 1, None, HeartbeatState())


def ping(sequence: int, kind: PingKind, minutes: float, exit_status: int | None = None, rid: int | None = None) -> PingFact:
    return PingFact(sequence, kind, exit_status, at(minutes), UUID(int=rid) if rid else None)


def key(rid: int) -> str:
    return str(UUID(int=rid))


def after(pings: Iterable[PingFact], heartbeat: Heartbeat = NEW) -> tuple[Heartbeat, list[Transition]]:
    transitions = []
    for each in pings:
        heartbeat, transition = step(heartbeat, each)
        if transition:
            transitions.append(transition)
    return heartbeat, transitions


def seen_at_edge(pings: Iterable[PingFact]) -> EdgeState:
    """As the ping Lambda leaves the heartbeat's item."""
    latest: dict[str, EdgeStamp] = {}
    runs: dict[str, Run] = {}
    highest, end = 0, None
    for each in sorted(pings, key=lambda each: each.sequence):
        highest = each.sequence
        if each.kind == "log":
            continue
        if each.kind == "start" and each.rid:
            runs[str(each.rid)] = Run(each.sequence, each.pinged_at)
            continue
        latest[each.kind] = EdgeStamp(each.pinged_at, each.sequence)
        if each.kind != "start" and each.rid:
            runs.pop(str(each.rid), None)
        elif each.kind != "start":
            end = each.sequence
    return EdgeState(highest, latest.get("success"), latest.get("fail"), latest.get("start"), end, runs)


def missed(heartbeat: Heartbeat, pings: Iterable[PingFact], now: datetime) -> Missed:
    """The verdict, which must be that a ping is missed."""
    verdict = judge(heartbeat, seen_at_edge(pings), now)
    assert isinstance(verdict, Missed)
    return verdict
