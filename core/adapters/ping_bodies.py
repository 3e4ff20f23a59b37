"""The bodies of pings that are too large for their items, in S3. The ping Lambda writes them."""

from functools import cached_property
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.adapters.heartbeat_table import EdgeUnreachable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONFIG: Final = Config(
    connect_timeout=1.0, read_timeout=5.0, retries={"mode": "standard", "total_max_attempts": 2}, s3={"addressing_style": "auto"}
)


class PingBodies:
    """One bucket."""

    def __init__(self, bucket: str, region: str) -> None:
        self._bucket = bucket
        self._region = region

    @cached_property
    def _client(self) -> "S3Client":
        return boto3.client("s3", region_name=self._region, config=CONFIG)

    def read(self, key: str) -> bytes | None:
        """A body; None when it is not kept any more.

        Raises:
            EdgeUnreachable: it could not be read.
        """
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None
        except (BotoCoreError, ClientError) as error:
            raise EdgeUnreachable(f"{type(error).__name__}: {error}") from error
