"""Alerts on their way to channels, in SQL. Every function works inside the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from core.adapters.database import Connection
from core.contracts.events import AlertType
from core.domain.alert_facts import AlertFacts


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert, with what its messages say."""

    id: UUID
    workspace_id: UUID
    incident_id: UUID | None
    alert_type: AlertType
    order_key: UUID
    sequence: int
    only_channel_id: UUID | None
    created_at: datetime
    facts: AlertFacts


@dataclass(frozen=True, slots=True)
class ChannelRef:
    """A channel, as requests name it: never its configuration, only the version of it."""

    id: UUID
    kind: str
    config_version: int
    disabled: bool


def claim_for_routing(connection: Connection, alert_id: UUID, now: datetime) -> StoredAlert | None:
    """Mark an alert as routed; None where somebody else has done so, or it does not exist (any more)."""
    row = connection.execute(
        """
        UPDATE alert SET routed_at = %s WHERE id = %s AND routed_at IS NULL
        RETURNING id, workspace_id, incident_id, alert_type, order_key, sequence, only_channel_id, created_at, facts::text
        """,
        (now, alert_id),
    ).fetchone()
    return StoredAlert(*(*row[:-1], msgspec.json.decode(row[-1], type=AlertFacts))) if row else None


def lock_channels(connection: Connection, workspace_id: UUID) -> list[ChannelRef]:
    """The channels of a workspace, kept from being deleted until the caller's transaction ends."""
    rows = connection.execute(
        """
        SELECT id, kind, config_version, disabled_at IS NOT NULL FROM channel WHERE workspace_id = %s ORDER BY id FOR KEY SHARE
        """,
        (workspace_id,),
    ).fetchall()
    return [ChannelRef(*row) for row in rows]


def not_routed(connection: Connection, created_before: datetime, limit: int) -> list[UUID]:
    """The oldest alerts that nobody has routed."""
    rows = connection.execute(
        "SELECT id FROM alert WHERE routed_at IS NULL AND created_at < %s ORDER BY created_at LIMIT %s", (created_before, limit)
    ).fetchall()
    return [row[0] for row in rows]


def disable_channel(connection: Connection, channel_id: UUID, config_version: int, reason: str, now: datetime) -> bool:
    """Disable a channel whose target is gone; False where it is disabled already or has been edited since."""
    done = connection.execute(
        """
        UPDATE channel SET disabled_at = %(now)s, disabled_reason = %(reason)s, updated_at = %(now)s
        WHERE id = %(id)s AND config_version = %(version)s AND disabled_at IS NULL
        """,
        {"now": now, "reason": reason, "id": channel_id, "version": config_version},
    )
    return done.rowcount == 1
