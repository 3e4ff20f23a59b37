"""Answers about incidents, alerts and deliveries."""

from datetime import datetime
from typing import Any

from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.answers import Answer
from core.api.channels.serializers import KIND_NAMES
from core.api.incidents.models import Alert, Delivery, DeliveryState, HeldReason, Incident
from core.api.monitors.models import MonitorKind
from core.api.monitors.serializers import LabelField
from core.contracts.events import ALERT_TYPES
from core.domain.alert_history import STEP_KINDS, History, Step
from core.domain.alert_words import alert_state, explain_alert, explain_message
from core.domain.outcomes import Reason


class MonitorNameAnswer(Answer[Any]):
    """Which monitor."""

    id = serializers.UUIDField(source="uid")
    kind = serializers.ChoiceField(choices=MonitorKind.choices)
    name = serializers.CharField()


class IncidentAnswer(Answer[Incident]):
    """One outage: `began_at` is the first failed check or the missed deadline, `opened_at` when it was confirmed."""

    id = serializers.UUIDField()
    monitor = MonitorNameAnswer()
    reason = LabelField(Reason)
    detail = serializers.CharField()
    began_at = serializers.DateTimeField()
    opened_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True, help_text="null while it lasts.")
    acknowledged_at = serializers.DateTimeField(allow_null=True, help_text="null while nobody has taken it on.")
    acknowledged_by = serializers.CharField(help_text="Who has: a person, an API key, or the channel whose link was followed.")
    caused_by = serializers.UUIDField(
        source="caused_by_id",
        allow_null=True,
        help_text="The incident of the monitor that it depends on, where that explains it.",
    )


class AlertState(models.TextChoices):
    """What was decided about an alert."""

    WAITING = "waiting"
    HELD = "held"
    SENT = "sent"
    DROPPED = "dropped"


class AlertAnswer(Answer[Alert]):
    """Something that people should be told, and whether they were. `reason` is why it was held or dropped, if it was."""

    id = serializers.UUIDField()
    alert_type = serializers.ChoiceField(choices=ALERT_TYPES)
    monitor = MonitorNameAnswer(allow_null=True)
    incident = serializers.UUIDField(source="incident_id", allow_null=True)
    state = serializers.SerializerMethodField()
    reason = serializers.ChoiceField(choices=["", *HeldReason.values], source="held_reason")
    created_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(source="routed_at", allow_null=True)
    due_at = serializers.SerializerMethodField()
    route = serializers.CharField(
        source="route_name", help_text="The name of the route that chose its channels; empty without one."
    )
    explanation = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=AlertState.choices))
    def get_state(self, alert: Alert) -> str:
        """What was decided."""
        return alert_state(alert)

    def get_due_at(self, alert: Alert) -> datetime | None:
        """When an alert that is held is decided again, at the latest."""
        return alert.due_at if alert.routed_at is None else None

    def get_explanation(self, alert: Alert) -> str:
        """The state in a sentence."""
        return explain_alert(alert)


class ChannelNameAnswer(Answer[Any]):
    """Which channel."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=KIND_NAMES)
    name = serializers.CharField()


class DeliveryAnswer(Answer[Delivery]):
    """One message to one channel. `explanation` puts the rest into a sentence."""

    id = serializers.UUIDField()
    alert = serializers.UUIDField(source="alert_id")
    alert_type = serializers.ChoiceField(choices=ALERT_TYPES, source="alert.alert_type")
    incident = serializers.UUIDField(source="alert.incident_id", allow_null=True)
    monitor = MonitorNameAnswer(source="alert.monitor", allow_null=True)
    channel = ChannelNameAnswer()
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    attempts = serializers.IntegerField()
    generation = serializers.IntegerField(help_text="How often the message was asked for; more than 1 after a lost receipt.")
    requested_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    retry_at = serializers.DateTimeField(allow_null=True)
    error_type = serializers.CharField()
    error = serializers.CharField()
    explanation = serializers.SerializerMethodField()

    def get_explanation(self, delivery: Delivery) -> str:
        """What happened, and what comes next."""
        return explain_message(delivery)


class HistoryStepAnswer(Answer[Step]):
    """One thing that happened, or will."""

    at = serializers.DateTimeField()
    what = serializers.ChoiceField(choices=STEP_KINDS)
    subject = serializers.CharField(help_text="The type of an alert or an event, the name of a channel.")
    text = serializers.CharField()


class IncidentHistoryAnswer(Answer[History]):
    """Why each message about an incident was sent or was not, in the order of time."""

    incident = serializers.UUIDField(source="incident_id")
    monitor = serializers.CharField()
    steps = HistoryStepAnswer(many=True)
