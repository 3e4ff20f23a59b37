"""ntfy: a topic of ntfy.sh or of a server of one's own. Forms: https://docs.ntfy.sh/publish/ and https://docs.ntfy.sh/config/."""

import re
from typing import Final
from urllib.parse import urlsplit

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.urls import check_base_url, check_url, origin

PRIORITIES: Final = {"min": 1, "low": 2, "default": 3, "high": 4, "urgent": 5}
"""The names in the documents, and their numbers in JSON."""

_TOPIC: Final = re.compile(r"[-_A-Za-z0-9]{1,64}")
_TOKEN: Final = re.compile(r"tk_[A-Za-z0-9]{29}")


class NtfyConfig(ChannelConfig, frozen=True, kw_only=True):
    """A topic. `priority` is that of outages, `other_priority` that of everything else; `token` an access token."""

    topic: str
    server: str = "https://ntfy.sh"
    token: str = ""
    priority: str = "high"
    other_priority: str = "default"

    def checked(self, *, private_targets: bool) -> "NtfyConfig":
        """As it is. A token goes over http only where private targets are allowed: there it stays at home."""
        check_url(self.server, private_targets=private_targets, field="server")
        check_base_url(self.server, field="server")
        parts = urlsplit(self.server)
        if parts.path.strip("/"):
            raise BadConfig(
                "server", "invalid", "must be the server alone, such as https://ntfy.sh; the topic is a field of its own"
            )
        if not _TOPIC.fullmatch(self.topic):
            raise BadConfig("topic", "invalid", "must have 1 to 64 letters, digits, - or _")
        if self.token and not _TOKEN.fullmatch(self.token):
            raise BadConfig("token", "invalid", "must be an access token: tk_ and 29 letters or digits")
        if self.token and parts.scheme != "https" and not private_targets:
            raise BadConfig("server", "scheme", "must be https where a token is sent")
        for field in ("priority", "other_priority"):
            if getattr(self, field) not in PRIORITIES:
                raise BadConfig(field, "invalid_choice", f"must be one of {', '.join(PRIORITIES)}")
        return self

    def summary(self) -> str:
        """The server alone: who knows a topic can read it and write to it."""
        return origin(self.server)
