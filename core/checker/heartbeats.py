"""What a worker does around the heartbeat flows: the connection before, kicks and counts after."""

from datetime import datetime
from functools import cache
from uuid import UUID

from core.adapters.heartbeat_table import EdgeUnreachable
from core.checker.deadlines import DeadlineClock
from core.checker.edge import event_bus, heartbeat_table
from core.checker.runtime import runtime
from core.contracts.events import HeartbeatPinged, decode
from core.flows import heartbeats
from core.flows.heartbeat_metrics import HeartbeatSeries
from core.flows.heartbeats import Applied
from core.logs import get_logger

log = get_logger(__name__)


@cache
def _series() -> HeartbeatSeries:
    return HeartbeatSeries()


@cache
def _clock() -> DeadlineClock:
    return DeadlineClock()


def judge_all(now: datetime) -> None:
    """Judge whose deadline has passed, unless the clock was set a moment ago."""
    if _clock().holds(runtime().pool, now):
        _follow(heartbeats.judge_due(runtime().pool, heartbeat_table(), now))


def judge_one(uid: UUID, now: datetime) -> None:
    """Judge one heartbeat, if its deadline has passed, unless the clock was set a moment ago."""
    if _clock().holds(runtime().pool, now):
        _follow(heartbeats.judge_one(runtime().pool, heartbeat_table(), uid, now))


def process(detail: str, now: datetime) -> None:
    """Store one ping and forget its pending marker; a marker that stays is found by the sweep."""
    ping = decode(HeartbeatPinged, detail)
    with runtime().pool.connection() as connection:
        applied = heartbeats.apply_pings(connection, [ping], now)
    _follow(applied)
    try:
        heartbeat_table().settle([ping.data.ping_id])
    except EdgeUnreachable as error:
        log.warning("heartbeat.not_settled", ping_id=str(ping.data.ping_id), error=str(error))


def sweep(now: datetime) -> None:
    """Publish again what should have been stored by now."""
    try:
        published = heartbeats.sweep_pending(heartbeat_table(), event_bus(), now)
    except EdgeUnreachable as error:
        log.warning("heartbeat.sweep_failed", error=str(error))
        return
    if published:
        log.warning("heartbeat.published_again", pings=published)


def _follow(applied: Applied) -> None:
    runtime().queue.kick_alerts(applied.alert_ids)
    _series().count(applied)
    if applied.transitions:
        log.info("heartbeat.changed", monitors=[str(transition.monitor.uid) for transition in applied.transitions])
