"""Counts what the heartbeat flows did, after their transaction. What is true of a heartbeat now, the web reads from SQL."""

import threading
from typing import Final

from core import metrics
from core.domain.outcomes import Reason
from core.domain.transitions import CameUp, MonitorRef, WentDown
from core.flows.heartbeats import Applied
from core.flows.incident_metrics import IncidentSeries

SERIES_LIMIT: Final = 20_000
"""Heartbeats with ping counters of their own in one process; the one that pinged longest ago makes room for another."""


class HeartbeatSeries:
    """Moves the heartbeat metrics of one process. Safe to share between threads."""

    def __init__(self, limit: int = SERIES_LIMIT) -> None:
        self._limit = limit
        self._kinds: dict[tuple[str, str], set[str]] = {}
        self._lock = threading.Lock()
        self._incidents = IncidentSeries()

    def count(self, applied: Applied) -> None:
        """Count pings, missed and excused deadlines, outages and recoveries."""
        with self._lock:
            for counted in applied.pings:
                self._ping(counted.heartbeat.monitor, counted.ping.kind)
        for transition in applied.transitions:
            self._count(transition)
        metrics.HEARTBEAT_UNKNOWN.inc(len(applied.unknown))
        for monitor, downtime in applied.downtimes:
            self._incidents.lasted(monitor, downtime)

    def _ping(self, monitor: MonitorRef, kind: str) -> None:
        key = (str(monitor.uid), monitor.name)
        kinds = self._kinds.pop(key, None)
        if kinds is None:
            kinds = set()
            if len(self._kinds) >= self._limit:
                self._forget(next(iter(self._kinds)))
        self._kinds[key] = kinds
        kinds.add(kind)
        metrics.HEARTBEAT_PINGS.labels(*key, kind).inc()

    def _forget(self, key: tuple[str, str]) -> None:
        for kind in self._kinds.pop(key):
            metrics.HEARTBEAT_PINGS.remove(*key, kind)

    def _count(self, transition: WentDown | CameUp) -> None:
        monitor = transition.monitor
        if isinstance(transition, CameUp):
            self._incidents.came_up(monitor)
            return
        self._incidents.went_down(monitor, transition.reason)
        if transition.reason is Reason.HEARTBEAT_MISSED:
            metrics.HEARTBEAT_MISSED.labels(str(monitor.uid), monitor.name).inc()
