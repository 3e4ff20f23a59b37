"""The DynamoDB tables of one environment: the same on AWS and on one box."""

from dataclasses import dataclass
from typing import Any, Final

from core.contracts.channel_vault import ChannelVersion
from core.contracts.heartbeat_table import HeartbeatItem
from core.contracts.names import Names

DISPATCH_KEY: Final = "id"
DISPATCH_TTL: Final = "expiration"
HEARTBEATS_TTL: Final = "expires_at"


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute of a primary key; `type` is `S` or `N`."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table, its partition key and sort key, and the attribute that says when an item ends (epoch seconds)."""

    name: str
    partition: Key
    sort: Key | None = None
    ttl: str | None = None


def tables(names: Names) -> tuple[Table, ...]:
    """The three tables; keys come from the models, so they cannot differ from what is written."""
    return (
        _table(names.heartbeats_table, HeartbeatItem, HEARTBEATS_TTL),
        _table(names.channel_vault_table, ChannelVersion),
        Table(names.dispatch_table, Key(DISPATCH_KEY, "S"), ttl=DISPATCH_TTL),
    )


def _table(name: str, model: Any, ttl: str | None = None) -> Table:
    """A table with the two keys of a PynamoDB model."""
    keys = [attribute for attribute in model.get_attributes().values() if attribute.is_hash_key or attribute.is_range_key]
    keys.sort(key=lambda attribute: not attribute.is_hash_key)
    partition, sort = (Key(key.attr_name, key.attr_type) for key in keys)
    return Table(name, partition, sort, ttl)
