"""Names in ping URLs at the edge: the slugs of heartbeats, and the ping keys of workspaces (`core.contracts.heartbeat_keys`)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.adapters.dynamodb import boto3_session
from core.adapters.heartbeat_table import EdgeUnreachable
from core.contracts.heartbeat_keys import KEY_SORT_KEY, STATE_SORT_KEY, key_partition, slugs_partition
from core.contracts.names import Names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONFIG: Final = Config(connect_timeout=1.0, read_timeout=5.0, retries={"mode": "standard", "total_max_attempts": 2})
PARTITION: Final = slugs_partition("")


class SlugTaken(Exception):
    """Another heartbeat of the workspace has this slug."""


@dataclass(frozen=True, slots=True)
class Named:
    """A slug at the edge, and the heartbeat that it leads to."""

    workspace_id: UUID
    slug: str
    heartbeat_id: UUID


@dataclass(frozen=True, slots=True)
class PingKey:
    """A ping key of a workspace; one that was replaced is good until `valid_until`."""

    key: str
    workspace_id: UUID
    valid_until: datetime | None = None


class PingNames:
    """The names of one environment. Every method raises EdgeUnreachable when it is not certain that it did what it says."""

    def __init__(self, names: Names, region: str) -> None:
        self._table = names.heartbeats_table
        self._region = region

    @cached_property
    def _client(self) -> "DynamoDBClient":
        return boto3_session().client("dynamodb", region_name=self._region, config=CONFIG)

    def take(self, workspace_id: UUID, slug: str, uid: UUID) -> None:
        """Let a slug lead to a heartbeat. One that leads to a heartbeat that is gone, or has another name by now, is free.

        Raises:
            SlugTaken: another heartbeat has it; nothing was changed.
        """
        if self._put(workspace_id, slug, uid, "attribute_not_exists(pk) OR heartbeat_id = :uid", str(uid)):
            return
        holder = self._get(slugs_partition(str(workspace_id)), slug).get("heartbeat_id", {}).get("S", "")
        named = self._get(holder, STATE_SORT_KEY) if holder else {}
        if named.get("slug", {}).get("S") == slug or not self._put(workspace_id, slug, uid, "heartbeat_id = :uid", holder):
            raise SlugTaken(slug)

    def release(self, name: Named) -> None:
        """Let a slug lead nowhere, unless it leads to another heartbeat by now."""
        with _reachable():
            try:
                self._client.delete_item(
                    TableName=self._table,
                    Key=_key(slugs_partition(str(name.workspace_id)), name.slug),
                    ConditionExpression="heartbeat_id = :uid",
                    ExpressionAttributeValues={":uid": {"S": str(name.heartbeat_id)}},
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return

    def show(self, key: PingKey) -> None:
        """Make a ping key good, or good until its time; what was counted with it stays."""
        values: dict[str, Any] = {":workspace": {"S": str(key.workspace_id)}}
        expression = "SET workspace_id = :workspace REMOVE valid_until, expires_at"
        if key.valid_until:
            seconds = round(key.valid_until.timestamp())
            values |= {":ms": {"N": str(seconds * 1000)}, ":s": {"N": str(seconds)}}
            expression = "SET workspace_id = :workspace, valid_until = :ms, expires_at = :s"
        with _reachable():
            self._client.update_item(
                TableName=self._table,
                Key=_key(key_partition(key.key), KEY_SORT_KEY),
                UpdateExpression=expression,
                ExpressionAttributeValues=values,
            )

    def forget(self, key: str) -> None:
        """Make a ping key useless."""
        with _reachable():
            self._client.delete_item(TableName=self._table, Key=_key(key_partition(key), KEY_SORT_KEY))

    def slugs(self) -> list[Named]:
        """Every slug at the edge: a scan of the whole table, for `edge sync`."""
        return [
            Named(UUID(item["pk"]["S"].removeprefix(PARTITION)), item["sk"]["S"], UUID(item["heartbeat_id"]["S"]))
            for item in self._scan("begins_with(pk, :prefix)", PARTITION)
        ]

    def keys(self) -> list[str]:
        """Every ping key at the edge: likewise."""
        prefix = key_partition("")
        return [item["pk"]["S"].removeprefix(prefix) for item in self._scan("begins_with(pk, :prefix)", prefix)]

    def project(self, slugs: Iterable[Named], keys: Iterable[PingKey]) -> None:
        """Write what PostgreSQL knows; repeatable. A slug that another heartbeat has there is taken from it."""
        for name in slugs:
            self._put(name.workspace_id, name.slug, name.heartbeat_id, None, "")
        for key in keys:
            self.show(key)

    def _put(self, workspace_id: UUID, slug: str, uid: UUID, condition: str | None, holder: str) -> bool:
        item = _key(slugs_partition(str(workspace_id)), slug) | {"heartbeat_id": {"S": str(uid)}}
        guard: Any = {"ConditionExpression": condition, "ExpressionAttributeValues": {":uid": {"S": holder}}} if condition else {}
        with _reachable():
            try:
                self._client.put_item(TableName=self._table, Item=item, **guard)
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    def _get(self, partition: str, sort: str) -> dict[str, Any]:
        with _reachable():
            found = self._client.get_item(TableName=self._table, Key=_key(partition, sort), ConsistentRead=True)
        return found.get("Item", {})

    def _scan(self, condition: str, prefix: str) -> Iterator[dict[str, Any]]:
        asked: Any = {
            "TableName": self._table,
            "FilterExpression": condition,
            "ExpressionAttributeValues": {":prefix": {"S": prefix}},
            "ConsistentRead": True,
        }
        with _reachable():
            for page in self._client.get_paginator("scan").paginate(**asked):
                yield from page["Items"]


def _key(partition: str, sort: str) -> dict[str, Any]:
    return {"pk": {"S": partition}, "sk": {"S": sort}}


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise EdgeUnreachable(f"{type(error).__name__}: {error}") from error
