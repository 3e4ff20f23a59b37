"""Options of websites that hold secrets, sealed for the disk with the keys of the channel vault."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from core.domain.request_options import BadOption, RequestOptions

if TYPE_CHECKING:
    from core.contracts.channel_vault import VaultCipher

OPENED: Final = 4096
"""Options that stay opened in memory; opening costs as much as a fifth of a check."""


class OptionSeal:
    """`keys` are Fernet keys, newest first."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self.open = lru_cache(maxsize=OPENED)(self._open)

    @cached_property
    def _cipher(self) -> VaultCipher:
        from core.contracts.channel_vault import VaultCipher  # noqa: PLC0415  (PynamoDB: only for who has secrets)

        return VaultCipher(self._keys)

    def seal(self, options: RequestOptions) -> str:
        """Encrypt options."""
        return self._cipher.seal(msgspec.to_builtins(options))

    def _open(self, ciphertext: str) -> RequestOptions:
        """Decrypt options.

        Raises:
            BadOption: no key fits, or the options do not fit this version.
        """
        from core.contracts.channel_vault import UnreadableConfig  # noqa: PLC0415  (as above)

        try:
            return msgspec.convert(self._cipher.open(ciphertext), RequestOptions)
        except (UnreadableConfig, msgspec.ValidationError, ValueError) as error:
            raise BadOption("", "unreadable", "the sealed options cannot be opened") from error

    def __repr__(self) -> str:
        return "OptionSeal(***)"
