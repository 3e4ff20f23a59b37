"""Counts incidents: for a bounded number of monitors, because each that was ever down keeps 3 kB in the client library."""

import threading
from datetime import timedelta
from typing import Final

from prometheus_client import Counter, Histogram

from core import metrics
from core.domain.outcomes import Reason
from core.domain.transitions import MonitorRef

LIMIT: Final = 5000

type _Labels = tuple[str, ...]


class IncidentSeries:
    """Moves the incident metrics of one process. Safe to share between threads.

    Beyond `limit` monitors, the one whose latest incident is the longest ago makes room for another.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._used: dict[_Labels, set[tuple[Counter | Histogram, _Labels]]] = {}
        self._lock = threading.Lock()

    def went_down(self, monitor: MonitorRef, reason: Reason) -> None:
        """Count an incident that was opened."""
        metrics.DOWNTIME_EVENTS.labels(*self._labels(metrics.DOWNTIME_EVENTS, monitor, monitor.kind, reason.label)).inc()

    def came_up(self, monitor: MonitorRef) -> None:
        """Count an incident that was resolved."""
        metrics.RECOVERY_EVENTS.labels(*self._labels(metrics.RECOVERY_EVENTS, monitor, monitor.kind)).inc()

    def lasted(self, monitor: MonitorRef, downtime: timedelta) -> None:
        """Take in how long a resolved incident was."""
        metrics.DOWNTIME_DURATION.labels(*self._labels(metrics.DOWNTIME_DURATION, monitor)).observe(downtime.total_seconds())

    def _labels(self, metric: Counter | Histogram, monitor: MonitorRef, *more: str) -> _Labels:
        """The labels of a series that is about to move; its monitor is now the latest."""
        key = (str(monitor.uid), monitor.name)
        labels = (*key, *more)
        with self._lock:
            used = self._used.pop(key, None)
            if used is None:
                used = set()
                self._make_room()
            used.add((metric, labels))
            self._used[key] = used
        return labels

    def _make_room(self) -> None:
        while len(self._used) >= max(self._limit, 1):
            for metric, labels in self._used.pop(next(iter(self._used))):
                metric.remove(*labels)
