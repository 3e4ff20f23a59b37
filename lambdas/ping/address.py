"""What a ping URL names: a heartbeat, and what its ping says. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from core.contracts.slugs import ACTIONS, SLUG_RULE, is_ping_key, is_slug

LOWEST_STATUS: Final = -(2**31)
HIGHEST_STATUS: Final = 2**32 - 1
"""Exit statuses have 32 bits; systems print them with or without a sign."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_STATUS = re.compile(r"-?[0-9]{1,10}", re.ASCII)


class BadRequest(Exception):
    """The request is not a ping; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """A heartbeat by its id, or by ping key and slug; and what the ping says."""

    kind: str = "success"
    exit_status: int | None = None
    heartbeat_id: str = ""
    ping_key: str = ""
    slug: str = ""


def read(token: str, name: str | None, action: str | None) -> Address:
    """The address that `/ping/{token}/{name}/{action}` is; upper case means the same as lower case.

    Raises:
        BadRequest: it is none.
    """
    token = token.lower()
    if is_uuid(token):
        if action is not None:
            raise BadRequest("nothing may follow the action in a ping URL with a UUID")
        return Address(*_said(name), heartbeat_id=token)
    if not is_ping_key(token):
        raise BadRequest("the ping URL needs the heartbeat's UUID, or a ping key and a slug")
    if name is None:
        raise BadRequest("the ping URL needs a slug behind the ping key")
    slug = name.lower()
    if not is_slug(slug):
        raise BadRequest(f"the slug {SLUG_RULE}")
    return Address(*_said(action), ping_key=token, slug=slug)


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in lower case, with its dashes."""
    return bool(_UUID.fullmatch(text))


def _said(action: str | None) -> tuple[str, int | None]:
    """Kind and exit status of an action: `start`, `fail`, `log` or an exit status; none is success."""
    if action is None:
        return "success", None
    if action in ACTIONS:
        return action, None
    if not _STATUS.fullmatch(action) or not LOWEST_STATUS <= int(action) <= HIGHEST_STATUS:
        raise BadRequest("the action must be start, fail, log or an exit status of 32 bits")
    status = int(action)
    return ("fail" if status else "success"), status
