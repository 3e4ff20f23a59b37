"""The options of a heartbeat that its first ping creates, from the query of `?create=1`. Pure."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from lambdas.ping.address import BadRequest
from lambdas.ping.request import Query, plain

CREATE: Final = "create"
NAMES: Final = ("period", "grace", "tags", "schedule", "tz")
KNOWN: Final = frozenset({CREATE, "rid", *NAMES})
YEAR_S: Final = 365 * 86_400
TAGS: Final = 20
TAG_LENGTH: Final = 50

_DURATION = re.compile(r"([0-9]{1,9})([smhdw]?)", re.ASCII)
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


@dataclass(frozen=True, slots=True)
class Options:
    """What `core.contracts.events.HeartbeatCreation` carries."""

    slug: str
    tags: list[str]
    period_s: int = 86_400
    grace_s: int = 3_600
    schedule: str = ""
    time_zone: str = "UTC"

    def dump(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), separators=(",", ":"))


def wanted(query: Query) -> bool:
    """Whether a ping may create its heartbeat."""
    return query.get(CREATE) == ["1"]


def refuse_another_word(query: Query) -> None:
    """Where nothing is created although `create` is there, whoever wrote it should hear why.

    Raises:
        BadRequest: it says something else than 1.
    """
    if CREATE in query:
        raise BadRequest("create must be 1, given once")


def given(query: Query) -> bool:
    """Whether there are any options."""
    return any(name in query for name in NAMES)


def read(query: Query, slug: str, now: datetime) -> Options:
    """The options of a new heartbeat; what is not given is as in the API. A schedule must have a time after `now`.

    Raises:
        BadRequest: one is not usable; the message names it.
    """
    if strangers := sorted(query.keys() - KNOWN):
        raise BadRequest(f"{plain(strangers[0])[:40]!r} is no option of create; known: {', '.join(NAMES)}")
    values = {name: _single(query, name) for name in NAMES}
    if values["schedule"] is not None and values["period"] is not None:
        raise BadRequest("schedule and period cannot be given together")
    _check_schedule(values["schedule"], values["tz"], now)
    return Options(
        slug=slug,
        tags=_tags(values["tags"]),
        period_s=_seconds("period", values["period"], 10, 86_400),
        grace_s=_seconds("grace", values["grace"], 1, 3_600),
        schedule=values["schedule"] or "",
        time_zone=values["tz"] or "UTC",
    )


def _check_schedule(schedule: str | None, zone: str | None, now: datetime) -> None:
    if schedule is None and zone is None:
        return
    from lambdas.ping.schedules import check, check_zone  # noqa: PLC0415  (few pings need it, and it costs a tenth of the cold start)

    if zone is not None:
        check_zone(zone)
    if schedule is not None:
        check(schedule, now)


def _single(query: Query, name: str) -> str | None:
    values = query.get(name)
    if not values:
        return None
    if len(values) > 1:
        raise BadRequest(f"{name} was given more than once")
    return plain(values[0])


def _seconds(name: str, text: str | None, least: int, default: int) -> int:
    if text is None:
        return default
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not least <= seconds <= YEAR_S:
        raise BadRequest(f"{name} must be {least} seconds to 365 days, e.g. 90, 5m, 12h or 1d")
    return seconds


def _tags(text: str | None) -> list[str]:
    tags = list(dict.fromkeys(tag.strip() for tag in (text or "").split(",") if tag.strip()))
    if len(tags) > TAGS or any(len(tag) > TAG_LENGTH for tag in tags):
        raise BadRequest(f"tags must be at most {TAGS} of at most {TAG_LENGTH} characters, with commas between them")
    return tags
