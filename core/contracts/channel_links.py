"""Links and codes that prove that somebody reads what is sent to a channel, made with the vault's keys, so that nobody else can make one.

They hold the channel and the version of its configuration: an old mail never changes what is sent to another address since.
"""

import hmac
from typing import Final, Literal
from uuid import UUID

from core.contracts.channel_vault import UnreadableConfig, VaultCipher

type Purpose = Literal["unsubscribe", "verify"]
"""What a link is for, and the first part of its path; a link for one thing is none for the other."""

CODE_DIGITS: Final = 8


def link_url(cipher: VaultCipher, public_url: str, purpose: Purpose, channel_id: UUID, config_version: int) -> str:
    """The address of a page about this channel; empty without a public address."""
    if not public_url:
        return ""
    token = cipher.seal({"purpose": purpose, "channel": str(channel_id), "version": config_version})
    return f"{public_url}/{purpose}/{token}/"


def opened(cipher: VaultCipher, purpose: Purpose, token: str) -> tuple[UUID, int] | None:
    """The channel and the version that a link is about; None where we did not make it for this, or its key is gone."""
    try:
        content = cipher.open(token)
    except (UnreadableConfig, UnicodeError):
        return None
    if content.get("purpose") != purpose:
        return None
    return UUID(content["channel"]), int(content["version"])


def code(cipher: VaultCipher, channel_id: UUID, config_version: int) -> str:
    """The code that is sent to this version of a channel. It is computed wherever it is needed, and so never travels in an event."""
    return _codes(cipher, channel_id, config_version)[0]


def is_code(cipher: VaultCipher, channel_id: UUID, config_version: int, given: str) -> bool:
    """Whether somebody has read the code; one made before the keys were rotated counts."""
    typed = "".join(given.split()).encode()
    return any(hmac.compare_digest(one.encode(), typed) for one in _codes(cipher, channel_id, config_version))


def _codes(cipher: VaultCipher, channel_id: UUID, config_version: int) -> list[str]:
    digests = cipher.digests(f"verify {channel_id} {config_version}".encode())
    return [f"{int.from_bytes(digest) % 10**CODE_DIGITS:0{CODE_DIGITS}d}" for digest in digests]
