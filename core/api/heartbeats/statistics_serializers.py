"""Answers about how the runs of a heartbeat went."""

from collections.abc import Mapping
from typing import Any, override

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.heartbeats.statistics import WINDOWS, HeartbeatStatistics, WindowStatistics
from core.domain.run_statistics import RunStatistics
from core.domain.uptime import ResponseTimes


class RunTimesAnswer(Answer[ResponseTimes]):
    """Of the successful runs whose start was seen, in seconds; percentiles are off by 5 % at most."""

    count = serializers.IntegerField()
    min = serializers.FloatField()
    mean = serializers.FloatField()
    max = serializers.FloatField()
    p50 = serializers.FloatField()
    p90 = serializers.FloatField()
    p99 = serializers.FloatField()


class DriftAnswer(Answer[RunStatistics]):
    """How far from their time successes came, in seconds. A negative `mean` is early; the others look at the distance alone."""

    count = serializers.IntegerField()
    mean = serializers.FloatField()
    p95 = serializers.FloatField(help_text="Off by 5 % at most.")
    max = serializers.FloatField()


class WindowStatisticsAnswer(Answer[WindowStatistics]):
    """Statistics over one range."""

    window = serializers.ChoiceField(choices=list(WINDOWS))
    successes = serializers.IntegerField(source="statistics.successes")
    failures = serializers.IntegerField(source="statistics.failures")
    run_time_s = serializers.SerializerMethodField()
    drift_s = serializers.SerializerMethodField()

    @override
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """`from` is no name that a class may give."""
        span: dict[str, serializers.Field[Any, Any, Any, Any]] = {
            "from": serializers.DateTimeField(source="span.start", help_text="Of the longer windows on a whole hour."),
            "to": serializers.DateTimeField(source="span.end"),
        }
        return span | super().get_fields()

    @extend_schema_field(RunTimesAnswer(allow_null=True))
    def get_run_time_s(self, window: WindowStatistics) -> dict[str, float | None] | None:
        """Null without a successful run whose start was seen."""
        times = window.statistics.durations
        if not times.count:
            return None
        exact = {"min": times.min_us, "mean": times.mean_us, "max": times.max_us}
        sketched = {f"p{percent}": times.percentile_us(percent / 100) for percent in (50, 90, 99)}
        return {"count": times.count, **_seconds(exact | sketched)}

    @extend_schema_field(DriftAnswer(allow_null=True))
    def get_drift_s(self, window: WindowStatistics) -> dict[str, float | None] | None:
        """Null without a success that was due."""
        distances = window.statistics.distances
        if not distances.count:
            return None
        values = {"mean": window.statistics.mean_drift_us, "p95": distances.percentile_us(0.95), "max": distances.max_us}
        return {"count": distances.count, **_seconds(values)}


class StatisticsAnswer(Answer[HeartbeatStatistics]):
    """How the runs of a heartbeat went, over each window that ends now."""

    monitor = serializers.UUIDField(source="monitor.uid")
    windows = WindowStatisticsAnswer(many=True)


def _seconds(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if us is None else round(us / 1_000_000, 3) for name, us in values.items()}
