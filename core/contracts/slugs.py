"""Names in ping URLs: which there may be, and what a heartbeat's name makes of one. The API and the ping Lambda must agree."""

import re
import unicodedata
from typing import Final

SLUG_LIMIT: Final = 64
ACTIONS: Final = frozenset({"start", "fail", "log"})
"""What may stand behind the name in a ping URL, beside an exit status; no name may look like it."""

SLUG_RULE: Final = "must have 1 to 64 of a-z, 0-9, _ and -, and not be start, fail, log or a number"

_SLUG = re.compile(rf"[a-z0-9_-]{{1,{SLUG_LIMIT}}}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)
_PING_KEY = re.compile(r"[0-9a-z]{16,64}", re.ASCII)
_OTHER = re.compile(r"[^a-z0-9_]+", re.ASCII)


def is_slug(text: str) -> bool:
    """Whether a heartbeat may be named so in URLs."""
    return bool(_SLUG.fullmatch(text)) and text not in ACTIONS and not _NUMBER.fullmatch(text)


def is_ping_key(text: str) -> bool:
    """Whether this may be the ping key of a workspace: no UUID with its dashes is."""
    return bool(_PING_KEY.fullmatch(text))


def slug_from(name: str, *, taken: frozenset[str] | set[str] = frozenset()) -> str:
    """The slug that a name makes, e.g. `nightly-backup` of `Nightly backup`; with a number behind it where it is taken."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = _OTHER.sub("-", plain).strip("-")[:SLUG_LIMIT].strip("-")
    if not is_slug(base):
        base = f"heartbeat-{base}".strip("-")[:SLUG_LIMIT]
    found, number = base, 1
    while found in taken:
        number += 1
        found = f"{base[: SLUG_LIMIT - 12]}-{number}"
    return found
