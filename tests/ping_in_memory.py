"""The real ping handler over DynamoDB and a bus in memory: the one place that knows how its parts are put together."""

import time
from collections.abc import Callable
from typing import Any

from lambdas.ping.publish import Publisher
from lambdas.ping.record import Recorder
from lambdas.ping.service import PingService
from tests.fake_dynamodb import FakeDynamoDb, refusal


def ping_service(dynamodb: FakeDynamoDb, events: Any, pause: Callable[[float], None] = time.sleep) -> PingService:
    """A service as one Lambda sandbox has it."""
    outage = type(refusal(""))
    recorder = Recorder(dynamodb, "heartbeats", outage, pause=pause)
    return PingService(recorder, Publisher(events, "bus", (OSError,), lambda _: None), (outage,))
