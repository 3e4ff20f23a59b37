"""What a registry says about a domain (RDAP, RFC 9083), and when it is asked again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from core.domain.probes import clean_text

ASK_EVERY: Final = timedelta(days=1)
FIRST_RETRY: Final = timedelta(hours=1)
JITTER_SHARE: Final = 0.1
LEAST_PAUSE: Final = timedelta(minutes=1)
USUAL_PAUSE: Final = timedelta(hours=1)
NAME_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class Registration:
    """The end of a registration, and with whom it was made ("" where the registry does not say)."""

    ends_at: datetime
    registrar: str


class NoRegistration(ValueError):
    """The answer does not say when the registration ends; the message says why, for people."""


def read_registration(answer: Any) -> Registration:
    """Read the JSON of an answer about a domain.

    Raises:
        NoRegistration: it is no such answer, or says no end.
    """
    if not isinstance(answer, Mapping):
        raise NoRegistration("the answer is not about a domain")
    ends = [moment for event in _objects(answer.get("events")) if (moment := _end(event))]
    if not ends:
        raise NoRegistration("the registry does not say when the registration ends")
    return Registration(min(ends), next(_registrars(answer), ""))


def next_asked_at(now: datetime, failures: int, draw: float) -> datetime:
    """When to ask again after an answer (`failures` is 0) or after so many failures in a row; `draw` is a random number in `[0, 1)`."""
    wait = ASK_EVERY if failures == 0 else min(FIRST_RETRY * 2 ** min(failures - 1, 10), ASK_EVERY)
    return now + wait * (1 + JITTER_SHARE * draw)


def paused_until(retry_after: str | None, now: datetime) -> datetime:
    """Until when a registry that answered 429 is left alone, by its `Retry-After` (seconds or a date), between a minute and a day."""
    return now + min(max(_wanted_pause(retry_after or "", now), LEAST_PAUSE), ASK_EVERY)


def _wanted_pause(retry_after: str, now: datetime) -> timedelta:
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=min(int(retry_after[:12]), ASK_EVERY.total_seconds()))
    try:
        at = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return USUAL_PAUSE
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now


def _end(event: Mapping[str, Any]) -> datetime | None:
    if str(event.get("eventAction")).lower() != "expiration":
        return None
    try:
        at = datetime.fromisoformat(str(event.get("eventDate")))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _registrars(answer: Mapping[str, Any]) -> Iterator[str]:
    """Full names (`fn`) from the jCards (RFC 7095) of those entities that are the registrar."""
    for entity in _objects(answer.get("entities")):
        card = entity.get("vcardArray")
        if "registrar" not in _list(entity.get("roles")) or len(_list(card)) < 2:  # noqa: PLR2004  (the word vcard, then its properties)
            continue
        for entry in _list(_list(card)[1]):
            if _list(entry)[:1] == ["fn"] and isinstance(_list(entry)[-1], str):
                yield clean_text(_list(entry)[-1], NAME_LIMIT)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in _list(value) if isinstance(item, Mapping)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
