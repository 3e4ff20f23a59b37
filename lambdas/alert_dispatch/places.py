"""Where messages stand among those that a channel hears, and what an item of the dispatch table says about that. Pure.

Messages about the outages of one monitor are one story, each outage after the one before. Everything else is a story by its order key.
A story has one item for each channel:

- `in_flight_token` and `in_flight_until`: the lease of whoever is sending now;
- `sent#…` the places of an outage that were sent, `last#…` the highest of them, and `unsure#…` those that may have arrived: their sender
  was killed or had no answer, `unsure_up_to#…` the highest of these;
- `turn#…#place`: when a message may be sent that found no token in its target's bucket, and `tries#…#place`, how often it was tried:
  a queue counts what came only to wait as well;
- `latest`: the latest outage that a message was to be sent about, with `latest_began`; `ended` and `ended_at` of one whose end was;
- `settled`: a number for each outage whose end was sent, of which no more need be known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from core.contracts.events import RECOVERY_SEQUENCE, AlertRequested
from lambdas.alert_dispatch.tidying import EPOCH, NOTHING_TO_TIDY, Tidying, number_of, settled_in, tidying

SUPERSEDABLE: Final = frozenset({"down", "escalated", "reminder", "acknowledged", "unacknowledged", "flapping", "group"})
"""Messages about an outage that is under way: each later one, and the recovery above all, tells the whole story of it; as does a later
message of a group. Every other notice says something that no later one repeats."""

PASSING: Final = frozenset({"flapping"})
"""Messages that say how a monitor is and nothing that is worth telling later: news of a later outage tells their story as well."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage of a monitor. `ended_at` is known to the message about its end."""

    id: UUID
    began_at: datetime
    opened_at: datetime
    ended_at: datetime | None = None

    @property
    def key(self) -> str:
        """Its name in an item. Outages of a monitor follow each other as their keys do; two that one moment opened, as their ids do."""
        return f"{(self.opened_at - EPOCH) // timedelta(microseconds=1):016d}-{self.id.hex}"

    @property
    def number(self) -> int:
        """Its key in a few bytes."""
        return number_of(self.key)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands in its story. `supersedable`: a later one of its outage tells its story as well, and is not followed by it."""

    story: UUID
    channel_id: UUID
    sequence: int
    supersedable: bool
    outage: Outage | None = None

    @property
    def item_id(self) -> str:
        """Key of the item in the dispatch table."""
        return f"order#{self.story}#{self.channel_id}"

    @property
    def key(self) -> str:
        """What the names of attributes end with that are about the outage; empty where the story has no outages."""
        return self.outage.key if self.outage else ""


def place_of(data: AlertRequested) -> Place:
    """The place of a message."""
    supersedable = data.alert_type in SUPERSEDABLE
    monitor, incident = data.monitor, data.incident
    if monitor is None or incident is None:
        return Place(data.order_key, data.channel_id, data.sequence, supersedable)
    outage = Outage(incident.id, incident.began_at, incident.opened_at, incident.resolved_at)
    return Place(monitor.id, data.channel_id, data.sequence, supersedable, outage)


@dataclass(frozen=True, slots=True)
class Newer:
    """The latest outage of a monitor, for a message about an earlier one that comes late. `ended_at`, if its end was to be told as well."""

    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """Ours to send, until the lease ends. `last_sequence` is the highest of its outage that was sent before.

    `turn_at` is the time that was kept for this message, if it had to wait for one; `tries` how often it was tried before. `doubtful` are
    the places of its outage that may have arrived, this one among them if one of those tries may. `newer`: it comes after news of a later
    outage. Whoever gives the lease back does the `tidying`.
    """

    token: str
    last_sequence: int = 0
    turn_at: datetime | None = None
    tries: int = 0
    doubtful: frozenset[int] = frozenset()
    newer: Newer | None = None
    tidying: Tidying = NOTHING_TO_TIDY


@dataclass(frozen=True, slots=True)
class AlreadySent:
    """This very message was sent by an attempt whose receipt may have been lost."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A later message has told the story."""

    by: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Another message is in flight, or one that tells the story of this one may have arrived."""


type Turn = Claimed | AlreadySent | Superseded | Wait


def claim_of(item: Mapping[str, Any], place: Place, token: str, now: datetime) -> Claimed:
    """What whoever claimed a place has to know, from the item as it was before."""
    return Claimed(
        token,
        _number(item, f"last#{place.key}"),
        turn_at=_time(item, f"turn#{place.key}#{place.sequence}"),
        tries=_number(item, f"tries#{place.key}#{place.sequence}"),
        doubtful=doubtful(item, place),
        newer=newer(item, place),
        tidying=tidying(item, place.key, place.sequence, now),
    )


def claim_made_before(item: Mapping[str, Any], place: Place, token: str, now: datetime) -> Claimed | None:
    """The lease that this very claim has taken already: its answer was lost on the way, and the request was made again.

    What the item said before is gone with that answer: a turn has to be taken anew, and any earlier try may have arrived.
    """
    if item.get("in_flight_token", {}).get("S") != token:
        return None
    tries = _number(item, f"tries#{place.key}#{place.sequence}") - 1
    others = doubtful(item, place) - {place.sequence}
    return Claimed(
        token,
        _number(item, f"last#{place.key}"),
        tries=tries,
        doubtful=others | {place.sequence} if tries else others,
        newer=newer(item, place),
        tidying=tidying(item, place.key, place.sequence, now),
    )


def refused(item: Mapping[str, Any], place: Place) -> Turn:
    """Why a claim was refused, from the item as it is."""
    if is_sent(item, place):
        return AlreadySent()
    last = RECOVERY_SEQUENCE if _is_settled(item, place) else _number(item, f"last#{place.key}")
    if place.supersedable and last > place.sequence:
        return Superseded(last)
    if place.supersedable and last and is_late(item, place):
        return Superseded(_number(item, f"last#{item['latest']['S']}") or 1)
    return Wait()


def is_sent(item: Mapping[str, Any], place: Place) -> bool:
    """Whether this very message was sent."""
    if _is_settled(item, place):
        return place.sequence == RECOVERY_SEQUENCE
    return str(place.sequence) in item.get(f"sent#{place.key}", {}).get("NS", [])


def is_late(item: Mapping[str, Any], place: Place) -> bool:
    """Whether a message about a later outage was to be sent before."""
    return bool(place.key) and str(item.get("latest", {}).get("S", "")) > place.key


def newer(item: Mapping[str, Any], place: Place) -> Newer | None:
    """What is known of the later outage."""
    if not is_late(item, place):
        return None
    over = item.get("ended") == item["latest"]
    return Newer(_time(item, "latest_began") or EPOCH, _time(item, "ended_at") if over else None)


def doubtful(item: Mapping[str, Any], place: Place) -> frozenset[int]:
    """The places of the outage that may have arrived."""
    return frozenset(map(int, item.get(f"unsure#{place.key}", {}).get("NS", [])))


def _is_settled(item: Mapping[str, Any], place: Place) -> bool:
    return place.outage is not None and place.outage.number in settled_in(item)


def millis(at: datetime) -> str:
    """A time as an item has it."""
    return str((at - EPOCH) // timedelta(milliseconds=1))


def numbers(places: Iterable[int]) -> list[str]:
    """Places as a set of an item has them."""
    return [str(place) for place in sorted(places)]


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item.get(name, {}).get("N", 0))


def _time(item: Mapping[str, Any], name: str) -> datetime | None:
    found = item.get(name)
    return EPOCH + timedelta(milliseconds=int(found["N"])) if found else None
