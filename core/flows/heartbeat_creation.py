"""Heartbeats that their first ping created at the edge: made here with the first of their pings that comes in, whichever that is."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from core.adapters.database import Connection
from core.adapters.store import edge
from core.adapters.store import heartbeat_creation as store
from core.contracts.events import Detail, HeartbeatCreation, HeartbeatPinged
from core.domain.recurrence import BadRecurrence, Period, Recurrence, scheduled
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
        if store.create(connection, uid, ping.metadata.workspace_id, creation, recurrence=_recurrence(creation), now=now):
            log.info("heartbeat.created_by_ping", heartbeat_id=str(uid), slug=creation.slug)


def _recurrence(creation: HeartbeatCreation) -> Recurrence:
    """When the heartbeat is expected. The edge takes no more than we do; if it ever did, one with its period is better than none."""
    try:
        zone = ZoneInfo(creation.time_zone)
        return scheduled(None, creation.schedule, zone) if creation.schedule else Period(creation.period_s, zone)
    except (BadRecurrence, ValueError, OSError, LookupError) as error:
        log.exception("heartbeat.schedule_refused", slug=creation.slug, error=str(error))
        return Period(creation.period_s)
