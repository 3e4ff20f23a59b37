"""Heartbeats that their first ping created at the edge: made here with the first of their pings that comes in, whichever that is."""

from collections.abc import Sequence
from datetime import datetime

from core.adapters.database import Connection
from core.adapters.store import edge
from core.adapters.store import heartbeat_creation as store
from core.contracts.events import Detail, HeartbeatPinged
from core.logs import get_logger

log = get_logger(__name__)


def create_missing(connection: Connection, pings: Sequence[Detail[HeartbeatPinged]], now: datetime) -> None:
    """Make the heartbeats that these pings tell of and that are not there; inside the caller's transaction.

    A ping that is stored already makes none: its heartbeat has been here, and was deleted since.
    """
    told = {ping.data.heartbeat_id: ping for ping in pings if ping.data.creation}
    if not told:
        return
    times = [ping.data.pinged_at for ping in told.values()]
    stored = edge.stored_pings(connection, [ping.data.ping_id for ping in told.values()], min(times), max(times))
    for uid in sorted(told):
        ping, creation = told[uid], told[uid].data.creation
        if ping.data.ping_id in stored or creation is None:
            continue
        if store.create(connection, uid, ping.metadata.workspace_id, creation, now):
            log.info("heartbeat.created_by_ping", heartbeat_id=str(uid), slug=creation.slug)
