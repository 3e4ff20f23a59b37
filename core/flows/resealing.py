"""Seals anew, with the newest key of the channel vault, what an older one sealed, so that the older one may go.

Invariant: whatever is replaced says the same as before. It is replaced only where it is still what was read, so an edit meanwhile stays.
Whoever dies in the middle leaves the rest to the next run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from core.adapters.channel_vault import ChannelVault
from core.adapters.database import Connection, Pool
from core.adapters.store import seals as store
from core.adapters.store.seals import Renewed, Sealed
from core.contracts.channel_vault import UnreadableConfig, VaultCipher
from core.logs import get_logger

AT_A_TIME: Final = 500
_log = get_logger(__name__)


@dataclass(slots=True)
class Resealed:
    """What was sealed anew: channels and websites in PostgreSQL, versions of channels at the edge. `unreadable`: what no key opens."""

    channels: int = 0
    websites: int = 0
    versions: int = 0
    unreadable: int = 0


def reseal(pool: Pool, vault: ChannelVault, cipher: VaultCipher) -> Resealed:
    """Seal anew all that the newest key did not seal. Repeatable at any time, on a live system too.

    Raises:
        VaultUnreachable: repeat when it is back.
    """
    run = _Run(pool, cipher)
    run.done.channels = run.table(store.channels, store.renew_channels, store.FIRST_CHANNEL)
    run.done.websites = run.table(store.websites, store.renew_websites, store.FIRST_WEBSITE)
    for version in vault.versions():
        after = run.renewed(version.ciphertext, f"version {version.version:g} of channel {version.channel_id}")
        if after and vault.renew(version, after):
            run.done.versions += 1
    return run.done


class _Run:
    def __init__(self, pool: Pool, cipher: VaultCipher) -> None:
        self._pool = pool
        self._cipher = cipher
        self.done = Resealed()

    def table[Id: (UUID, int)](
        self,
        read: Callable[[Connection, Id, int], list[Sealed[Id]]],
        write: Callable[[Connection, Sequence[Renewed[Id]]], int],
        last: Id,
    ) -> int:
        """Page by page, each a transaction: nobody waits long for a row."""
        count = 0
        while True:
            with self._pool.connection() as connection, connection.transaction():
                page = read(connection, last, AT_A_TIME)
                count += write(connection, self._page(page))
            if len(page) < AT_A_TIME:
                return count
            last = page[-1].id

    def _page[Id](self, page: Sequence[Sealed[Id]]) -> list[Renewed[Id]]:
        found = ((one, self.renewed(one.ciphertext, str(one.id))) for one in page)
        return [Renewed(one.id, one.ciphertext, after) for one, after in found if after]

    def renewed(self, ciphertext: str, kept: str) -> str | None:
        """It as the newest key seals it; None where there is nothing to do, or nothing that can be done."""
        try:
            return self._cipher.renewed(ciphertext)
        except UnreadableConfig:
            self.done.unreadable += 1
            _log.error("seal.unreadable", kept=kept)
            return None
