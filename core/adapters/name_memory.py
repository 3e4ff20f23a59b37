"""What the resolver remembers of names: answers for as long as they are good, and longer, that a name has no IPv6 address.

Most names have none, and asking again each time is half of the work of resolving. Nothing is ever concluded from that memory alone: a name
that suddenly has no IPv4 address either is asked for both.
"""

from typing import Final

import msgspec

LIMIT: Final = 100_000
"""Names, about half a kilobyte each. Fewer than the monitors of a worker with a name of its own each, and nothing would be remembered."""

V4_ONLY_S: Final = 300.0
"""How long after it was last seen to have no IPv6 address a name is not asked for one; the longest time any answer is kept."""


class _Kept[Answer](msgspec.Struct, frozen=True, gc=False):
    answer: Answer
    good_until: float
    v4_only_until: float


class NameMemory[Answer]:
    """Times are seconds of one monotonic clock. Beyond `limit` the names that were kept first are forgotten."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept: dict[str, _Kept[Answer]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def good(self, host: str, now: float) -> Answer | None:
        """The answer about a name, if it may still be used."""
        kept = self._kept.get(host)
        return kept.answer if kept is not None and kept.good_until > now else None

    def is_v4_only(self, host: str, now: float) -> bool:
        """Whether the name had no IPv6 address a moment ago."""
        kept = self._kept.get(host)
        return kept is not None and kept.v4_only_until > now

    def keep(self, host: str, answer: Answer, good_until: float, v4_only_until: float | None) -> None:
        """Remember an answer. `v4_only_until` is None where IPv6 was not asked for: what was known of it stays."""
        former = self._kept.pop(host, None)
        if v4_only_until is None:
            v4_only_until = former.v4_only_until if former else 0.0
        while len(self._kept) >= self._limit:
            del self._kept[next(iter(self._kept))]
        self._kept[host] = _Kept(answer, good_until, v4_only_until)
