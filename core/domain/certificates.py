"""The chain of certificates that a server showed in a handshake, not yet taken apart."""

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SeenChain:
    """What was seen at a host and port: DER, the server's own certificate first.

    `not_after` is the end of that one, None where it cannot be read. `error` says why the chain was refused, in libcurl's words; it is
    empty where it was accepted, or where nobody verified it (`verified` is False).
    """

    host: str
    port: int
    chain: tuple[bytes, ...]
    not_after: datetime | None
    verified: bool = True
    error: str = ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the server's own certificate, hexadecimal."""
        return hashlib.sha256(self.chain[0]).hexdigest()

    @property
    def digest(self) -> str:
        """Tells this chain from any other: the same certificate may come with other certificates behind it."""
        return hashlib.sha256(b"".join(self.chain)).hexdigest()
