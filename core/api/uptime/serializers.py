"""Questions and answers about uptime."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, override

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.incidents.serializers import IncidentAnswer
from core.api.pagination import read_time
from core.api.problems import FieldError
from core.api.uptime.selectors import INCIDENTS_SHOWN, Uptime
from core.domain.uptime import ResponseTimes, Tally

WINDOWS: Final[Mapping[str, timedelta]] = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "365d": timedelta(days=365),
}
DEFAULT_WINDOW: Final = "24h"
PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

PARAMETERS: Final = [
    OpenApiParameter("window", str, enum=list(WINDOWS), default=DEFAULT_WINDOW, description="A range that ends now."),
    OpenApiParameter("from", OpenApiTypes.DATETIME, description="Any range instead: its beginning, included."),
    OpenApiParameter("to", OpenApiTypes.DATETIME, description="Its end, not included; now, where it is not given."),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """The range that a request is about."""

    start: datetime
    end: datetime


def read_range(query: QueryDict, now: datetime) -> Asked:
    """The range in the parameters of a request.

    Raises:
        FieldError: a parameter is unknown, empty, repeated or malformed, or they contradict each other.
    """
    _refuse_strangers(query)
    if "from" not in query and "to" not in query:
        name = query.get("window", DEFAULT_WINDOW)
        if name not in WINDOWS:
            raise FieldError("window", "invalid_choice", f"must be one of {', '.join(WINDOWS)}")
        return Asked(now - WINDOWS[name], now)
    if "window" in query:
        raise FieldError("window", "contradiction", "cannot be given together with `from` or `to`")
    if "from" not in query:
        raise FieldError("from", "required", "is needed where `to` is given")
    start, end = _time(query, "from"), _time(query, "to") if "to" in query else now
    if start >= now:
        raise FieldError("from", "in_the_future", "must be in the past")
    if end <= start:
        raise FieldError("to", "too_early", "must be after `from`")
    return Asked(start, end)


class SecondsAnswer(Answer[Tally]):
    """How long it was what. Together they are the whole range."""

    up = serializers.FloatField(help_text="Nothing was wrong.")
    down = serializers.FloatField(help_text="In the incidents.")
    unknown = serializers.FloatField(help_text="We could not tell, because of trouble on our side.")
    maintenance = serializers.FloatField(help_text="In maintenance windows.")
    not_counted = serializers.FloatField(help_text="Before the first check or ping, and paused.")


class ResponseTimesAnswer(Answer[ResponseTimes]):
    """Durations of the successful checks; percentiles are off by 5 % at most."""

    min = serializers.FloatField()
    mean = serializers.FloatField()
    max = serializers.FloatField()
    p50 = serializers.FloatField()
    p95 = serializers.FloatField()
    p99 = serializers.FloatField()


class UptimeAnswer(Answer[Uptime]):
    """Uptime over a range, and what explains it. `uptime_percent` is up in up + down; null where neither was seen."""

    monitor = serializers.UUIDField(source="monitor.uid")
    uptime_percent = serializers.FloatField(source="tally.percentage", allow_null=True)
    seconds = serializers.SerializerMethodField()
    checks = serializers.IntegerField(source="tally.results", help_text="Check results, or pings of a heartbeat.")
    response_ms = serializers.SerializerMethodField()
    incident_count = serializers.IntegerField()
    incidents = IncidentAnswer(many=True, help_text=f"The latest {INCIDENTS_SHOWN} that touch the range.")

    @override
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """`from` is no name that a class may give."""
        span: dict[str, serializers.Field[Any, Any, Any, Any]] = {
            "from": serializers.DateTimeField(source="span.start", help_text="Older edges lie on whole hours or days."),
            "to": serializers.DateTimeField(source="span.end"),
        }
        return span | super().get_fields()

    @extend_schema_field(SecondsAnswer)
    def get_seconds(self, uptime: Uptime) -> dict[str, float]:
        """How long it was what."""
        tally = uptime.tally
        whole_ms = round((uptime.span.end - uptime.span.start) / timedelta(milliseconds=1))
        milliseconds = {
            "up": tally.up_ms,
            "down": tally.down_ms,
            "unknown": tally.unknown_ms,
            "maintenance": tally.maintenance_ms,
            "not_counted": max(whole_ms - tally.counted_ms, 0),
        }
        return {kind: ms / 1000 for kind, ms in milliseconds.items()}

    @extend_schema_field(ResponseTimesAnswer(allow_null=True))
    def get_response_ms(self, uptime: Uptime) -> dict[str, float | None] | None:
        """None without a successful check."""
        times = uptime.tally.responses
        if not times.count:
            return None
        exact = {"min": times.min_us, "mean": times.mean_us, "max": times.max_us}
        sketched = {name: times.percentile_us(share) for name, share in PERCENTILES.items()}
        return {name: None if us is None else round(us / 1000, 3) for name, us in (exact | sketched).items()}


def _refuse_strangers(query: QueryDict) -> None:
    for name in query:
        if name not in {"window", "from", "to"}:
            raise FieldError(name, "unknown_field", "is not a parameter here; known: from, to, window")
        if not query[name]:
            raise FieldError(name, "blank", "must not be empty")
        if len(query.getlist(name)) > 1:
            raise FieldError(name, "repeated", "is given more than once")


def _time(query: QueryDict, name: str) -> datetime:
    try:
        return read_time(str(query[name]))
    except ValueError:
        raise FieldError(name, "invalid", "must be a time with its zone, e.g. 2026-11-01T00:00:00Z") from None
