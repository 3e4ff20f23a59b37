"""Where the body of a ping goes: into its item while it is small, else to S3. A body never costs the ping."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from core.contracts.heartbeat_keys import INLINE_BODY_LIMIT, body_key
from lambdas.ping.request import Ping
from lambdas.signed_aws.aws import OUTAGES


class Bucket(Protocol):
    """What keeping bodies needs of S3 (`lambdas.signed_aws.aws.Bucket`)."""

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a body. `inline` is in the item, `key` names the object in S3; of one that is `lost` only the beginning is left."""

    inline: bytes = b""
    key: str = ""
    truncated: bool = False
    lost: bool = False


class Bodies:
    """Keeps bodies; `report` is told why one was lost."""

    def __init__(self, bucket: Bucket, report: Callable[[str], None]) -> None:
        self._bucket = bucket
        self._report = report

    def keep(self, heartbeat_id: str, ping: Ping) -> Kept:
        """Keep the body of a ping, before the ping itself is recorded: what the item refers to is there."""
        truncated = ping.body_size > len(ping.body)
        if len(ping.body) <= INLINE_BODY_LIMIT:
            return Kept(ping.body, truncated=truncated)
        key = body_key(heartbeat_id, ping.ping_id)
        try:
            self._bucket.put(key, ping.body)
        except OUTAGES as error:
            self._report(f"{type(error).__name__}: {error}")
            return Kept(ping.body[:INLINE_BODY_LIMIT], truncated=True, lost=True)
        return Kept(key=key, truncated=truncated)
