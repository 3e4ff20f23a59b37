"""The real ping handler over DynamoDB and a bus in memory: the one place that knows how its parts are put together."""

import time
from collections.abc import Callable
from typing import Any

from lambdas.ping.bodies import Bodies
from lambdas.ping.create import Creator
from lambdas.ping.directory import Directory
from lambdas.ping.publish import Publisher
from lambdas.ping.record import Recorder
from lambdas.ping.service import PingService
from lambdas.ping.transaction import Patience
from tests.fake_dynamodb import FakeDynamoDb

TABLE = "heartbeats"


def ping_service(dynamodb: FakeDynamoDb, events: Any, pause: Callable[[float], None] = time.sleep) -> PingService:
    """A service as one Lambda sandbox has it, without limits. Its pings have small bodies: there is no bucket."""
    patience = Patience(pause)
    bodies = Bodies(_NoBucket(), _ignored)
    recorder = Recorder(dynamodb, TABLE, bodies, limit=0, patience=patience)
    creator = Creator(dynamodb, TABLE, bodies, limit=1000, patience=patience)
    return PingService(recorder, Directory(dynamodb, TABLE), creator, Publisher(events, "bus", _ignored))


class _NoBucket:
    def put(self, key: str, body: bytes) -> None:
        raise AssertionError(f"{key}: {len(body)} bytes are too many")


def _ignored(_trouble: str) -> None:
    """What could not be published, the sweep publishes."""
