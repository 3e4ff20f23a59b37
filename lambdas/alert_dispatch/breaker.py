"""A breaker for each channel version, in the dispatch table: who keeps timing out is left alone for a while.

It is kept by channel and not by host: somebody else's slow endpoint on a shared host must never delay your messages. Its window is
judged by us, because DynamoDB deletes expired items late.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

THRESHOLD: Final = 3
WINDOW: Final = timedelta(minutes=15)
"""Timeouts further apart than this do not add up."""

PAUSE: Final = timedelta(minutes=1)
"""How long an open breaker holds messages back; then one try decides whether it opens again."""


class Breaker:
    """Counts timeouts of one target after another."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def open_for_s(self, channel_id: UUID, version: int, now: datetime) -> int | None:
        """Seconds that the breaker stays open; 0 where it counts timeouts but lets a try through; None where it knows nothing."""
        item = self._client.get_item(TableName=self._table, Key=_key(channel_id, version), ConsistentRead=True).get("Item")
        if not item or float(item["expiration"]["N"]) <= now.timestamp():
            return None
        return max(int(float(item.get("open_until", {}).get("N", "0")) - now.timestamp()), 0)

    def timed_out(self, channel_id: UUID, version: int, now: datetime) -> None:
        """Count a timeout; the third opens the breaker, and so does each further one."""
        if self._count(channel_id, version, now) < THRESHOLD:
            return
        self._client.update_item(
            TableName=self._table,
            Key=_key(channel_id, version),
            UpdateExpression="SET open_until = :until",
            ExpressionAttributeValues={":until": {"N": str((now + PAUSE).timestamp())}},
        )

    def answered(self, channel_id: UUID, version: int) -> None:
        """The target answers again: forget its timeouts."""
        self._client.delete_item(TableName=self._table, Key=_key(channel_id, version))

    def _count(self, channel_id: UUID, version: int, now: datetime) -> int:
        expiration = {"N": str(int((now + WINDOW).timestamp()))}
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(channel_id, version),
                UpdateExpression="ADD timeouts :one SET expiration = :expiration",
                ConditionExpression="attribute_not_exists(id) OR expiration > :now",
                ExpressionAttributeValues={
                    ":one": {"N": "1"},
                    ":expiration": expiration,
                    ":now": {"N": str(int(now.timestamp()))},
                },
                ReturnValues="UPDATED_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            fresh = {**_key(channel_id, version), "timeouts": {"N": "1"}, "expiration": expiration}
            self._client.put_item(TableName=self._table, Item=fresh)
            return 1
        return int(answer["Attributes"]["timeouts"]["N"])


def _key(channel_id: UUID, version: int) -> dict[str, dict[str, str]]:
    return {"id": {"S": f"breaker#{channel_id}#{version}"}}
