"""The channel vault: encrypted channel configurations for the edge.

PostgreSQL holds the truth; DynamoDB holds a copy per version, which is immutable and written before anything refers to it. Both
hold the same Fernet ciphertext, so reading either without the key in Secrets Manager gives nothing.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model


class UnreadableConfig(Exception):
    """The ciphertext was made with a key that the vault does not hold any more."""


class ChannelVersion(Model):
    """One immutable version of a channel's configuration."""

    class Meta:
        table_name = "unbound"
        region: str | None = None
        billing_mode = "PAY_PER_REQUEST"
        connect_timeout_seconds = 1.0
        read_timeout_seconds = 2.0
        max_retry_attempts = 2

    channel_id = UnicodeAttribute(hash_key=True)
    version = NumberAttribute(range_key=True)
    kind = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    ciphertext = UnicodeAttribute()


class VaultCipher:
    """Encrypts with the first key and decrypts with any: put a new key in front to rotate, drop the old one when all is `renewed`."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]
        self._newest, *_ = fernets = [Fernet(key) for key in keys]
        self._fernet = MultiFernet(fernets)

    def seal(self, config: Mapping[str, Any]) -> str:
        """Encrypt a configuration (JSON values only)."""
        return self._fernet.encrypt(json.dumps(dict(config), sort_keys=True).encode()).decode()

    def open(self, ciphertext: str) -> dict[str, Any]:
        """Decrypt a configuration.

        Raises:
            UnreadableConfig: no key fits, or the ciphertext was altered.
        """
        try:
            config = json.loads(self._fernet.decrypt(ciphertext.encode()))
        except InvalidToken as error:
            raise UnreadableConfig("no key of the channel vault fits") from error
        return dict(config)

    def renewed(self, ciphertext: str) -> str | None:
        """The same, encrypted with the newest key; None where it is already.

        Raises:
            UnreadableConfig: no key fits, or the ciphertext was altered.
        """
        try:
            self._newest.decrypt(ciphertext.encode())
        except InvalidToken:
            return self._rotated(ciphertext)
        return None

    def _rotated(self, ciphertext: str) -> str:
        try:
            return self._fernet.rotate(ciphertext.encode()).decode()
        except InvalidToken as error:
            raise UnreadableConfig("no key of the channel vault fits") from error

    def digests(self, message: bytes) -> list[bytes]:
        """A keyed digest (HMAC-SHA-256) of a message with each key, the newest first."""
        return [hmac.digest(key, message, "sha256") for key in self._keys]

    def __repr__(self) -> str:
        return "VaultCipher(***)"


def bind_table(table_name: str, region: str) -> None:
    """Point the model at the table of this environment. Call once, before its first use."""
    ChannelVersion.Meta.table_name = table_name
    ChannelVersion.Meta.region = region
