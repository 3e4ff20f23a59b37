"""The heartbeat table in DynamoDB: the durable truth about pings.

One table, three kinds of item, told apart by their sort key:

| partition key `pk` | sort key `sk` | what |
|---|---|---|
| heartbeat id | `state` | HeartbeatItem: projection of the heartbeat's settings, and the latest ping of each kind |
| heartbeat id | `ping#<sequence, 12 digits>` | PingItem: one ping with its body, gone after its TTL |
| `pending#<shard>` | ping id | PendingItem: marks a ping that the core has not stored yet; deleted by the inbox, swept when old |

The ping Lambda takes the next `sequence` with an atomic ADD (so concurrent pings never conflict), then writes state, ping and
pending marker in one transaction, and only then answers. A sequence whose transaction failed stays a gap.
"""

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.models import Model

STATE_SORT_KEY = "state"
PENDING_SHARDS = 16
INLINE_BODY_LIMIT = 10 * 1024
"""Bytes of a ping's body that are kept in its item."""


def ping_sort_key(sequence: int) -> str:
    """Sort key of a ping; lexical order is numeric order up to 10**12 pings."""
    return f"ping#{sequence:012d}"


def pending_partition(ping_id: str) -> str:
    """Partition of the pending marker: the last byte of the id is random in every UUID version that we use."""
    return f"pending#{int(ping_id[-2:], 16) % PENDING_SHARDS:02d}"


class _Table:
    """Filled in by `bind_table`; PynamoDB reads it as `Model.Meta`."""

    table_name = "unbound"
    region: str | None = None
    billing_mode = "PAY_PER_REQUEST"
    connect_timeout_seconds = 1.0
    read_timeout_seconds = 2.0
    max_retry_attempts = 2


class HeartbeatItem(Model):
    """A heartbeat as the edge knows it. Times are epoch milliseconds; absent means never."""

    class Meta(_Table):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default=STATE_SORT_KEY)
    workspace_id = UnicodeAttribute()
    config_version = NumberAttribute(default=1)
    sequence = NumberAttribute(default=0)
    last_success_at = NumberAttribute(null=True)
    last_success_sequence = NumberAttribute(null=True)
    last_fail_at = NumberAttribute(null=True)
    last_fail_sequence = NumberAttribute(null=True)
    last_start_at = NumberAttribute(null=True)
    last_start_sequence = NumberAttribute(null=True)


class PingItem(Model):
    """One ping with the bytes of its body (at most `INLINE_BODY_LIMIT`). `expires_at` is the TTL, in epoch seconds."""

    class Meta(_Table):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    ping_id = UnicodeAttribute()
    kind = UnicodeAttribute()
    exit_status = NumberAttribute(null=True)
    pinged_at = NumberAttribute()
    method = UnicodeAttribute()
    source_ip = UnicodeAttribute(default="")
    user_agent = UnicodeAttribute(default="")
    body = BinaryAttribute(null=True, legacy_encoding=False)
    body_size = NumberAttribute(default=0)
    body_truncated = BooleanAttribute(default=False)
    expires_at = NumberAttribute()


class PendingItem(Model):
    """Marks a ping that the core has not stored yet. `detail` is the HeartbeatPinged event to publish again."""

    class Meta(_Table):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    pinged_at = NumberAttribute()
    detail = UnicodeAttribute()
    expires_at = NumberAttribute()


def bind_table(table_name: str, region: str) -> None:
    """Point the three models at the table of this environment. Call once, before their first use."""
    for model in (HeartbeatItem, PingItem, PendingItem):
        model.Meta.table_name = table_name
        model.Meta.region = region
