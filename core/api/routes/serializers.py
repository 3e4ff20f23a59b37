"""Requests and answers about routes."""

from typing import Any, Final, override

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.fields import Flag, Strict, Text, Whole, Words
from core.api.maintenance.serializers import MOST_MONITORS, WEEKDAYS, ClockTime
from core.api.monitors.models import MonitorKind
from core.api.routes.models import AlertRoute
from core.domain.alert_routes import Severity, Topic

WEEK_S: Final = 7 * 86_400
MOST_STEPS: Final = 10
MOST_CHANNELS: Final = 50
LAST_POSITION: Final = 1_000_000


def choices(values: list[str]) -> Any:
    """A list of some of these values; an empty one stands for all."""
    return serializers.ListField(child=serializers.ChoiceField(choices=values), required=False, default=list)


class MatchRequest(Strict):
    """What a route is for: an alert must fit every list that is not empty. With no list at all every alert fits."""

    monitors = serializers.ListField(
        child=serializers.UUIDField(),
        max_length=MOST_MONITORS,
        required=False,
        default=list,
        help_text="Ids of websites and heartbeats.",
    )
    tags = Words(required=False, default=list, help_text="Monitors with any of these tags.")
    kinds = choices(MonitorKind.values)
    topics = choices([topic.value for topic in Topic])
    severities = choices([severity.value for severity in Severity])


class StepRequest(Strict):
    """Who is told so long after an outage was confirmed; other alerts go to the first step alone, at once."""

    after_s = Whole(min_value=0, max_value=WEEK_S)
    channels = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MOST_CHANNELS)


class QuietHoursRequest(Strict):
    """When alerts wait for the end of the night. Where the end is not after the beginning, it is on the day after."""

    start_time = ClockTime(help_text="Local time, `HH:MM`.")
    end_time = ClockTime(help_text="Local time, `HH:MM`.")
    weekdays = serializers.ListField(
        child=serializers.ChoiceField(choices=WEEKDAYS),
        min_length=1,
        required=False,
        default=lambda: list(WEEKDAYS),
        help_text="Days on which they begin; every day without it.",
    )
    time_zone = Text(max_length=64, required=False, default="UTC", help_text="A name of the IANA database, e.g. `Europe/Berlin`.")
    critical_too = Flag(required=False, default=False, help_text="Whether critical alerts wait as well; else they pass.")


class _Whole(serializers.Field[Any, Any, Any, Any]):
    """A document that is replaced as a whole: in a PATCH, too, all of its fields count, not those alone that were sent."""

    document: type[Strict]
    many = False

    @override
    def to_internal_value(self, data: Any) -> Any:
        inner = self.document(data=data, many=self.many)
        inner.is_valid(raise_exception=True)
        return inner.validated_data

    @override
    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(MatchRequest)
class MatchField(_Whole):
    """What the route is for; everything without it."""

    document = MatchRequest


@extend_schema_field(StepRequest(many=True))
class StepsField(_Whole):
    """Who is told when, in the order of their times."""

    document = StepRequest
    many = True

    @override
    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, list) and len(data) > MOST_STEPS:
            raise serializers.ValidationError(f"must have at most {MOST_STEPS} steps", "max_length")
        return super().to_internal_value(data)


@extend_schema_field(QuietHoursRequest)
class QuietHoursField(_Whole):
    """When alerts wait for the end of the night."""

    document = QuietHoursRequest


class RouteUpdate(Strict):
    """Changes of a route. `match`, `steps` and `quiet_hours` are each replaced as a whole."""

    name = Text(max_length=100)
    position = Whole(
        min_value=1, max_value=LAST_POSITION, required=False, help_text="Routes are asked in this order; a new one is the last."
    )
    enabled = Flag(required=False)
    match = MatchField(required=False, help_text=MatchField.__doc__)
    steps = StepsField(help_text=StepsField.__doc__)
    repeat_s = Whole(
        min_value=60,
        max_value=WEEK_S,
        required=False,
        allow_null=True,
        help_text="How often all who were told are reminded of an outage, until somebody takes it on or it ends; null: never.",
    )
    quiet_hours = QuietHoursField(required=False, allow_null=True, help_text=QuietHoursField.__doc__)


class RouteRequest(RouteUpdate):
    """A new route."""


class RouteAnswer(Answer[AlertRoute]):
    """A route."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    position = serializers.IntegerField()
    enabled = serializers.BooleanField()
    match = serializers.SerializerMethodField()
    steps = serializers.SerializerMethodField()
    repeat_s = serializers.IntegerField(allow_null=True)
    quiet_hours = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    @extend_schema_field(MatchRequest)
    def get_match(self, route: AlertRoute) -> dict[str, Any]:
        """What it is for."""
        monitors = [str(uid) for uid in route.monitors]
        return {
            "monitors": monitors,
            "tags": route.tags,
            "kinds": route.kinds,
            "topics": route.topics,
            "severities": route.severities,
        }

    @extend_schema_field(StepRequest(many=True))
    def get_steps(self, route: AlertRoute) -> Any:
        """Who is told when."""
        return route.steps

    @extend_schema_field(QuietHoursRequest(allow_null=True))
    def get_quiet_hours(self, route: AlertRoute) -> dict[str, Any] | None:
        """When alerts wait."""
        quiet = route.quiet_hours
        if quiet is None:
            return None
        return {
            "start_time": quiet["begins"],
            "end_time": quiet["ends"],
            "weekdays": [WEEKDAYS[day] for day in quiet["weekdays"]],
            "time_zone": quiet["time_zone"],
            "critical_too": quiet["critical_too"],
        }
