"""The parts of the ping Lambda, put together from its settings."""

import os
from typing import Final

from lambdas.ping import log
from lambdas.ping.bodies import Bodies
from lambdas.ping.clients import NAMES, bodies, dynamodb, events
from lambdas.ping.create import Creator
from lambdas.ping.directory import Directory
from lambdas.ping.publish import Publisher
from lambdas.ping.record import Recorder
from lambdas.ping.service import PingService

PINGS_PER_MINUTE: Final = 60
CREATIONS_PER_DAY: Final = 100


def make_service() -> PingService:
    """The service, as the environment says.

    Raises:
        ValueError: a limit is no number; the function must not start with another one than was asked for.
    """
    table = NAMES.heartbeats_table
    creator = Creator(dynamodb, table, _bodies(), limit=int(os.environ.get("CREATIONS_PER_DAY", CREATIONS_PER_DAY)))
    return PingService(make_recorder(), Directory(dynamodb, table), creator, make_publisher())


def make_recorder() -> Recorder:
    """The recorder; raises ValueError as above."""
    limit = int(os.environ.get("PINGS_PER_MINUTE", PINGS_PER_MINUTE))
    return Recorder(dynamodb, NAMES.heartbeats_table, _bodies(), limit=limit)


def make_publisher() -> Publisher:
    """The publisher."""
    return Publisher(events, NAMES.bus, lambda trouble: log.write("error", "ping.not_published", error=trouble))


def _bodies() -> Bodies:
    return Bodies(bodies, lambda trouble: log.write("error", "ping.body_lost", error=trouble))
