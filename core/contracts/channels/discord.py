"""Discord: a channel's webhook. Forms: https://docs.discord.com/developers/resources/webhook."""

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.urls import check_service_url, origin

HOSTS: Final = ("discord.com", "ptb.discord.com", "canary.discord.com", "discordapp.com")

_PATH: Final = re.compile(r"/api/(?:v\d{1,2}/)?webhooks/(\d{15,21})/[A-Za-z0-9_-]{20,120}")
_SNOWFLAKE: Final = re.compile(r"\d{15,21}")


class DiscordConfig(ChannelConfig, frozen=True, kw_only=True):
    """The webhook's URL, with `?thread_id=…` for a thread or a post of a forum."""

    url: str

    def checked(self, *, private_targets: bool) -> "DiscordConfig":
        """At discord.com: its older name may begin to redirect, which is not followed."""
        if check_service_url(self.url, HOSTS, service="discord.com", private_targets=private_targets):
            parts = urlsplit(self.url)
            if not _PATH.fullmatch(parts.path):
                raise BadConfig("url", "invalid", "must be a webhook: https://discord.com/api/webhooks/…/…")
            query = parse_qsl(parts.query, keep_blank_values=True)
            if any(name != "thread_id" or not _SNOWFLAKE.fullmatch(value) for name, value in query):
                raise BadConfig("url", "invalid", "may have no query but thread_id=…")
            return DiscordConfig(url=self.url.replace("://discordapp.com", "://discord.com", 1))
        return self

    def summary(self) -> str:
        """The id of the webhook; its token is the last part of the path."""
        found = _PATH.fullmatch(urlsplit(self.url).path)
        return f"Discord webhook {found[1]}" if found else origin(self.url)
