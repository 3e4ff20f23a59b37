"""A channel that nothing can be sent to any more is disabled, and the workspace's other channels are told.

Invariant: a channel that we disable and the alert that says so are one transaction.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import alerts as store
from core.adapters.store import incidents as incident_store
from core.adapters.store.incidents import AlertRow
from core.domain.alert_facts import AlertFacts
from core.domain.delivery import disabled_text
from core.logs import get_logger

log = get_logger(__name__)


def disable_channel(
    connection: Connection, channel_id: UUID, config_version: int | None, reason: str, now: datetime
) -> UUID | None:
    """Disable a channel; the alert that says so. None: it is disabled already, or was edited since that version. The caller commits.

    The alert goes to every other channel that is enabled: kick it after the commit, or the sweep routes it within seconds. Where there is
    none, nobody of the workspace can be told, so the operator is: by the log at once, and by a metric for as long as it lasts.
    """
    disabled = store.disable_channel(connection, channel_id, config_version, reason, now)
    if disabled is None:
        return None
    log.warning("channel.disabled", channel_id=str(channel_id), reason=reason)
    if disabled.was_last:
        log.error("workspace.silent", workspace_id=str(disabled.workspace_id), channel_id=str(channel_id), reason=reason)
    uid = uuid7()
    facts = AlertFacts(text=disabled_text(disabled.name, disabled.kind, reason))
    row = AlertRow(uid, disabled.workspace_id, None, None, "channel_disabled", uid, 1, msgspec.json.encode(facts).decode())
    incident_store.insert_alerts(connection, [row], now)
    return uid
