"""Requests and answers about maintenance windows."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.fields import Flag, Strict, Text, Whole, Words
from core.api.maintenance.models import MaintenanceWindow, WindowKind
from core.domain.maintenance import LONGEST, SHORTEST
from core.domain.uptime import Span

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MOST_MONITORS: Final = 500


class ClockTime(serializers.TimeField):
    """A time of day, `HH:MM`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **kwargs)


class WindowUpdate(Strict):
    """Changes of a window. `weekdays` and `start_time` are for `weekly`, `cron` for `cron`, `duration_s` for both."""

    name = Text(max_length=100)
    starts_at = serializers.DateTimeField(
        required=False, help_text="Its beginning where it comes once; otherwise since when it repeats, now if it is not given."
    )
    ends_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Its end where it comes once; otherwise until when it repeats, null for ever."
    )
    weekdays = serializers.ListField(child=serializers.ChoiceField(choices=WEEKDAYS), required=False)
    start_time = ClockTime(required=False, help_text="Local time, `HH:MM`.")
    cron = Text(max_length=100, required=False, help_text="Five fields, local time; at most one beginning an hour.")
    duration_s = Whole(
        min_value=int(SHORTEST.total_seconds()),
        max_value=int(LONGEST.total_seconds()),
        required=False,
        help_text="Elapsed time, also where the clocks change.",
    )
    time_zone = Text(
        max_length=64, required=False, help_text="A name of the IANA database, e.g. `Europe/Berlin`; UTC if it is not given."
    )
    all_monitors = Flag(required=False, help_text="Whether it is about the whole workspace.")
    monitors = serializers.ListField(
        child=serializers.UUIDField(), max_length=MOST_MONITORS, required=False, help_text="Ids of websites and heartbeats."
    )
    tags = Words(required=False, help_text="Monitors with any of these tags.")


class WindowRequest(WindowUpdate):
    """A new window: of all monitors, or of some by id or tag."""

    kind = serializers.ChoiceField(choices=WindowKind.choices)


class IntervalAnswer(Answer[Span]):
    """From `starts_at` (included) to `ends_at` (not)."""

    starts_at = serializers.DateTimeField(source="start")
    ends_at = serializers.DateTimeField(source="end")


class WindowAnswer(Answer[MaintenanceWindow]):
    """A window, whether it is active, and when it is next. What is not for its kind is null or empty."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=WindowKind.choices)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)
    weekdays = serializers.SerializerMethodField()
    start_time = serializers.SerializerMethodField()
    cron = serializers.CharField()
    duration_s = serializers.IntegerField(allow_null=True)
    time_zone = serializers.CharField()
    all_monitors = serializers.BooleanField()
    monitors = serializers.ListField(child=serializers.UUIDField())
    tags = serializers.ListField(child=serializers.CharField())
    active = serializers.BooleanField()
    current = IntervalAnswer(allow_null=True)
    next = IntervalAnswer(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(choices=WEEKDAYS)))
    def get_weekdays(self, window: MaintenanceWindow) -> list[str]:
        """From Monday on."""
        return [WEEKDAYS[number] for number in window.weekdays]

    def get_start_time(self, window: MaintenanceWindow) -> str | None:
        """`HH:MM`."""
        return window.start_time.strftime("%H:%M") if window.start_time else None
