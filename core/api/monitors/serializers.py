"""What answers about websites and heartbeats share."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.monitors.models import Monitor, MonitorSeverity
from core.domain.outcomes import MonitorState, Outcome, Reason

STATES = [state.value for state in MonitorState]
OUTCOMES = [outcome.label for outcome in Outcome]


@extend_schema_field(OpenApiTypes.STR)
class LabelField(serializers.Field[Any, Any, str, Any]):
    """A stored number as its name in the API."""

    def __init__(self, labels: type[Outcome] | type[Reason], **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)
        self._labels = {member.value: member.label for member in labels}

    def to_representation(self, value: int) -> str:
        """The name; a number that this version does not know yet stays recognisable."""
        return self._labels.get(value, f"code_{value}")


class ParentField(serializers.UUIDField):
    """What a monitor depends on, in a request."""

    def __init__(self) -> None:
        super().__init__(
            required=False,
            allow_null=True,
            help_text="A website or heartbeat of the workspace: while it is down, nobody is told that this one is.",
        )


class SeverityField(serializers.ChoiceField):
    """How much an outage matters, in a request."""

    def __init__(self) -> None:
        super().__init__(
            choices=MonitorSeverity.choices,
            required=False,
            default=MonitorSeverity.CRITICAL,
            help_text="How much an outage matters: what routes and their quiet hours go by.",
        )


class MonitorAnswer(Answer[Monitor]):
    """The part that every kind of monitor has."""

    id = serializers.UUIDField(source="uid")
    name = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    severity = serializers.ChoiceField(choices=MonitorSeverity.choices)
    depends_on = serializers.UUIDField(source="depends_on_id", allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)
    muted_until = serializers.DateTimeField(
        allow_null=True, help_text="Nobody is told of outages before then; `9999-12-31T23:59:59Z` means until it is unmuted."
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
