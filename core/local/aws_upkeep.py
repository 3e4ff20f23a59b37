"""Keeps the AWS stand-in small: moto never forgets by itself, and all of it is memory.

| what | goes when |
|---|---|
| items with a time to live | it has passed, as on AWS (moto stores the setting only) |
| ping items | the core has stored them, they are older than `PING_AGE_S` and not among the newest `KEPT_PINGS` of their heartbeat |
| large bodies of pings | the item of their ping is gone |
| receipt handles of deleted messages | there are more than `KEPT_HANDLES` in a queue |
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from moto import backends
from moto.dynamodb.models.dynamo_type import DynamoType

from core.contracts.heartbeat_keys import pending_partition, ping_sort_key
from core.contracts.names import Names
from core.local.aws_moto import STATE
from core.local.lambda_context import ACCOUNT
from core.logs import get_logger

PAUSE_S: Final = 60.0
KEPT_PINGS: Final = 100
PING_AGE_S: Final = 3600
KEPT_HANDLES: Final = 10_000
PING_PREFIX: Final = ping_sort_key("")

_log = get_logger(__name__)


def tidy_until(stop: threading.Event, region: str, names: Names, now: Callable[[], float] = time.time) -> None:
    """Tidy up every minute until `stop` is set."""
    while not stop.wait(PAUSE_S):
        began = time.perf_counter()
        removed = tidy(region, names, now())
        if removed:
            _log.info("aws.tidied", removed=removed, duration_ms=round((time.perf_counter() - began) * 1000, 1))


def tidy(region: str, names: Names, now_s: float) -> int:
    """Remove what has had its time; returns how many items went."""
    heartbeats_table = names.heartbeats_table
    with STATE:
        tables: dict[str, Any] = backends.get_backend("dynamodb")[ACCOUNT][region].tables
        removed = sum(_remove(table, _expired(table, now_s)) for table in tables.values())
        removed += _remove(tables[heartbeats_table], _surplus_pings(tables[heartbeats_table], now_s))
        removed += _remove_bodies(names.ping_bodies_bucket, tables[heartbeats_table])
        for queue in backends.get_backend("sqs")[ACCOUNT][region].queues.values():
            if len(queue.deleted_messages) > KEPT_HANDLES:
                queue.deleted_messages.clear()
        return removed


def _remove_bodies(bucket: str, table: Any) -> int:
    s3: Any = backends.get_backend("s3")[ACCOUNT]["aws"]
    lost = [key for key in s3.buckets[bucket].keys if not _has_item(table, key)]
    for key in lost:
        s3.delete_object(bucket, key)
    return len(lost)


def _has_item(table: Any, key: str) -> bool:
    heartbeat_id, _, ping_id = key.partition("/")
    return table.get_item(DynamoType({"S": heartbeat_id}), DynamoType({"S": ping_sort_key(ping_id)})) is not None


def _remove(table: Any, items: Iterable[tuple[Any, Any]]) -> int:
    keys = list(items)
    for hash_key, range_key in keys:
        table.delete_item(hash_key, range_key)
    return len(keys)


def _expired(table: Any, now_s: float) -> Iterator[tuple[Any, Any]]:
    if table.ttl.get("TimeToLiveStatus") != "ENABLED":
        return
    attribute = table.ttl["AttributeName"]
    for item in table.all_items():
        expires = item.attrs.get(attribute)
        if expires is not None and float(expires.value) < now_s:
            yield item.hash_key, item.range_key


def _surplus_pings(table: Any, now_s: float) -> list[tuple[Any, Any]]:
    surplus: list[tuple[Any, Any]] = []
    for partition in table.items.values():
        if len(partition) <= KEPT_PINGS:
            continue
        pings = [item for item in partition.values() if str(item.range_key.value).startswith(PING_PREFIX)]
        pings.sort(key=lambda item: int(item.attrs["sequence"].value), reverse=True)
        surplus += [(item.hash_key, item.range_key) for item in pings[KEPT_PINGS:] if _is_history(table, item, now_s)]
    return surplus


def _is_history(table: Any, item: Any, now_s: float) -> bool:
    """Whether a ping is old and stored by the core: until then its item is what makes a repetition the same ping."""
    ping_id = str(item.range_key.value).removeprefix(PING_PREFIX)
    pending = table.get_item(DynamoType({"S": pending_partition(ping_id)}), DynamoType({"S": ping_id}))
    return pending is None and float(item.attrs["pinged_at"].value) < (now_s - PING_AGE_S) * 1000
