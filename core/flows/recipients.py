"""Who is told of an alert: the channels that its messages go to, chosen inside the transaction that writes its deliveries."""

from collections.abc import Sequence

from core.adapters.database import Connection
from core.adapters.store import alerts as alert_store
from core.adapters.store.alerts import StoredAlert
from core.domain import delivery as rules
from core.flows.requests import Addressed
from core.logs import get_logger

log = get_logger(__name__)


def address(connection: Connection, alerts: Sequence[StoredAlert]) -> list[Addressed]:
    """The alerts, of any workspaces, each with its channels, which cannot be deleted until the transaction ends."""
    if not alerts:
        return []
    channels_of = alert_store.lock_channels(connection, {alert.workspace_id for alert in alerts})
    addressed: list[Addressed] = []
    for alert in alerts:
        channels = {channel.id: channel for channel in channels_of[alert.workspace_id]}
        enabled = [channel.id for channel in channels.values() if not channel.disabled]
        told = [channels[uid] for uid in rules.route(enabled, alert.only_channel_id) if uid in channels]
        if not told:
            log.warning("alert.no_channels", alert_id=str(alert.id), workspace_id=str(alert.workspace_id))
        addressed.append(Addressed(alert, told))
    return addressed
