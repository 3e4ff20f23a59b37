"""Opens channel configurations from the vault."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final
from uuid import UUID

from pynamodb.exceptions import DoesNotExist, PynamoDBException

from core.contracts import incident_links
from core.contracts.channel_links import Purpose, code, link_url
from core.contracts.channel_vault import ChannelVersion, UnreadableConfig, VaultCipher
from core.contracts.channels.config import BadConfig, ChannelConfig
from core.contracts.channels.registry import load_config
from core.contracts.incident_links import IncidentLink
from lambdas.alert_dispatch.errors import Transient

CACHED: Final = 256


class Vault:
    """Reads a version once and keeps it: versions are immutable."""

    def __init__(self, fetch_keys: Callable[[], Sequence[str]]) -> None:
        self._fetch_keys = fetch_keys
        self._cipher: VaultCipher | None = None
        self._configs: OrderedDict[tuple[UUID, int], ChannelConfig] = OrderedDict()
        self._lock = Lock()

    def config(self, channel_id: UUID, version: int) -> ChannelConfig:
        """The configuration of one version.

        Raises:
            Transient: the version or a fitting key is not there (yet), the vault does not answer, or a newer release wrote the version.
        """
        with self._lock:
            if known := self._configs.get((channel_id, version)):
                return known
        config = self._read(channel_id, version)
        with self._lock:
            self._configs[channel_id, version] = config
            if len(self._configs) > CACHED:
                self._configs.popitem(last=False)
        return config

    def link(self, purpose: Purpose, public_url: str, channel_id: UUID, version: int) -> str:
        """The address of a page about this channel; empty without a public address."""
        return link_url(self._keys(), public_url, purpose, channel_id, version)

    def acknowledge_link(self, public_url: str, link: IncidentLink) -> str:
        """The address of the page that acknowledges an incident; empty without a public address."""
        return incident_links.acknowledge_url(self._keys(), public_url, link)

    def code(self, channel_id: UUID, version: int) -> str:
        """The code that proves that somebody reads what is sent there."""
        return code(self._keys(), channel_id, version)

    def _keys(self) -> VaultCipher:
        cipher = self._cipher or VaultCipher(self._fetch_keys())
        self._cipher = cipher
        return cipher

    def _read(self, channel_id: UUID, version: int) -> ChannelConfig:
        try:
            item = ChannelVersion.get(str(channel_id), version, consistent_read=True)
        except DoesNotExist:
            raise Transient("the channel's configuration is not in the vault yet") from None
        except PynamoDBException as error:
            raise Transient(f"the channel vault did not answer: {type(error).__name__}") from error
        try:
            return load_config(item.kind, self._open(item.ciphertext))
        except BadConfig as error:
            raise Transient(f"the channel's configuration is of a newer release: {error}") from error

    def _open(self, ciphertext: str) -> dict[str, object]:
        """Decrypt; where no key fits, the keys may have been rotated since we read them."""
        if self._cipher:
            try:
                return self._cipher.open(ciphertext)
            except UnreadableConfig:
                self._cipher = None
        cipher = VaultCipher(self._fetch_keys())
        try:
            opened = cipher.open(ciphertext)
        except UnreadableConfig as error:
            raise Transient(str(error)) from error
        self._cipher = cipher
        return opened
