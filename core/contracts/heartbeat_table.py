"""The items of the heartbeat table as PynamoDB models; `core.contracts.heartbeat_keys` explains the layout.

The ping Lambda writes the same attributes without PynamoDB (it costs a quarter of its CPU budget); an integration test reads back through
these models what the Lambda wrote.
"""

from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.models import Model

from core.contracts.heartbeat_keys import STATE_SORT_KEY


class _Table:
    """Filled in by `bind_table`; PynamoDB reads it as `Model.Meta`."""

    table_name = "unbound"
    region: str | None = None
    billing_mode = "PAY_PER_REQUEST"
    connect_timeout_seconds = 1.0
    read_timeout_seconds = 2.0
    max_retry_attempts = 2


class HeartbeatItem(Model):
    """A heartbeat as the edge knows it. Times are epoch milliseconds; absent means never.

    `last_start_*` is the latest start without a run id, `last_end_sequence` the latest success or fail without one. Where that is absent,
    any success or fail has ended the run without an id, and none has ended one with an id. Open runs with an id are attributes of
    their own (`heartbeat_keys.run_attribute`). `post_only` and `filters` (JSON, `core.contracts.ping_filters`) are options. `creation` is
    there while the core does not know yet a heartbeat that a ping created (JSON, `events.HeartbeatCreation`). The pings since `window_at`
    are those above `window_sequence`. `touched_*` is the latest of a kind that was one too many: it counts as life and is not kept.
    """

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
    last_end_sequence = NumberAttribute(null=True)
    touched_success_at = NumberAttribute(null=True)
    touched_success_sequence = NumberAttribute(null=True)
    touched_fail_at = NumberAttribute(null=True)
    touched_fail_sequence = NumberAttribute(null=True)
    touched_start_at = NumberAttribute(null=True)
    touched_start_sequence = NumberAttribute(null=True)
    slug = UnicodeAttribute(null=True)
    post_only = BooleanAttribute(null=True)
    filters = UnicodeAttribute(null=True)
    creation = UnicodeAttribute(null=True)
    window_at = NumberAttribute(null=True)
    window_sequence = NumberAttribute(null=True)


class PingItem(Model):
    """One ping with the bytes of its body (at most `INLINE_BODY_LIMIT`), or the `body_key` of a larger one in S3.

    `body_lost` says that S3 did not take it: then its beginning is here. `expires_at` is the TTL, in epoch seconds.
    """

    class Meta(_Table):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    sequence = NumberAttribute()
    kind = UnicodeAttribute()
    exit_status = NumberAttribute(null=True)
    pinged_at = NumberAttribute()
    method = UnicodeAttribute()
    source_ip = UnicodeAttribute(default="")
    user_agent = UnicodeAttribute(default="")
    body = BinaryAttribute(null=True, legacy_encoding=False)
    body_size = NumberAttribute(default=0)
    body_truncated = BooleanAttribute(default=False)
    body_key = UnicodeAttribute(null=True)
    body_lost = BooleanAttribute(null=True)
    rid = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()


class PendingItem(Model):
    """Marks a ping that the core has not stored yet. `detail` is the HeartbeatPinged event to publish again, not before `sweep_at`."""

    class Meta(_Table):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    pinged_at = NumberAttribute()
    detail = UnicodeAttribute()
    sweep_at = NumberAttribute(null=True)
    expires_at = NumberAttribute()


class SlugItem(Model):
    """Which heartbeat has a name in the ping URLs of its workspace."""

    class Meta(_Table):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    heartbeat_id = UnicodeAttribute()


class PingKeyItem(Model):
    """Which workspace has a ping key. One that was replaced is good until `valid_until` (epoch milliseconds) and goes by its TTL.

    `created` heartbeats were created with it on the day `created_day` (days since 1970, UTC).
    """

    class Meta(_Table):
        pass

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    workspace_id = UnicodeAttribute()
    valid_until = NumberAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    created_day = NumberAttribute(null=True)
    created = NumberAttribute(null=True)


def bind_table(table_name: str, region: str) -> None:
    """Point the models at the table of this environment. Call once, before their first use."""
    for model in (HeartbeatItem, PingItem, PendingItem, SlugItem, PingKeyItem):
        model.Meta.table_name = table_name
        model.Meta.region = region
