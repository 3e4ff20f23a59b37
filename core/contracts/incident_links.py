"""Links in messages by which whoever reads one acknowledges the incident, made with the vault's keys, so that nobody else can make one.

A link holds ids only, and no secret: the channel that it was sent to, the incident, and until when it is good. It is signed and not sealed
(`core.contracts.channel_links`), which makes it short enough for an SMS.
"""

import base64
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from core.contracts.channel_vault import VaultCipher

PATH: Final = "acknowledge"
GOOD_FOR: Final = timedelta(days=30)

_ID: Final = 16
_TIME: Final = 4
_SIGNATURE: Final = 16
"""Bytes; 128 bits of an HMAC-SHA-256 are as many as an id has."""

_LENGTH: Final = _ID + _ID + _TIME + _SIGNATURE


@dataclass(frozen=True, slots=True)
class IncidentLink:
    """What a link is about; it is good before `until`, exact to the second."""

    channel_id: UUID
    incident_id: UUID
    until: datetime


def acknowledge_url(cipher: VaultCipher, public_url: str, link: IncidentLink) -> str:
    """The address of the page that acknowledges; empty without a public address."""
    if not public_url:
        return ""
    content = link.channel_id.bytes + link.incident_id.bytes + int(link.until.timestamp()).to_bytes(_TIME)
    token = base64.urlsafe_b64encode(content + _signatures(cipher, content)[0]).decode().rstrip("=")
    return f"{public_url}/{PATH}/{token}/"


def opened(cipher: VaultCipher, token: str) -> IncidentLink | None:
    """What a link is about; None where we did not make it, or its key is gone."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    content, signature = raw[:-_SIGNATURE], raw[-_SIGNATURE:]
    if len(raw) != _LENGTH or not any(hmac.compare_digest(one, signature) for one in _signatures(cipher, content)):
        return None
    until = datetime.fromtimestamp(int.from_bytes(content[2 * _ID :]), UTC)
    return IncidentLink(UUID(bytes=content[:_ID]), UUID(bytes=content[_ID : 2 * _ID]), until)


def _signatures(cipher: VaultCipher, content: bytes) -> list[bytes]:
    return [digest[:_SIGNATURE] for digest in cipher.digests(b"acknowledge " + content)]
