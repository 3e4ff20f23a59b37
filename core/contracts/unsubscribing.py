"""Links that end the mail to a channel: sealed with the vault's keys, so that nobody else can make one.

They hold the channel and the version of its configuration: an old mail never ends what is sent to another address since.
"""

from typing import Final
from uuid import UUID

from core.contracts.channel_vault import UnreadableConfig, VaultCipher

PURPOSE: Final = "unsubscribe"
"""Told from sealed configurations by it."""

PATH: Final = "unsubscribe"


def unsubscribe_url(cipher: VaultCipher, public_url: str, channel_id: UUID, config_version: int) -> str:
    """The address that a mail to this channel carries; empty without a public address."""
    if not public_url:
        return ""
    token = cipher.seal({"purpose": PURPOSE, "channel": str(channel_id), "version": config_version})
    return f"{public_url}/{PATH}/{token}/"


def opened(cipher: VaultCipher, token: str) -> tuple[UUID, int] | None:
    """The channel and the version that a link is about; None where we did not make it, or its key is gone."""
    try:
        content = cipher.open(token)
    except (UnreadableConfig, UnicodeError):
        return None
    if content.get("purpose") != PURPOSE:
        return None
    return UUID(content["channel"]), int(content["version"])
