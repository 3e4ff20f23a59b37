"""What a worker tells Prometheus about websites: what only it knows. What is true of a monitor now, the web process reads from SQL.

The five series of a monitor are kept as plain numbers here and become samples when somebody asks; as objects of the client library they
would take 10 kB for each monitor, and several locks for each check.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Final, TypedDict, override

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from core import metrics
from core.domain.outcomes import Outcome
from core.domain.transitions import CameUp, MonitorRef, WentDown
from core.domain.website import Step
from core.flows.incident_metrics import IncidentSeries
from core.flows.websites import Applied, Finished

FORGET_AFTER_S: Final = 3600.0
MICRO: Final = 1e-6
BOUNDS: Final = (*(str(bound) for bound in metrics.CHECK_SECONDS), "+Inf")


class _About(TypedDict):
    """How a family of samples is called and described."""

    name: str
    documentation: str
    labels: Sequence[str]


def _zeros(number: int) -> "array[int]":
    """Counters of 32 bits: at one check in five seconds they last for 680 years."""
    return array("I", [0] * number)


@dataclass(slots=True)
class _Durations:
    """A histogram: how many fell into each bucket, and their sum in seconds."""

    counts: "array[int]" = field(default_factory=lambda: _zeros(len(BOUNDS)))
    total_s: float = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(metrics.CHECK_SECONDS, seconds)] += 1
        self.total_s += seconds

    def buckets(self) -> list[tuple[str, float]]:
        return [(bound, float(count)) for bound, count in zip(BOUNDS, accumulate(self.counts), strict=True)]


@dataclass(slots=True)
class _Series:
    """What is known of one monitor. `checks` is by outcome; `responses` by status, which is nearly always the same one."""

    name: str
    seen_at: float = 0.0
    dns_us: int | None = None
    connect_us: int | None = None
    durations: _Durations = field(default_factory=_Durations)
    checks: "array[int]" = field(default_factory=lambda: _zeros(max(Outcome) + 1))
    responses: tuple[tuple[int, _Durations], ...] = ()

    def responses_with(self, status_code: int) -> _Durations:
        for known, times in self.responses:
            if known == status_code:
                return times
        times = _Durations()
        self.responses = (*self.responses, (status_code, times))
        return times


class WebsiteSeries(Collector):
    """Keeps the website metrics of one process, for at most `limit` monitors; one unseen for an hour makes room for another."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._series: dict[str, _Series] = {}
        self._incidents = IncidentSeries(limit)

    def count(self, applied: Applied, now: datetime) -> None:
        """Count what was committed at `now`. A gap counts once, however long it was."""
        now_s = now.timestamp()
        for monitor in applied.missed:
            if series := self._of(monitor, now_s):
                series.checks[Outcome.UNKNOWN] += 1
        for done, step in applied.judged:
            if series := self._of(done.job.monitor, now_s):
                _observe(series, done)
            if step.transition:
                self._count_transition(done.job.monitor, step)

    def describe(self) -> Iterable[Metric]:
        """Nothing: several of a process, one after the other, have the same names."""
        return ()

    @override
    def collect(self) -> Iterator[Metric]:
        """The samples of this moment."""
        known = list(self._series.items())
        checks = CounterMetricFamily(**_about(metrics.WEBSITE_CHECKS))
        durations = HistogramMetricFamily(**_about(metrics.WEBSITE_CHECK_DURATION))
        responses = HistogramMetricFamily(**_about(metrics.WEBSITE_RESPONSE_TIME))
        dns = GaugeMetricFamily(**_about(metrics.WEBSITE_DNS_TIME))
        connect = GaugeMetricFamily(**_about(metrics.WEBSITE_TCP_TIME))
        for uid, series in known:
            labels = [uid, series.name]
            for outcome in Outcome:
                if number := series.checks[outcome]:
                    checks.add_metric([*labels, outcome.label], number)
            durations.add_metric(labels, series.durations.buckets(), series.durations.total_s)
            for status_code, times in series.responses:
                responses.add_metric([*labels, str(status_code)], times.buckets(), times.total_s)
            if series.dns_us is not None:
                dns.add_metric(labels, series.dns_us * MICRO)
            if series.connect_us is not None:
                connect.add_metric(labels, series.connect_us * MICRO)
        yield from (checks, durations, responses, dns, connect)

    def _of(self, monitor: MonitorRef, now_s: float) -> _Series | None:
        uid = str(monitor.uid)
        series = self._series.pop(uid, None)
        if series and series.name != monitor.name:
            series = None
        if series is None and not self._has_room(now_s):
            return None
        series = self._series[uid] = series or _Series(monitor.name)
        series.seen_at = now_s
        return series

    def _has_room(self, now_s: float) -> bool:
        """The dictionary is in order of last use, so only its first entry can be due to go."""
        if len(self._series) < self._limit:
            return True
        uid, oldest = next(iter(self._series.items()), ("", None))
        if oldest is None or now_s - oldest.seen_at < FORGET_AFTER_S:
            return False
        del self._series[uid]
        return True

    def _count_transition(self, monitor: MonitorRef, step: Step) -> None:
        match step.transition:
            case WentDown(reason=reason):
                self._incidents.went_down(monitor, reason)
            case CameUp(at=at):
                self._incidents.came_up(monitor)
                if step.down_since:
                    self._incidents.lasted(monitor, at - step.down_since)


def _about(metric: Counter | Gauge | Histogram) -> _About:
    return _About(name=metric._name, documentation=metric._documentation, labels=metric._labelnames)  # noqa: SLF001  (has no getters)


def _observe(series: _Series, done: Finished) -> None:
    found = done.result
    series.checks[found.outcome] += 1
    if found.total_us is not None:
        series.durations.observe(found.total_us * MICRO)
        if found.status_code is not None:
            series.responses_with(found.status_code).observe(found.total_us * MICRO)
    if found.dns_us is not None:
        series.dns_us = found.dns_us
    if found.connect_us is not None:
        series.connect_us = found.connect_us
