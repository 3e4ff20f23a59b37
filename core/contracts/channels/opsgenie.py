"""Opsgenie, and Jira Service Management which takes its place, through the key of an API integration.

Forms: https://docs.opsgenie.com/docs/alert-api. Opsgenie itself ends in April 2027; the operations of Jira Service Management take the
same requests at an address of their own (region `jsm`).
"""

import re
from typing import Final, Literal

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.urls import check_base_url, check_service_url

OPSGENIE_APIS: Final = {
    "us": "https://api.opsgenie.com",
    "eu": "https://api.eu.opsgenie.com",
    "jsm": "https://api.atlassian.com/jsm/ops/integration",
}
API_HOSTS: Final = (".opsgenie.com", "api.atlassian.com")

_KEY: Final = re.compile(r"[A-Za-z0-9-]{20,128}")


class OpsgenieConfig(ChannelConfig, frozen=True, kw_only=True):
    """An integration. `priority` is that of outages; other alerts are P3. `api` is another server than Opsgenie's."""

    api_key: str
    region: Literal["us", "eu", "jsm"] = "us"
    priority: Literal["P1", "P2", "P3", "P4", "P5"] = "P1"
    api: str = ""

    def checked(self, *, private_targets: bool) -> "OpsgenieConfig":
        """As it is."""
        if not _KEY.fullmatch(self.api_key):
            raise BadConfig(
                "api_key", "invalid", "must be the key of an API integration, such as eb243592-faa2-4ba2-a551-1afdf565c889"
            )
        if self.api:
            check_service_url(self.api, API_HOSTS, service="Opsgenie", private_targets=private_targets, field="api")
            check_base_url(self.api, field="api")
        return self

    def summary(self) -> str:
        """The region and the end of the key."""
        return f"Opsgenie ({self.region}), key …{self.api_key[-4:]}"

    def url(self) -> str:
        """Where alerts are created; one is closed below it."""
        return f"{(self.api or OPSGENIE_APIS[self.region]).rstrip('/')}/v2/alerts"
