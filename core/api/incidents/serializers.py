"""Answers about incidents and deliveries."""

from typing import Any

from rest_framework import serializers

from core.api.answers import Answer
from core.api.channels.serializers import KIND_NAMES
from core.api.incidents.models import Delivery, DeliveryState, Incident
from core.api.monitors.models import MonitorKind
from core.api.monitors.serializers import LabelField
from core.domain.outcomes import Reason

ALERT_TYPES = ("down", "recovered", "not_monitored", "monitored_again", "certificate_expiring", "domain_expiring", "test")


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
        return explain(delivery)


def explain(delivery: Delivery) -> str:
    """The state of a delivery in a sentence."""
    tries = "1 attempt" if delivery.attempts == 1 else f"{delivery.attempts} attempts"
    match delivery.state:
        case DeliveryState.DELIVERED:
            return f"The channel took the message after {tries}."
        case DeliveryState.SUPERSEDED:
            return "Not sent: a later message about the same incident had already told the whole story."
        case DeliveryState.FAILED:
            return f"Given up after {tries}: {delivery.error or 'no reason was given'}"
    if delivery.retry_at is not None:
        return f"The last attempt failed ({delivery.error}); the next is at {delivery.retry_at:%Y-%m-%d %H:%M:%S} UTC."
    if delivery.receipt_due_at is not None:
        return f"On its way; asked for again if nothing is heard by {delivery.receipt_due_at:%Y-%m-%d %H:%M:%S} UTC."
    return "On its way."
