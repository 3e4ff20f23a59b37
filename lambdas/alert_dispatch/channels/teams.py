"""Microsoft Teams, through a workflow that posts an adaptive card.

202 says that the workflow has begun; whether its card reaches the channel, Teams does not say
(https://learn.microsoft.com/azure/connectors/connectors-native-reqres). Errors come as `{"error": {"code": …}}`. The codes of `GONE`
are in no list of Microsoft's; people met them, e.g. https://github.com/microsoft/coe-starter-kit/issues/8684.
"""

from typing import Final

import msgspec

from core.contracts.channels.teams import TeamsConfig
from lambdas.alert_dispatch.answers import json_fields, words
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.message_teams import teams_message
from lambdas.alert_dispatch.posting import Poster, judge

GONE: Final = frozenset({"WorkflowNotFound", "WorkflowTriggerNotFound", "WorkflowTriggerIsNotEnabled"})
"""The workflow was deleted or turned off."""


class TeamsSender:
    """Posts to workflows."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def __call__(self, outgoing: Outgoing, config: TeamsConfig) -> None:
        """Send; see `Sender`."""
        body = msgspec.json.encode(teams_message(outgoing.message, outgoing.look_of))
        answer = self._poster.send(config.url, body, {}, outgoing.timeout_s, read_errors=True)
        error = json_fields(answer.body).get("error")
        code = words(error.get("code")) if isinstance(error, dict) else ""
        judge(answer, self._poster.clock(), "the Teams workflow", reason=code, gone=code in GONE)
