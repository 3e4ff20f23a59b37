"""The heartbeat table in DynamoDB: the durable truth about pings. Its layout, without any library: the ping Lambda reads only this.

One table, five kinds of item, told apart by their keys (`core.contracts.heartbeat_table` has their attributes):

| partition key `pk` | sort key `sk` | what |
|---|---|---|
| heartbeat id | `state` | HeartbeatItem: says that the heartbeat exists, its latest ping of each kind, and its open runs |
| heartbeat id | `ping#<ping id>` | PingItem: one ping with its body, gone after its TTL |
| `pending#<shard>` | ping id | PendingItem: marks a ping that the core has not stored yet; deleted by the inbox, swept when old |
| `slugs#<workspace id>` | slug | SlugItem: which heartbeat has this name in ping URLs |
| `key#<ping key>` | `key` | PingKeyItem: which workspace has this ping key, until when, and what was created with it |

The ping Lambda takes the next `sequence` with an atomic ADD (so concurrent pings never conflict there), then writes state, ping and
pending marker in one transaction, and only then answers. A sequence whose transaction failed stays a gap. A ping's item is keyed
by its id and written only if it is not there: that is what makes a replayed request the same ping.
"""

from typing import Final

STATE_SORT_KEY: Final = "state"
PENDING_SHARDS: Final = 16
INLINE_BODY_LIMIT: Final = 10 * 1024
"""Bytes of a ping's body that are kept in its item."""

BODY_LIMIT: Final = 1024 * 1024
"""Bytes of a ping's body that are kept at all; those beyond `INLINE_BODY_LIMIT` in S3."""

MOST_RUNS: Final = 100
"""Open runs with a run id that a heartbeat's item keeps; of more, those that started last."""

RUN_PREFIX: Final = "run#"
KEY_SORT_KEY: Final = "key"


def run_attribute(rid: str) -> str:
    """Attribute of a heartbeat's item that says that the run with this id (a lower-case UUID) is open: `{"at": epoch ms, "sequence": n}`.

    It has `"touched": true` where the start was one too many, which is not kept. A start with a run id sets it, a success or fail with
    that id removes it. One without a run id ends whatever started before it.
    """
    return f"{RUN_PREFIX}{rid}"


def slugs_partition(workspace_id: str) -> str:
    """Partition of a workspace's slugs."""
    return f"slugs#{workspace_id}"


def key_partition(ping_key: str) -> str:
    """Partition of a ping key's item."""
    return f"key#{ping_key}"


def body_key(heartbeat_id: str, ping_id: str) -> str:
    """Name in S3 of a body that is too large for its item."""
    return f"{heartbeat_id}/{ping_id}"


def ping_sort_key(ping_id: str) -> str:
    """Sort key of a ping's item."""
    return f"ping#{ping_id}"


def pending_partition(ping_id: str) -> str:
    """Partition of the pending marker: the last byte of the id is random in every UUID version that we use."""
    return f"pending#{int(ping_id[-2:], 16) % PENDING_SHARDS:02d}"


def pending_partitions() -> list[str]:
    """Every partition that pending markers can be in."""
    return [f"pending#{shard:02d}" for shard in range(PENDING_SHARDS)]
