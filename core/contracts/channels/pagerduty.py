"""PagerDuty, through the integration key of an Events API v2 integration.

Forms: https://developer.pagerduty.com/docs/events-api-v2-overview, https://support.pagerduty.com/main/docs/service-regions.
"""

import re
from typing import Final, Literal

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.urls import check_base_url, check_service_url

PAGERDUTY_APIS: Final = {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}
API_HOSTS: Final = (".pagerduty.com",)

_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")


class PagerDutyConfig(ChannelConfig, frozen=True, kw_only=True):
    """An integration. `severity` is that of outages; other alerts are warnings. `api` is another server than PagerDuty's."""

    routing_key: str
    region: Literal["us", "eu"] = "us"
    severity: Literal["critical", "error", "warning", "info"] = "critical"
    api: str = ""

    def checked(self, *, private_targets: bool) -> "PagerDutyConfig":
        """As it is."""
        if not _KEY.fullmatch(self.routing_key):
            raise BadConfig("routing_key", "invalid", "must be an integration key of Events API v2: 32 letters and digits")
        if self.api:
            check_service_url(self.api, API_HOSTS, service="PagerDuty", private_targets=private_targets, field="api")
            check_base_url(self.api, field="api")
        return self

    def summary(self) -> str:
        """The region and the end of the key."""
        return f"PagerDuty ({self.region}), key …{self.routing_key[-4:]}"

    def url(self) -> str:
        """Where events are sent."""
        return f"{(self.api or PAGERDUTY_APIS[self.region]).rstrip('/')}/v2/enqueue"
