"""When certificates end. Reading a chain out of a handshake costs a tenth of it, so each target's is read every ten minutes."""

import ssl
from datetime import UTC, datetime
from typing import Any, Final

import pycurl

from core.domain.urls import NormalisedUrl

READ_AGAIN_S: Final = 600.0
MEMORY_LIMIT: Final = 50_000


class CertificateMemory:
    """The end of the certificate last seen at a host and port."""

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self._limit = limit
        self._seen: dict[tuple[str, int], tuple[datetime | None, float]] = {}

    def is_due(self, url: NormalisedUrl, now: float) -> bool:
        """Whether the certificate has to be read in the next handshake; `now` is a monotonic time."""
        seen = self._seen.get((url.host, url.port))
        return seen is None or now - seen[1] >= READ_AGAIN_S

    def not_after(self, url: NormalisedUrl) -> datetime | None:
        """The end of the certificate as last read."""
        seen = self._seen.get((url.host, url.port))
        return seen[0] if seen else None

    def learn(self, url: NormalisedUrl, not_after: datetime, now: float) -> None:
        """Remember what was read."""
        self._seen.pop((url.host, url.port), None)
        while len(self._seen) >= self._limit:
            del self._seen[next(iter(self._seen))]
        self._seen[url.host, url.port] = (not_after, now)

    def forget(self, url: NormalisedUrl) -> None:
        """Read it again next time: the handshake failed, so it may be another one."""
        self._seen.pop((url.host, url.port), None)


def read_not_after(curl: Any) -> datetime | None:
    """When the server's own certificate ends, after a handshake that was asked to keep the chain."""
    chain: list[list[tuple[bytes, ...]]] = curl.getinfo_raw(pycurl.INFO_CERTINFO)
    if not chain:
        return None
    fields = {name: value[0] for name, *value in chain[0] if value}
    try:
        seconds = ssl.cert_time_to_seconds(fields[b"Expire date"].decode("ascii"))
        return datetime.fromtimestamp(seconds, UTC)
    except (KeyError, ValueError, OverflowError):
        return None
