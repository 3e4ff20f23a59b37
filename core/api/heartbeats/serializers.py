"""Requests and answers about heartbeats."""

from django.conf import settings
from rest_framework import serializers

from core.api.answers import Answer
from core.api.fields import Strict, Text, Whole, Words
from core.api.monitors.models import Monitor, Ping
from core.api.monitors.serializers import STATES, MonitorAnswer, ParentField

YEAR_S = 365 * 86_400
PING_KINDS = ("success", "fail", "start", "log")


class HeartbeatRequest(Strict):
    """A ping is expected every `period_s` seconds and may be late by `grace_s`."""

    name = Text(max_length=100)
    tags = Words(required=False, default=list)
    depends_on = ParentField()
    period_s = Whole(min_value=10, max_value=YEAR_S, required=False, default=86_400)
    grace_s = Whole(min_value=1, max_value=YEAR_S, required=False, default=3_600)


class HeartbeatAnswer(MonitorAnswer):
    """A heartbeat with its settings and its state. `deadline_at` is when it counts as missed."""

    period_s = serializers.IntegerField(source="heartbeat.period_s")
    grace_s = serializers.IntegerField(source="heartbeat.grace_s")
    ping_url = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=STATES, source="heartbeat_state.state")
    state_since = serializers.DateTimeField(source="heartbeat_state.changed_at", allow_null=True)
    last_ping_at = serializers.DateTimeField(source="heartbeat_state.last_ping_at", allow_null=True)
    last_success_at = serializers.DateTimeField(source="heartbeat_state.last_success_at", allow_null=True)
    last_fail_at = serializers.DateTimeField(source="heartbeat_state.last_fail_at", allow_null=True)
    last_start_at = serializers.DateTimeField(source="heartbeat_state.last_start_at", allow_null=True)
    deadline_at = serializers.DateTimeField(source="heartbeat_state.deadline_at", allow_null=True)
    pings = serializers.IntegerField(source="heartbeat_state.pings", help_text="How many pings have come in.")

    def get_ping_url(self, monitor: Monitor) -> str:
        """What the job calls when it is done; with `start/`, `fail/`, `log/` or an exit status behind it for more."""
        return f"{settings.PING_URL}/api/ping/{monitor.uid}/"


class PingAnswer(Answer[Ping]):
    """One ping. Its body, if it had one, is at `body/`."""

    id = serializers.UUIDField()
    sequence = serializers.IntegerField()
    at = serializers.DateTimeField(source="pinged_at")
    kind = serializers.ChoiceField(choices=PING_KINDS)
    exit_status = serializers.IntegerField(allow_null=True)
    method = serializers.CharField()
    source_ip = serializers.CharField()
    user_agent = serializers.CharField()
    body_size = serializers.IntegerField(help_text="Bytes that the job sent.")
    body_truncated = serializers.BooleanField(help_text="Whether only the beginning of the body was kept.")
