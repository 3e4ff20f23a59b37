"""Chains of certificates out of handshakes. Reading one costs a tenth of its handshake, so each website's are read every ten minutes."""

import ssl
from binascii import a2b_base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pycurl

from core.domain.certificates import SeenChain
from core.domain.urls import NormalisedUrl

READ_AGAIN_S: Final = 600.0
MEMORY_LIMIT: Final = 50_000
LONGEST_CHAIN: Final = 10


class CertificateMemory:
    """The end of the certificate that a website last saw at a host and port.

    Each website reads for itself, although others may look at the same host: what it reads is stored as its own.
    """

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self._limit = limit
        self._seen: dict[tuple[int, str, int], tuple[datetime | None, float]] = {}

    def is_due(self, monitor_id: int, url: NormalisedUrl, now: float) -> bool:
        """Whether the certificate has to be read in the next handshake; `now` is a monotonic time."""
        seen = self._seen.get((monitor_id, url.host, url.port))
        return seen is None or now - seen[1] >= READ_AGAIN_S

    def not_after(self, monitor_id: int, url: NormalisedUrl) -> datetime | None:
        """The end of the certificate as last read."""
        seen = self._seen.get((monitor_id, url.host, url.port))
        return seen[0] if seen else None

    def learn(self, monitor_id: int, url: NormalisedUrl, not_after: datetime, now: float) -> None:
        """Remember what was read."""
        self.forget(monitor_id, url)
        while len(self._seen) >= self._limit:
            del self._seen[next(iter(self._seen))]
        self._seen[monitor_id, url.host, url.port] = (not_after, now)

    def forget(self, monitor_id: int, url: NormalisedUrl) -> None:
        """Read it again next time: the handshake failed, so it may be another one."""
        self._seen.pop((monitor_id, url.host, url.port), None)


def read_chain(curl: Any, url: NormalisedUrl, *, verified: bool, error: str) -> SeenChain | None:
    """The chain of a handshake that was asked to keep it, also where it was refused (`error`); None where it came to none."""
    kept: list[list[tuple[bytes, ...]]] = curl.getinfo_raw(pycurl.INFO_CERTINFO)
    chain = tuple(_certificates(kept[:LONGEST_CHAIN]))
    if not chain:
        return None
    return SeenChain(url.host, url.port, chain, _not_after(kept[0]), verified, error)


def _certificates(kept: list[list[tuple[bytes, ...]]]) -> Iterator[bytes]:
    """DER out of libcurl's PEM."""
    for fields in kept:
        for field in fields:
            if field[0] == b"Cert":
                yield a2b_base64(field[1].split(b"-----")[2])


def _not_after(fields: list[tuple[bytes, ...]]) -> datetime | None:
    """The text is the one that `ssl` reads; a year that it cannot take is told by nobody."""
    try:
        text = next(field[1] for field in fields if field[0] == b"Expire date")
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(text.decode("ascii")), UTC)
    except (StopIteration, ValueError, OverflowError):
        return None
