"""Alerts and the channels that they go to, in SQL. Every function works inside the caller's transaction.

An alert is undecided while it has no `routed_at`. The alerts of one monitor about its changes are decided in their order, by whoever holds
the monitor's row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from core.adapters.database import Connection
from core.contracts.events import AlertType
from core.domain.alert_facts import AlertFacts
from core.domain.alert_policy import Change, Why

_STORED: Final = (
    "a.id, a.workspace_id, a.incident_id, a.alert_type, a.order_key, a.sequence, a.only_channel_id, a.created_at, a.facts::text"
)

LOCK_MONITOR: Final = """
    SELECT m.id FROM alert a JOIN monitor m ON m.id = a.monitor_id
    WHERE a.id = %s AND a.routed_at IS NULL AND a.alert_type IN ('down', 'recovered')
    FOR NO KEY UPDATE OF m
"""

LOCK_FREE_MONITORS: Final = """
    SELECT a.id, m.id FROM alert a JOIN monitor m ON m.id = a.monitor_id
    WHERE a.id = ANY(%s) AND a.routed_at IS NULL AND a.alert_type IN ('down', 'recovered')
    ORDER BY m.id FOR NO KEY UPDATE OF m SKIP LOCKED
"""

UNDECIDED: Final = f"""
    SELECT {_STORED}, i.began_at, i.resolved_at, a.held_reason, a.monitor_id, i.opened_at
    FROM alert a JOIN incident i ON i.id = a.incident_id
    WHERE a.monitor_id = ANY(%s) AND a.routed_at IS NULL AND a.alert_type IN ('down', 'recovered')
    ORDER BY a.id FOR UPDATE OF a
"""  # noqa: S608  (columns, written above)

SAVE: Final = """
    UPDATE alert a
    SET routed_at = d.routed_at, due_at = d.due_at, held_reason = coalesce(d.why, a.held_reason), dropped = d.dropped,
        facts = coalesce(d.facts::jsonb, a.facts)
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::bool[], %s::text[])
      AS d (id, routed_at, due_at, why, dropped, facts)
    WHERE a.id = d.id
"""

DUE: Final = """
    (SELECT id FROM alert WHERE routed_at IS NULL AND due_at IS NULL AND created_at < %(created_before)s
     ORDER BY created_at, id LIMIT %(limit)s)
    UNION ALL
    (SELECT id FROM alert WHERE routed_at IS NULL AND due_at IS NOT NULL AND due_at <= %(now)s
     ORDER BY due_at, id LIMIT %(limit)s)
"""


SILENT_WORKSPACES: Final = """
    SELECT count(*) FROM workspace w
    WHERE EXISTS (SELECT FROM monitor m WHERE m.workspace_id = w.id AND m.paused_at IS NULL)
      AND EXISTS (SELECT FROM channel c WHERE c.workspace_id = w.id AND c.disabled_at IS NOT NULL)
      AND NOT EXISTS (
          SELECT FROM channel c WHERE c.workspace_id = w.id AND c.disabled_at IS NULL AND c.unverified_since IS NULL
      )
"""


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
class Saved:
    """What was decided about an alert. `why` and `facts` are None where they stay as they are."""

    id: UUID
    routed_at: datetime | None
    due_at: datetime | None = None
    why: Why | None = None
    dropped: bool = False
    facts: AlertFacts | None = None


@dataclass(frozen=True, slots=True)
class ChannelRef:
    """A channel, as requests name it: never its configuration, only the version of it.

    `disabled`: it gets no alerts, because it is switched off or because nobody has answered from its address yet.
    """

    id: UUID
    kind: str
    config_version: int
    disabled: bool


@dataclass(frozen=True, slots=True)
class DisabledChannel:
    """A channel that has just been disabled. `was_last`: nobody of the workspace gets alerts any more."""

    workspace_id: UUID
    name: str
    kind: str
    was_last: bool


def claim_for_routing(connection: Connection, alert_id: UUID, now: datetime) -> StoredAlert | None:
    """Mark an alert as routed; None where somebody else has done so, or it does not exist (any more)."""
    row = connection.execute(
        f"UPDATE alert a SET routed_at = %s WHERE a.id = %s AND a.routed_at IS NULL RETURNING {_STORED}",  # noqa: S608  (columns)
        (now, alert_id),
    ).fetchone()
    return _alert(row) if row else None


def lock_monitor(connection: Connection, alert_id: UUID) -> int | None:
    """The monitor that an undecided alert about a change is of, its row locked: whoever decides about it comes one at a time."""
    row = connection.execute(LOCK_MONITOR, (alert_id,)).fetchone()
    return row[0] if row else None


def lock_free_monitors(connection: Connection, alert_ids: Sequence[UUID]) -> dict[UUID, int]:
    """As `lock_monitor` for many alerts, of monitors whose rows nobody else holds: the monitor of each such alert."""
    return dict(connection.execute(LOCK_FREE_MONITORS, (list(alert_ids),)).fetchall())


def lock_undecided(connection: Connection, monitor_ids: Sequence[int]) -> dict[int, list[tuple[StoredAlert, Change]]]:
    """The undecided alerts about changes of monitors, each one's oldest first.

    An outage that lasts is the last, whatever the clocks said.
    """
    undecided: dict[int, list[tuple[StoredAlert, Change]]] = {}
    for row in sorted(connection.execute(UNDECIDED, (list(monitor_ids),)).fetchall(), key=_place_in_story):
        change = Change(row[3] == "down", row[7], row[9], row[10], Why(row[11]) if row[11] else None)
        undecided.setdefault(row[12], []).append((_alert(row[:9]), change))
    return undecided


def save(connection: Connection, decided: Sequence[Saved]) -> None:
    """Write down what was decided."""
    connection.execute(
        SAVE,
        (
            [d.id for d in decided],
            [d.routed_at for d in decided],
            [d.due_at for d in decided],
            [d.why for d in decided],
            [d.dropped for d in decided],
            [msgspec.json.encode(d.facts).decode() if d.facts else None for d in decided],
        ),
    )


def note_ends(connection: Connection, alert_id: UUID, facts: AlertFacts) -> None:
    """Write down what a recovery is the end of, as its messages say it."""
    connection.execute("UPDATE alert SET facts = %s WHERE id = %s", (msgspec.json.encode(facts).decode(), alert_id))


def note_cause(connection: Connection, incident_id: UUID, cause: UUID) -> None:
    """Remember which outage of the parent explains an incident; the first explanation stays."""
    connection.execute("UPDATE incident SET caused_by_id = %s WHERE id = %s AND caused_by_id IS NULL", (cause, incident_id))


def due(connection: Connection, created_before: datetime, now: datetime, limit: int) -> list[UUID]:
    """The oldest alerts that nobody has decided about, then those whose hold is over; at most `limit` of each.

    Of one moment, as after a commit with several or a call that ends many holds, they come as they were made.
    """
    rows = connection.execute(DUE, {"created_before": created_before, "now": now, "limit": limit}).fetchall()
    return [row[0] for row in rows]


def lock_channels(connection: Connection, workspace_ids: Iterable[UUID]) -> dict[UUID, list[ChannelRef]]:
    """The channels of workspaces, kept from being deleted until the caller's transaction ends."""
    channels: dict[UUID, list[ChannelRef]] = {workspace_id: [] for workspace_id in workspace_ids}
    rows = connection.execute(
        """
        SELECT workspace_id, id, kind, config_version, disabled_at IS NOT NULL OR unverified_since IS NOT NULL
        FROM channel WHERE workspace_id = ANY(%s) ORDER BY id FOR KEY SHARE
        """,
        (list(channels),),
    ).fetchall()
    for workspace_id, *channel in rows:
        channels[workspace_id].append(ChannelRef(*channel))
    return channels


def disable_channel(
    connection: Connection, channel_id: UUID, config_version: int | None, reason: str, now: datetime
) -> DisabledChannel | None:
    """Disable a channel whose target is gone; None where it is disabled already or has been edited since.

    Without a `config_version` any is meant.
    """
    row = connection.execute(
        """
        UPDATE channel SET disabled_at = %(now)s, disabled_reason = %(reason)s, updated_at = %(now)s
        WHERE id = %(id)s AND config_version = coalesce(%(version)s, config_version) AND disabled_at IS NULL
        RETURNING workspace_id, name, kind, NOT EXISTS (
            SELECT FROM channel o
            WHERE o.workspace_id = channel.workspace_id AND o.id <> channel.id AND o.disabled_at IS NULL AND o.unverified_since IS NULL
        )
        """,
        {"now": now, "reason": reason, "id": channel_id, "version": config_version},
    ).fetchone()
    return DisabledChannel(*row) if row else None


def silent_workspaces(connection: Connection) -> int:
    """How many workspaces watch something and have lost their last channel: nobody of theirs hears of anything."""
    row = connection.execute(SILENT_WORKSPACES).fetchone()
    return int(row[0]) if row else 0


def _place_in_story(row: Sequence[Any]) -> tuple[Any, ...]:
    """Where a row of UNDECIDED stands in what happened to its monitor. Rows are locked in the order of ids, as everywhere."""
    sequence, began_at, resolved_at, monitor_id, opened_at = row[5], row[9], row[10], row[12], row[13]
    return monitor_id, resolved_at is None, opened_at, began_at, sequence


def _alert(row: Sequence[Any]) -> StoredAlert:
    return StoredAlert(*(*row[:8], msgspec.json.decode(row[8], type=AlertFacts)))
