"""Every kind of channel by its name: what the API accepts, the vault keeps and alert_dispatch sends with."""

from collections.abc import Mapping
from typing import Any, Final

from core.contracts.channels.apprise import AppriseConfig
from core.contracts.channels.config import BadConfig, ChannelConfig, convert
from core.contracts.channels.discord import DiscordConfig
from core.contracts.channels.email import EmailConfig
from core.contracts.channels.ntfy import NtfyConfig
from core.contracts.channels.opsgenie import OpsgenieConfig
from core.contracts.channels.pagerduty import PagerDutyConfig
from core.contracts.channels.slack import SlackConfig
from core.contracts.channels.sms import SmsConfig
from core.contracts.channels.teams import TeamsConfig
from core.contracts.channels.telegram import TelegramConfig
from core.contracts.channels.webhook import WebhookConfig
from core.contracts.channels.whatsapp import WhatsAppConfig

KINDS: Final[dict[str, type[ChannelConfig]]] = {
    "apprise": AppriseConfig,
    "discord": DiscordConfig,
    "email": EmailConfig,
    "ntfy": NtfyConfig,
    "opsgenie": OpsgenieConfig,
    "pagerduty": PagerDutyConfig,
    "slack": SlackConfig,
    "sms": SmsConfig,
    "teams": TeamsConfig,
    "telegram": TelegramConfig,
    "webhook": WebhookConfig,
    "whatsapp": WhatsAppConfig,
}


def parse_config(kind: str, config: Mapping[str, Any], *, private_targets: bool = False) -> ChannelConfig:
    """Check a configuration that a user typed; `msgspec.to_builtins` of the result is what the vault seals.

    Args:
        kind: one of `KINDS`.
        config: JSON values.
        private_targets: whether private and loopback addresses may be sent to.

    Raises:
        BadConfig: with the field to blame.
    """
    if kind not in KINDS:
        raise BadConfig("kind", "unknown_kind", f"must be one of {', '.join(sorted(KINDS))}")
    return convert(KINDS[kind], config).checked(private_targets=private_targets)


def load_config(kind: str, config: Mapping[str, Any]) -> ChannelConfig:
    """Read a configuration that was checked when it was stored.

    Raises:
        BadConfig: it does not fit its kind.
    """
    if kind not in KINDS:
        raise BadConfig("kind", "unknown_kind", f"no channel of kind {kind!r}")
    return convert(KINDS[kind], config)
