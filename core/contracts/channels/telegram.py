"""Telegram: a bot's token and the chat it writes to. Forms: https://core.telegram.org/bots/api."""

import re
from typing import Final

from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.urls import check_base_url, check_service_url

TELEGRAM_API: Final = "https://api.telegram.org"
API_HOSTS: Final = ("api.telegram.org",)

_TOKEN: Final = re.compile(r"(\d{5,15}):[A-Za-z0-9_-]{30,60}")
_CHAT: Final = re.compile(r"-?[1-9]\d{0,15}|@[A-Za-z][A-Za-z0-9_]{3,31}")
_THREAD: Final = re.compile(r"[1-9]\d{0,9}")


class TelegramConfig(ChannelConfig, frozen=True, kw_only=True):
    """A bot and a chat: its number (groups have negative ones) or the @name of a public channel.

    `thread_id` is a topic of a group. `api` is another server than api.telegram.org: one may run a Bot API server of one's own.
    """

    token: str
    chat_id: str
    thread_id: str = ""
    api: str = ""

    def checked(self, *, private_targets: bool) -> "TelegramConfig":
        """As it is."""
        if not _TOKEN.fullmatch(self.token):
            raise BadConfig("token", "invalid", "must be a bot's token as BotFather gives it, such as 123456789:AAE…")
        if not _CHAT.fullmatch(self.chat_id):
            raise BadConfig("chat_id", "invalid", "must be a chat's number, such as -1001234567890, or a channel's @name")
        if self.thread_id and not _THREAD.fullmatch(self.thread_id):
            raise BadConfig("thread_id", "invalid", "must be a topic's number")
        if self.api:
            check_service_url(self.api, API_HOSTS, service="api.telegram.org", private_targets=private_targets, field="api")
            check_base_url(self.api, field="api")
        return self

    def summary(self) -> str:
        """The bot's id, which its profile shows too, and the chat."""
        thread = f", topic {self.thread_id}" if self.thread_id else ""
        return f"Telegram bot {self.token.partition(':')[0]}, chat {self.chat_id}{thread}"
