"""What a worker does around the heartbeat flows: the connection before, kicks and counts after."""

from datetime import datetime
from functools import cache
from uuid import UUID

from core import metrics
from core.adapters.heartbeat_table import EdgeUnreachable
from core.checker.deadlines import DeadlineClock
from core.checker.edge import event_bus, heartbeat_table, watcher
from core.checker.operator_alert import EdgeAlert
from core.checker.runtime import runtime
from core.contracts.events import HeartbeatPinged, decode
from core.flows import edge_sweep, heartbeats
from core.flows.heartbeat_metrics import HeartbeatSeries
from core.flows.heartbeats import Applied
from core.flows.silence import Detector
from core.logs import get_logger

log = get_logger(__name__)


@cache
def _series() -> HeartbeatSeries:
    return HeartbeatSeries()


@cache
def _clock() -> DeadlineClock:
    return DeadlineClock()


@cache
def _detector() -> Detector:
    return Detector(runtime().pool, heartbeat_table(), watcher())


@cache
def _alert() -> EdgeAlert:
    return EdgeAlert()


def judge_all(now: datetime) -> None:
    """Judge whose deadline has passed, unless the clock was set a moment ago."""
    if _clock().holds(runtime().pool, now):
        applied = _detector().judge_due(now)
        _alert().see(now, unreachable=applied.edge_unreachable)
        _follow(applied)


def judge_one(uid: UUID, now: datetime) -> None:
    """Judge one heartbeat, if its deadline has passed, unless the clock was set a moment ago."""
    if _clock().holds(runtime().pool, now):
        _follow(_detector().judge_one(uid, now))


def process(detail: str, now: datetime) -> None:
    """Store one ping and forget its pending marker; a marker that stays, as that of a ping that waits must, is found by the sweep."""
    ping = decode(HeartbeatPinged, detail)
    with runtime().pool.connection() as connection:
        applied = heartbeats.apply_pings(connection, [ping], now)
    _follow(applied)
    if applied.waiting:
        return
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


def watch_edge() -> None:
    """Ping our own public address, and remember whether that worked."""
    if (watching := watcher()) is not None:
        watching.look()


def reconcile(now: datetime) -> None:
    """Make items at the edge that are missing, and remove those that belong to nothing."""
    try:
        swept = edge_sweep.sweep(runtime().pool, heartbeat_table(), now)
    except EdgeUnreachable as error:
        log.warning("edge.not_reconciled", error=str(error))
        return
    metrics.EDGE_RECONCILED.labels("made").inc(swept.made)
    metrics.EDGE_RECONCILED.labels("removed").inc(swept.removed)


def _follow(applied: Applied) -> None:
    runtime().queue.kick_alerts(applied.alert_ids)
    _series().count(applied)
    if applied.transitions:
        log.info("heartbeat.changed", monitors=[str(transition.monitor.uid) for transition in applied.transitions])
    if applied.unknown:
        log.warning("heartbeat.unknown", monitors=[str(monitor.uid) for monitor in applied.unknown])
