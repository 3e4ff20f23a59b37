"""Slack: an incoming webhook, or a bot's token and a channel.

Forms: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and https://docs.slack.dev/authentication/tokens.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.urls import check_base_url, check_service_url, origin

WEBHOOK_HOSTS: Final = ("hooks.slack.com", "hooks.slack-gov.com")
API_HOSTS: Final = ("slack.com", "slack-gov.com")
SLACK_API: Final = "https://slack.com"
ROTATED: Final = "xoxe."
"""How tokens begin that are exchanged every 12 hours (https://docs.slack.dev/authentication/using-token-rotation)."""

_WEBHOOK_PATH: Final = re.compile(r"/services/(T[A-Z0-9]+)/(B[A-Z0-9]+)/[A-Za-z0-9]+")
_BOT_TOKEN: Final = re.compile(r"xoxb-[A-Za-z0-9-]{10,300}")
_CHANNEL: Final = re.compile(r"[CDGU][A-Z0-9]{6,20}|#[^\s<>&#@:\x00-\x1f]{1,80}")


class SlackConfig(ChannelConfig, frozen=True, kw_only=True):
    """Either `url`, or `token` and `channel` (an id such as C0123456789, or #name). `api`: another server than slack.com."""

    url: str = ""
    token: str = ""
    channel: str = ""
    api: str = ""

    def checked(self, *, private_targets: bool) -> "SlackConfig":
        """As it is, if it is exactly one of the two."""
        if self.url:
            _check_webhook(self, private_targets=private_targets)
        else:
            _check_bot(self, private_targets=private_targets)
        return self

    def summary(self) -> str:
        """The channel, or the ids of workspace and webhook: the token is the last part of the path."""
        if not self.url:
            return f"Slack bot in {self.channel}"
        found = _WEBHOOK_PATH.fullmatch(urlsplit(self.url).path)
        return f"Slack webhook {found[1]}/{found[2]}" if found else origin(self.url)


def _check_webhook(config: SlackConfig, *, private_targets: bool) -> None:
    for field in ("token", "channel", "api"):
        if getattr(config, field):
            raise BadConfig(field, "contradiction", "belongs to a bot: give either url, or token and channel")
    theirs = check_service_url(config.url, WEBHOOK_HOSTS, service="hooks.slack.com", private_targets=private_targets)
    if theirs and not _WEBHOOK_PATH.fullmatch(urlsplit(config.url).path):
        raise BadConfig("url", "invalid", "must be an incoming webhook: https://hooks.slack.com/services/T…/B…/…")


def _check_bot(config: SlackConfig, *, private_targets: bool) -> None:
    if not config.token:
        raise BadConfig("url", "required", "is required, or token and channel of a bot")
    if config.token.startswith(ROTATED):
        raise BadConfig("token", "invalid", "ends after 12 hours: turn off token rotation in the app, and install it anew")
    if not _BOT_TOKEN.fullmatch(config.token):
        raise BadConfig("token", "invalid", "must be the token of a bot, which begins with xoxb-")
    if not config.channel:
        raise BadConfig("channel", "required", "is required with a token")
    if not _CHANNEL.fullmatch(config.channel):
        raise BadConfig("channel", "invalid", "must be a channel's id such as C0123456789, or its #name")
    if config.api:
        check_service_url(config.api, API_HOSTS, service="slack.com", private_targets=private_targets, field="api")
        check_base_url(config.api, field="api")
