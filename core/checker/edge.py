"""What tasks need of AWS, made at first use: after a fork, never before."""

import os
from datetime import UTC, datetime, timedelta
from functools import cache

from core.adapters.event_bus import EventBus, connect_bus
from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.ping_canary import PingCanary
from core.checker.relay import RelayOnce
from core.checker.runtime import runtime
from core.checker.settings import process_settings
from core.contracts.names import Names
from core.env import Env
from core.flows.alerts import relay_outbox
from core.flows.edge_watch import EdgeWatcher


@cache
def event_bus() -> EventBus:
    """The bus of this environment."""
    return connect_bus(Names(process_settings().uptime_env).bus, _region())


@cache
def heartbeat_table() -> HeartbeatTable:
    """What the edge knows of heartbeats."""
    return HeartbeatTable(Names(process_settings().uptime_env), _region())


@cache
def watcher() -> EdgeWatcher | None:
    """What watches our own ping address; None where that is turned off."""
    settings = process_settings()
    if not settings.canary_ping_s or settings.ping_url is None:
        return None
    canary = PingCanary(settings.ping_url, heartbeat_table())
    interval = timedelta(seconds=settings.canary_ping_s)
    return EdgeWatcher(runtime().pool, heartbeat_table(), canary, interval, lambda: datetime.now(UTC))


@cache
def relay() -> RelayOnce:
    """The relay of this process, from the outbox to the bus."""
    return RelayOnce(lambda: relay_outbox(runtime().pool, event_bus()))


def _region() -> str:
    env = Env(os.environ)
    return env.text("AWS_REGION", env.text("AWS_DEFAULT_REGION", "eu-west-1"))
