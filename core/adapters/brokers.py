"""What carries Celery's messages: Redis, or Amazon SQS.

`redis://…` and `rediss://…` are Redis; `sqs://REGION/ACCOUNT/PREFIX` are the queues of SQS whose names begin so, which must be there. What
Redis does besides (leases, sessions, limits, answers to those who wait) it does in both cases.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis
from kombu.exceptions import OperationalError

from core.contracts.queues import TASK_VISIBILITY_S

SOCKET_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 2.0

REDIS_OPTIONS: Final[dict[str, Any]] = {
    "visibility_timeout": TASK_VISIBILITY_S,
    "socket_timeout": SOCKET_TIMEOUT_S,
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
    "socket_keepalive": True,
    "health_check_interval": 10,
}


@dataclass(frozen=True, slots=True)
class Broker:
    """How Celery gets to it, and what Celery does not tell.

    `lost` is what is raised while it is away. `has_fanout`: whether it can carry Celery's remote control. `lengths` counts the messages
    that wait, not those that a worker has fetched, and raises one of `lost`.
    """

    url: str
    options: dict[str, Any]
    has_fanout: bool
    lost: tuple[type[Exception], ...]
    lengths: Callable[[Sequence[str]], Mapping[str, int]]
    close: Callable[[], None]


def open_broker(url: str) -> Broker:
    """The broker of this URL; connects with its first use."""
    if url.startswith("sqs:"):
        from core.adapters.sqs_broker import open_sqs  # noqa: PLC0415  (boto3: 10 MB in every process, for those who have no Redis)

        return open_sqs(url)
    client = redis.Redis.from_url(
        url, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=CONNECT_TIMEOUT_S, health_check_interval=10
    )

    def lengths(queues: Sequence[str]) -> Mapping[str, int]:
        with client.pipeline(transaction=False) as pipeline:
            for name in queues:
                pipeline.llen(name)
            return dict(zip(queues, pipeline.execute(), strict=True))

    lost = (OperationalError, redis.RedisError, OSError)
    return Broker(url, REDIS_OPTIONS, has_fanout=True, lost=lost, lengths=lengths, close=client.close)
