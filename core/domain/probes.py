"""A check of a website as values: what is asked, and what came of it."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from core.domain.certificates import SeenChain
from core.domain.outcomes import Outcome, Reason
from core.domain.request_options import RequestOptions

DETAIL_LIMIT = 500
"""Characters of a detail text."""

type StatusRanges = tuple[range, ...]
"""Accepted status codes, e.g. `(range(200, 300), range(301, 302))`."""

_PART = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", re.ASCII)
_UNSTORABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class BadStatusRange(ValueError):
    """The list of accepted status codes cannot be read; the message names the bad part."""


class ProbeRequest(msgspec.Struct, frozen=True, gc=False):
    """One check to make. `timeout_ms` covers all of it: names, connections and every redirect. A plain check has no `options`.

    Its certificates are read when they are due; with `shows_certificate` they are read in any case, because somebody waits for them.
    """

    monitor_id: int
    url: str
    method: str
    timeout_ms: int
    accepted_status: StatusRanges
    follow_redirects: bool
    max_redirects: int
    verify_tls: bool
    options: RequestOptions | None = None
    shows_certificate: bool = False


class Hop(NamedTuple):
    """A URL that answered with a redirect that was followed."""

    url: str
    address: str | None
    status_code: int


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What came of one check. A struct, because every check makes one: a dataclass of so many fields takes five times as long.

    The times are microseconds, absent where that phase was not reached; over redirects a phase adds up. `first_byte_us` is the wait
    between the request and the first byte of its answer, `total_us` the whole check. `certificate_not_after` is of the last hop that
    was TLS, as read at most ten minutes earlier. `redirects` are the URLs that were followed, in order, and `hops` what sent the
    check there: the URL at `redirects[n]` was named by the answer of `hops[n]`. `is_downgraded` tells that one led from https to http.

    Everything else is of the last hop: `address` is what was connected to, `http_version` such as `1.1`, and `body_bytes` how much of the
    body was read, decoded if an assertion wanted it: reading stops at a limit.
    `certificate` is there when this check read it: the one of all hops that was refused, or ends first.
    """

    outcome: Outcome
    reason: Reason
    started_at: datetime
    status_code: int | None = None
    detail: str = ""
    dns_us: int | None = None
    connect_us: int | None = None
    tls_us: int | None = None
    first_byte_us: int | None = None
    total_us: int | None = None
    address: str | None = None
    redirects: tuple[str, ...] = ()
    hops: tuple[Hop, ...] = ()
    is_downgraded: bool = False
    certificate_not_after: datetime | None = None
    http_version: str | None = None
    body_bytes: int = 0
    certificate: SeenChain | None = None


@lru_cache(maxsize=1024)
def parse_accepted_status(text: str) -> StatusRanges:
    """Read codes and ranges such as `200-299,301`.

    Raises:
        BadStatusRange: the message names the part that cannot be read.
    """
    return tuple(_range(part.strip()) for part in text.split(","))


def _range(part: str) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        raise BadStatusRange(f"{part!r} is not a status code (100 to 599) or a range such as 200-299")
    low, high = int(match[1]), int(match[2] or match[1])
    if high < low:
        raise BadStatusRange(f"{part!r} ends before it begins")
    return range(low, high + 1)


def is_accepted(status_code: int, accepted: Sequence[range]) -> bool:
    """Whether the status code lies in one of the ranges."""
    return any(status_code in codes for codes in accepted)


def clean_text(text: str | bytes, limit: int = DETAIL_LIMIT) -> str:
    """Text from a stranger made fit for PostgreSQL, JSON and a terminal: no control characters, valid Unicode, `limit` characters."""
    if isinstance(text, bytes):
        text = text[: limit * 4].decode(errors="replace")
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text[: limit * 4])[:limit]
