"""Microsoft Teams: the URL of a workflow that posts what it receives into a channel or chat.

Forms: https://learn.microsoft.com/power-automate/triggers-introduction. The older connectors (webhook.office.com) are being retired
and take another kind of card.
"""

from typing import Final
from urllib.parse import parse_qs, urlsplit

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.urls import check_service_url, origin

WORKFLOW_HOSTS: Final = (
    ".logic.azure.com",
    ".logic.azure.us",
    ".logic.azure.cn",
    ".api.powerplatform.com",
    ".api.powerplatform.us",
    ".api.powerplatform.cn",
)


class TeamsConfig(ChannelConfig, frozen=True, kw_only=True):
    """The workflow's URL; its `sig` is the secret."""

    url: str

    def checked(self, *, private_targets: bool) -> "TeamsConfig":
        """As it is, if anyone who has it may call it."""
        theirs = check_service_url(self.url, WORKFLOW_HOSTS, service="a Teams workflow", private_targets=private_targets)
        parts = urlsplit(self.url)
        if theirs and "/workflows/" not in parts.path:
            raise BadConfig("url", "invalid", "must be the URL of a workflow: …/workflows/…/triggers/manual/paths/invoke?…")
        if theirs and not parse_qs(parts.query).get("sig"):
            raise BadConfig("url", "invalid", "has no sig: let anyone trigger the workflow, and copy its URL as a whole")
        return self

    def summary(self) -> str:
        """The URL without path and query."""
        return origin(self.url)
