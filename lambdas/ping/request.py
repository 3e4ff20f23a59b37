"""From an API Gateway proxy event to a ping. Pure: the event brings the time and the id."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from core.contracts.heartbeat_keys import BODY_LIMIT
from lambdas.ping.address import Address, is_uuid

USER_AGENT_LIMIT: Final = 200

type Query = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Ping:
    """One ping as it was asked for. `ping_id` is the same for every replay of the same request; `pinged_at` is in epoch milliseconds.

    `body` is what is kept of it, `body_size` what was sent; `subject` is that of an e-mail.
    """

    ping_id: str
    kind: str
    exit_status: int | None
    pinged_at: int
    method: str
    source_ip: str
    user_agent: str
    body: bytes
    body_size: int
    rid: str | None = None
    subject: bytes | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it says no more than "done": then its words may say otherwise."""
        return self.kind == "success"


def parse(event: Mapping[str, Any], address: Address, *, now_ms: int, new_id: str) -> tuple[Ping, list[str]]:
    """The ping that a proxy event asks for, and what the client should be warned of.

    `now_ms` and `new_id` are for an event without a time or an id of its own. The address of the client is the one that API Gateway saw:
    anybody can write an X-Forwarded-For.
    """
    context = event["requestContext"]
    body = _body(event)
    rid, warnings = _rid(query(event))
    ping = Ping(
        ping_id=_ping_id(str(context.get("requestId") or new_id)),
        kind=address.kind,
        exit_status=address.exit_status,
        pinged_at=int(context.get("requestTimeEpoch") or now_ms),
        method=str(context["httpMethod"]),
        source_ip=plain(str(context.get("identity", {}).get("sourceIp") or "")),
        user_agent=plain(_header(event, "user-agent"))[:USER_AGENT_LIMIT],
        body=body[:BODY_LIMIT],
        body_size=len(body),
        rid=rid,
    )
    return ping, warnings


def query(event: Mapping[str, Any]) -> Query:
    """The query's values by name."""
    several: Query | None = event.get("multiValueQueryStringParameters")
    if several is not None:
        return several
    return {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}


def plain(text: str) -> str:
    """Text that JSON and PostgreSQL can hold: no NUL, no lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _rid(asked: Query) -> tuple[str | None, list[str]]:
    """The run id; one that is of no use costs no ping."""
    values = asked.get("rid")
    if not values:
        return None, []
    rid = values[0].lower()
    if len(values) > 1:
        return None, ["rid was given more than once and is ignored"]
    if not is_uuid(rid):
        return None, ["rid is no UUID and is ignored"]
    return rid, []


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
