"""How fast a target may be sent to, and when a message has its turn. Pure.

A limit is a bucket of tokens. A message that finds none takes the next one that will come, and waits for it: its turn is its own, so nobody
who comes later can take it, and however many wait, each of them knows when.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from core.contracts.channels.config import ChannelConfig
from core.contracts.channels.discord import DiscordConfig
from core.contracts.channels.email import EmailConfig
from core.contracts.channels.ntfy import NtfyConfig
from core.contracts.channels.pagerduty import PagerDutyConfig
from core.contracts.channels.slack import SlackConfig
from core.contracts.channels.telegram import TelegramConfig
from core.contracts.channels.whatsapp import WhatsAppConfig


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` messages at once, and one more for each `every`. `shared` names what several channels have in common, if they do."""

    every: timedelta
    burst: int
    shared: str = ""

    @property
    def spare(self) -> timedelta:
        """How far a full bucket reaches ahead of its rate."""
        return self.every * (self.burst - 1)


SLACK: Final = Limit(timedelta(seconds=1), 1)
"""One message per second and channel (https://docs.slack.dev/apis/web-api/rate-limits)."""

DISCORD: Final = Limit(timedelta(seconds=1), 4)
"""Five in any two seconds for each webhook (https://discord.com/developers/docs/topics/rate-limits)."""

TELEGRAM_GROUP: Final = Limit(timedelta(seconds=4), 6)
TELEGRAM_CHAT: Final = Limit(timedelta(seconds=1), 1)
"""20 in any minute in a group, one per second in a chat (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this)."""

NTFY: Final = Limit(timedelta(seconds=5), 60)
"""60 at once, and one more every 5 s (https://docs.ntfy.sh/config/#rate-limiting)."""

PAGERDUTY: Final = Limit(timedelta(seconds=2 / 3), 31)
"""120 events in any minute for each integration key."""

WHATSAPP: Final = Limit(timedelta(seconds=6), 10)
"""One message every 6 s to one person, and fewer than 45 at once (the pair rate of the Cloud API)."""


def _telegram(config: TelegramConfig) -> Limit:
    return TELEGRAM_GROUP if config.chat_id.startswith(("-", "@")) else TELEGRAM_CHAT


def mail_limit(per_second: float) -> Limit | None:
    """All mail of an installation, where the account may send so many messages per second, bursts apart; None for 0."""
    return Limit(timedelta(seconds=1 / per_second), max(int(per_second), 1), shared="mail") if per_second else None


class Limits:
    """The limit of each channel. `mail` is that of all mail; webhooks, Apprise, text messages and Opsgenie have none of ours."""

    def __init__(self, mail: Limit | None = None) -> None:
        rules: Mapping[type[ChannelConfig], Callable[[Any], Limit | None]] = {
            DiscordConfig: lambda _: DISCORD,
            EmailConfig: lambda _: mail,
            NtfyConfig: lambda _: NTFY,
            PagerDutyConfig: lambda _: PAGERDUTY,
            SlackConfig: lambda _: SLACK,
            TelegramConfig: _telegram,
            WhatsAppConfig: lambda _: WHATSAPP,
        }
        self._rules = MappingProxyType(rules)

    def of(self, config: ChannelConfig) -> Limit | None:
        """The limit of one channel; None where it may be sent to at once."""
        rule = self._rules.get(type(config))
        return rule(config) if rule else None


def turn_at(limit: Limit, full_at: datetime, now: datetime) -> datetime:
    """When the message has its turn that finds the bucket so that it is full again at `full_at`; `now` where there is a token."""
    return max(now, full_at - limit.spare)


def full_again_at(limit: Limit, full_at: datetime | None, now: datetime) -> datetime:
    """When the bucket is full again once that message has taken its token."""
    return max(full_at or now, now) + limit.every
