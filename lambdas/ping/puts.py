"""The items that a ping puts into the table: itself, and the mark that the core has yet to store it. Pure."""

from base64 import b64encode
from typing import Any, Final

from core.contracts.heartbeat_keys import pending_partition, ping_sort_key
from lambdas.ping.bodies import Kept
from lambdas.ping.item import Item
from lambdas.ping.request import Ping

PING_RETENTION_S: Final = 90 * 24 * 3600

type Part = dict[str, Any]


def puts(table: str, item: Item, ping: Ping, kept: Kept, event: str) -> list[Part]:
    """Parts of a transaction; the ping's own is the first one, on condition that it is not there."""
    expires_at = {"N": str(ping.pinged_at // 1000 + PING_RETENTION_S)}
    row: dict[str, Any] = {
        "pk": {"S": item.heartbeat_id},
        "sk": {"S": ping_sort_key(ping.ping_id)},
        "sequence": {"N": str(item.sequence)},
        "kind": {"S": ping.kind},
        "pinged_at": {"N": str(ping.pinged_at)},
        "method": {"S": ping.method},
        "source_ip": {"S": ping.source_ip},
        "user_agent": {"S": ping.user_agent},
        "body_size": {"N": str(ping.body_size)},
        "body_truncated": {"BOOL": kept.truncated},
        "expires_at": expires_at,
        **_optional(ping, kept),
    }
    pending = {
        "pk": {"S": pending_partition(ping.ping_id)},
        "sk": {"S": ping.ping_id},
        "pinged_at": {"N": str(ping.pinged_at)},
        "detail": {"S": event},
        "expires_at": expires_at,
    }
    return [
        {"Put": {"TableName": table, "Item": row, "ConditionExpression": "attribute_not_exists(pk)"}},
        {"Put": {"TableName": table, "Item": pending}},
    ]


def _optional(ping: Ping, kept: Kept) -> dict[str, Any]:
    """The attributes that not every ping has."""
    found: dict[str, Any] = {}
    if ping.exit_status is not None:
        found["exit_status"] = {"N": str(ping.exit_status)}
    if ping.rid:
        found["rid"] = {"S": ping.rid}
    if kept.inline:
        found["body"] = {"B": b64encode(kept.inline).decode()}
    if kept.key:
        found["body_key"] = {"S": kept.key}
    if kept.lost:
        found["body_lost"] = {"BOOL": True}
    return found
