"""Which message of a service tells a group now, so that the next one can replace it. In the dispatch table.

One item for each (order key, channel). It is a convenience: where it is lost, or cannot be read, the next message is a new one.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = Logger(child=True)

KEPT: Final = timedelta(days=2)
"""Longer than any group lasts; Telegram lets messages be edited for as long."""


class Posted:
    """Ids of messages, as their service gave them."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def find(self, order_key: UUID, channel_id: UUID) -> str:
        """The id of the message that may be replaced; empty where none is known."""
        try:
            key = {"id": {"S": _item_id(order_key, channel_id)}}
            item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item", {})
        except (BotoCoreError, ClientError) as error:
            logger.warning("posted.not_found", extra={"order_key": str(order_key), "error": str(error)})
            return ""
        return item["message_id"]["S"] if item else ""

    def remember(self, order_key: UUID, channel_id: UUID, message_id: str, now: datetime) -> None:
        """Keep the id of a message that was sent. Trouble is logged only: sent is sent."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "id": {"S": _item_id(order_key, channel_id)},
                    "message_id": {"S": message_id},
                    "expiration": {"N": str(int((now + KEPT).timestamp()))},
                },
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("posted.not_remembered", extra={"order_key": str(order_key), "error": str(error)})


def _item_id(order_key: UUID, channel_id: UUID) -> str:
    return f"posted#{order_key}#{channel_id}"
