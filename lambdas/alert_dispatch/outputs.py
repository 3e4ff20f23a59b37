"""What a job said when it failed: the end of its ping's body, read where the edge keeps it. Bodies never travel in events.

A message is never lost or late for it: it is read once, within two seconds, and left out where that does not work.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from uuid import UUID

from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.contracts.heartbeat_keys import ping_sort_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

logger = Logger(child=True)

OUTPUT_LIMIT: Final = 1024
"""Bytes of text that a message shows."""

READ_LIMIT: Final = 4096
"""Bytes that are read of a body: escapes and progress bars shrink."""

CONFIG: Final = Config(
    connect_timeout=0.5, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1}, s3={"addressing_style": "auto"}
)

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Control sequences of terminals (ECMA-48): colours, titles, movements of the cursor."""


class Outputs:
    """Reads the ends of bodies. The clients are made at their first use: most messages are about no job."""

    def __init__(self, dynamodb: Callable[[], "DynamoDBClient"], table: str, s3: Callable[[], "S3Client"], bucket: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._s3 = s3
        self._bucket = bucket

    def __call__(self, heartbeat_id: UUID, ping_id: UUID) -> str:
        """The end of what a ping brought, as lines of printable text; empty where there is none, or it cannot be read."""
        try:
            return last_lines(self._end(heartbeat_id, ping_id))
        except (BotoCoreError, ClientError) as error:
            logger.warning("output.unreadable", extra={"ping_id": str(ping_id), "error": str(error)})
            return ""

    def _end(self, heartbeat_id: UUID, ping_id: UUID) -> bytes:
        answer = self._dynamodb().get_item(
            TableName=self._table,
            Key={"pk": {"S": str(heartbeat_id)}, "sk": {"S": ping_sort_key(str(ping_id))}},
            ProjectionExpression="body, body_key",
        )
        item = answer.get("Item", {})
        if key := item.get("body_key", {}).get("S"):
            kept = self._s3().get_object(Bucket=self._bucket, Key=key, Range=f"bytes=-{READ_LIMIT}")
            return kept["Body"].read()
        return bytes(item.get("body", {}).get("B", b""))[-READ_LIMIT:]


def no_output(_heartbeat_id: UUID, _ping_id: UUID) -> str:
    """For dispatchers without an edge."""
    return ""


def last_lines(body: bytes) -> str:
    """The last `OUTPUT_LIMIT` bytes of a body as text, beginning with a whole line where there is more than one.

    Nothing that moves a cursor or colours is left; of a line that was written over and over (a progress bar), the last state is.
    """
    text = _ESCAPES.sub("", body.decode("utf-8", "replace").removeprefix("\ufffd").replace("\r\n", "\n"))
    lines = [_printable(line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n")]
    shown = "\n".join(lines).strip("\n ")
    raw = shown.encode()
    if len(raw) <= OUTPUT_LIMIT:
        return shown
    end = raw[-OUTPUT_LIMIT:].decode("utf-8", "ignore")
    return end.partition("\n")[2] or end


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else " " for char in line.expandtabs(4)).rstrip()
