"""From an API Gateway proxy event to a ping. Pure: the event brings the time and the id."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from core.contracts.heartbeat_keys import INLINE_BODY_LIMIT

USER_AGENT_LIMIT: Final = 200
LOWEST_STATUS: Final = -(2**31)
HIGHEST_STATUS: Final = 2**32 - 1
"""Exit statuses have 32 bits; systems print them with or without a sign."""

_TOKEN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_STATUS = re.compile(r"-?[0-9]{1,10}", re.ASCII)


class BadRequest(Exception):
    """The request is not a ping; the message says why."""


@dataclass(frozen=True, slots=True)
class Ping:
    """One ping as it was asked for. `ping_id` is the same for every replay of the same request; `pinged_at` is in epoch milliseconds."""

    heartbeat_id: str
    ping_id: str
    kind: str
    exit_status: int | None
    pinged_at: int
    method: str
    source_ip: str
    user_agent: str
    body: bytes
    body_size: int

    @property
    def body_truncated(self) -> bool:
        """Whether the body was longer than what is kept."""
        return self.body_size > len(self.body)


def parse(event: Mapping[str, Any], token: str, action: str | None, *, now_ms: int, new_id: str) -> Ping:
    """The ping that a proxy event asks for; `now_ms` and `new_id` are for an event without a time or an id of its own.

    Raises:
        BadRequest: the token is no UUID, or the action is not known.
    """
    if not _TOKEN.fullmatch(token):
        raise BadRequest("the ping URL needs the heartbeat's UUID")
    kind, exit_status = _kind(action)
    context = event["requestContext"]
    body = _body(event)
    return Ping(
        heartbeat_id=token.lower(),
        ping_id=_ping_id(str(context.get("requestId") or new_id)),
        kind=kind,
        exit_status=exit_status,
        pinged_at=int(context.get("requestTimeEpoch") or now_ms),
        method=str(context["httpMethod"]),
        source_ip=_plain(str(context.get("identity", {}).get("sourceIp") or "")),
        user_agent=_plain(_header(event, "user-agent"))[:USER_AGENT_LIMIT],
        body=body[:INLINE_BODY_LIMIT],
        body_size=len(body),
    )


def _kind(action: str | None) -> tuple[str, int | None]:
    """Kind and exit status of an action: `start`, `fail`, `log` or an exit status; none is success."""
    if action is None:
        return "success", None
    if action in {"start", "fail", "log"}:
        return action, None
    if not _STATUS.fullmatch(action) or not LOWEST_STATUS <= int(action) <= HIGHEST_STATUS:
        raise BadRequest("the action must be start, fail, log or an exit status of 32 bits")
    status = int(action)
    return ("fail" if status else "success"), status


def _ping_id(request_id: str) -> str:
    try:
        return str(UUID(request_id))
    except ValueError:
        return str(uuid5(NAMESPACE_URL, request_id))


def _body(event: Mapping[str, Any]) -> bytes:
    """The bytes of the body; whatever the sender made of encodings, they are kept and never an error."""
    raw = event.get("body") or ""
    if isinstance(raw, bytes):
        return raw
    text = str(raw)
    if event.get("isBase64Encoded"):
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return text.encode("utf-8", "replace")
    return text.encode("utf-8", "replace")


def _header(event: Mapping[str, Any], name: str) -> str:
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == name:
            return str(value)
    return ""


def _plain(text: str) -> str:
    """Text that JSON and PostgreSQL can hold: no NUL, no lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
