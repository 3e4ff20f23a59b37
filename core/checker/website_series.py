"""What a worker tells Prometheus about websites: what only it knows. What is true of a monitor now, the web process reads from SQL."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from core import metrics
from core.domain.outcomes import Outcome
from core.domain.transitions import CameUp, MonitorRef, WentDown
from core.domain.website import Step
from core.flows.websites import Applied, Finished

FORGET_AFTER_S: Final = 3600.0
MICRO: Final = 1e-6


@dataclass(slots=True)
class _Series:
    """The children of one monitor, looked up once."""

    name: str
    seen_at: float
    duration: Histogram
    dns: Gauge
    connect: Gauge
    checks: dict[str, Counter]
    responses: dict[int, Histogram]


class WebsiteSeries:
    """Moves the website metrics of one process, for at most `limit` monitors; one unseen for an hour makes room for another."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._series: dict[str, _Series] = {}

    def count(self, applied: Applied, now: datetime) -> None:
        """Count what was committed at `now`. A gap counts once, however long it was."""
        for monitor in applied.missed:
            if series := self._of(monitor, now.timestamp()):
                _checks(series, str(monitor.uid), Outcome.UNKNOWN.label).inc()
        for done, step in applied.judged:
            if series := self._of(done.job.monitor, now.timestamp()):
                _observe(series, done)
            if step.transition:
                _count_transition(done.job.monitor, step)

    def _of(self, monitor: MonitorRef, now_s: float) -> _Series | None:
        uid = str(monitor.uid)
        series = self._series.pop(uid, None)
        if series and series.name != monitor.name:
            _remove(uid, series)
            series = None
        if series is None and not self._has_room(now_s):
            return None
        series = self._series[uid] = series or _new_series(uid, monitor.name)
        series.seen_at = now_s
        return series

    def _has_room(self, now_s: float) -> bool:
        """The dictionary is in order of last use, so only its first entry can be due to go."""
        if len(self._series) < self._limit:
            return True
        uid, oldest = next(iter(self._series.items()), ("", None))
        if oldest is None or now_s - oldest.seen_at < FORGET_AFTER_S:
            return False
        _remove(uid, self._series.pop(uid))
        return True


def _new_series(uid: str, name: str) -> _Series:
    return _Series(
        name=name,
        seen_at=0.0,
        duration=metrics.WEBSITE_CHECK_DURATION.labels(uid, name),
        dns=metrics.WEBSITE_DNS_TIME.labels(uid, name),
        connect=metrics.WEBSITE_TCP_TIME.labels(uid, name),
        checks={},
        responses={},
    )


def _observe(series: _Series, done: Finished) -> None:
    found = done.result
    uid, label = str(done.job.monitor.uid), found.outcome.label
    _checks(series, uid, label).inc()
    if found.total_us is not None:
        series.duration.observe(found.total_us * MICRO)
        if found.status_code is not None:
            _response(series, uid, found.status_code).observe(found.total_us * MICRO)
    if found.dns_us is not None:
        series.dns.set(found.dns_us * MICRO)
    if found.connect_us is not None:
        series.connect.set(found.connect_us * MICRO)


def _checks(series: _Series, uid: str, label: str) -> Counter:
    return series.checks.get(label) or series.checks.setdefault(label, metrics.WEBSITE_CHECKS.labels(uid, series.name, label))


def _response(series: _Series, uid: str, status_code: int) -> Histogram:
    if status_code not in series.responses:
        series.responses[status_code] = metrics.WEBSITE_RESPONSE_TIME.labels(uid, series.name, str(status_code))
    return series.responses[status_code]


def _count_transition(monitor: MonitorRef, step: Step) -> None:
    uid = str(monitor.uid)
    match step.transition:
        case WentDown(reason=reason):
            metrics.DOWNTIME_EVENTS.labels(uid, monitor.name, monitor.kind, reason.label).inc()
        case CameUp(at=at):
            metrics.RECOVERY_EVENTS.labels(uid, monitor.name, monitor.kind).inc()
            if step.down_since:
                metrics.DOWNTIME_DURATION.labels(uid, monitor.name).observe((at - step.down_since).total_seconds())


def _remove(uid: str, series: _Series) -> None:
    metrics.WEBSITE_CHECK_DURATION.remove(uid, series.name)
    metrics.WEBSITE_DNS_TIME.remove(uid, series.name)
    metrics.WEBSITE_TCP_TIME.remove(uid, series.name)
    for label in series.checks:
        metrics.WEBSITE_CHECKS.remove(uid, series.name, label)
    for status_code in series.responses:
        metrics.WEBSITE_RESPONSE_TIME.remove(uid, series.name, str(status_code))
