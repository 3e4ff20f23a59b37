"""What an item of the dispatch table need not hold any more, and when. Pure.

An outage may be forgotten when no message about it can come that is still to be sent, or none at all. While one can, all of it is
remembered, however many outages came after it: its end may wait for days for a channel that refuses everything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core.contracts.events import RECOVERY_SEQUENCE

REMEMBERED: Final = timedelta(days=14)
"""Longer than any message is repeated: ten requests take four days, dead letters are kept for fourteen."""

AT_LEAST: Final = 50
"""So many outages are remembered, however old: one may have lasted longer than its messages live."""

IN_DETAIL: Final = 5
"""So many of the latest outages are remembered whole. Of an earlier one whose end was sent a number will do."""

ATTRIBUTES_AT_MOST: Final = 1000
"""Below 100 KB, and an item may have 400. Only a channel that refuses hundreds of outages in a row gets an item there. Beyond it the oldest
is forgotten: to tell something twice is better than to have no room for what is new."""

PLACES_AT_MOST: Final = 100
"""In a set: an outage that lasts for months may have a reminder each minute."""

REMOVED_AT_ONCE: Final = 100
"""Attributes. An expression may name more, but has to stay below 4 KB."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tidying:
    """What to take out of an item: attributes that nobody needs any more; and what `settled` has to be then, where it changes.

    `sent`, where it is too long: what is left of the places that were sent of the message's own outage.
    """

    stale: tuple[str, ...] = ()
    settled: frozenset[int] | None = None
    sent: frozenset[int] | None = None


NOTHING_TO_TIDY: Final = Tidying()


def tidying(item: Mapping[str, Any], own: str, sequence: int, now: datetime) -> Tidying:
    """What may go when the message of this place has its turn. `own` is the key of its outage, of which nothing that lasts may go."""
    about = {name: key for name in item if (key := _key_in(name))}
    newest_first = sorted({*about.values(), own} - {""}, reverse=True)
    settled = settled_in(item)
    over = {key for key in newest_first[IN_DETAIL:] if number_of(key) in settled or _last(item, key) == RECOVERY_SEQUENCE}
    past = {key for key in newest_first[AT_LEAST:] if _is_past(number_of(key), now)}
    gone = (over | past) - {own}
    stale = sorted(name for name in item if about.get(name) in gone or _is_superseded(item, name))
    if (surplus := len(item) - len(stale) - ATTRIBUTES_AT_MOST) > 0:
        stale += _oldest(set(item) - set(stale), own, sequence)[:surplus]
    return Tidying(tuple(stale[:REMOVED_AT_ONCE]), _changed(settled, map(number_of, gone & over), now), _sent(item, own))


def number_of(key: str) -> int:
    """The key of an outage in a few bytes: its moment, and of its incident's id what tells it from another of that moment."""
    moment, _, incident = key.partition("-")
    return int(moment) * 10**6 + int(incident, 16) % 10**6


def settled_in(item: Mapping[str, Any]) -> frozenset[int]:
    """The outages of which no more is known than that their end was sent."""
    return frozenset(map(int, item.get("settled", {}).get("NS", [])))


def _changed(settled: frozenset[int], more: Iterable[int], now: datetime) -> frozenset[int] | None:
    newest_first = sorted(settled.union(more), reverse=True)
    kept = frozenset(number for place, number in enumerate(newest_first) if place < AT_LEAST or not _is_past(number, now))
    return None if kept == settled else kept


def _sent(item: Mapping[str, Any], own: str) -> frozenset[int] | None:
    """The latest ones: of the others it is known that they are below the last."""
    sent = sorted(map(int, item.get(f"sent#{own}", {}).get("NS", [])))
    return frozenset(sent[-PLACES_AT_MOST // 2 :]) if len(sent) >= PLACES_AT_MOST else None


def _is_past(number: int, now: datetime) -> bool:
    return number < (now - REMEMBERED - EPOCH) // timedelta(microseconds=1) * 10**6


def _is_superseded(item: Mapping[str, Any], name: str) -> bool:
    """Whether an attribute is about a try of a message that a later one has made needless."""
    sequence = _sequence_in(name)
    return sequence is not None and sequence < _last(item, _key_in(name))


def _oldest(names: Iterable[str], own: str, sequence: int) -> list[str]:
    """The attributes about messages and outages other than that which has its turn."""
    found = ((_key_in(name), _sequence_in(name), name) for name in names if "#" in name)
    others = ((key, at or 0, name) for key, at, name in found if key != own or at not in {None, sequence})
    return [name for _, _, name in sorted(others)]


def _last(item: Mapping[str, Any], key: str) -> int:
    return int(item.get(f"last#{key}", {}).get("N", 0))


def _sequence_in(attribute: str) -> int | None:
    """The place of the message that an attribute is about, if it is about a single one."""
    return int(attribute.rpartition("#")[2]) if attribute.startswith(("tries#", "turn#")) else None


def _key_in(attribute: str) -> str:
    """The outage that an attribute is about, if it is about one."""
    _, _, rest = attribute.partition("#")
    return rest.partition("#")[0]
