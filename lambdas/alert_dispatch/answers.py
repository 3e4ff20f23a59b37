"""What services say in the bodies of their answers: untrusted, bounded, never an error of ours. Pure."""

import math
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from core.contracts.lines import one_line

WORDS_LIMIT: Final = 120


def json_fields(body: bytes) -> dict[str, Any]:
    """The members of a JSON object; none where the body is anything else."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def words(said: object) -> str:
    """A text that a service gave as its reason, as one short line; empty where it gave none."""
    return one_line(said)[:WORDS_LIMIT] if isinstance(said, str) else ""


def hidden(said: str, secrets: Iterable[str]) -> str:
    """What was said, without these: services repeat what they refuse, and it is read by more people than may know it."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        said = re.sub(re.escape(secret), "…", said, flags=re.IGNORECASE)
    return said


def whole_seconds(number: object) -> str:
    """Seconds that a service asks to wait, as a Retry-After header has them; empty where it is no usable number."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
        return ""
    return str(math.ceil(number))
