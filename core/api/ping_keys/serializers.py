"""Requests and answers about ping keys."""

from django.conf import settings
from rest_framework import serializers

from core.api.accounts.models import Workspace
from core.api.answers import Answer
from core.api.fields import Strict, Whole

DAY_S = 86_400


class PingKeyRequest(Strict):
    """Another key. The one until now is good for `grace_s` seconds yet; 0 ends it at once."""

    grace_s = Whole(min_value=0, max_value=30 * DAY_S, required=False, default=DAY_S)


class PingKeyAnswer(Answer[Workspace]):
    """The key of the workspace. `ping_url` is what jobs call, with the slug of a heartbeat in place of `{slug}`."""

    ping_key = serializers.CharField()
    ping_url = serializers.SerializerMethodField()
    replaced_key_until = serializers.DateTimeField(
        source="replaced_ping_key_until", allow_null=True, help_text="Until when the key before this one is good."
    )

    def get_ping_url(self, workspace: Workspace) -> str:
        """What jobs call; with `start/`, `fail/`, `log/` or an exit status behind it for more."""
        return f"{settings.PING_URL}/api/ping/{workspace.ping_key}/{{slug}}/"
