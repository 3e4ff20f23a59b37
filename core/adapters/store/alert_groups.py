"""Groups of alerts in SQL: the message that tells many at once. Every function works inside the caller's transaction.

Whoever adds to the group of a channel, or tells it, holds the channel's row. The deliveries of grouped alerts name their group, and from
which of its revisions on they are told by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from core.adapters.database import Connection
from core.domain.alert_facts import AlertFacts
from core.domain.alert_groups import CHANGES, Group, Limit, Tally

LOCK_PACES: Final = """
    SELECT c.id, c.paced_until, w.group_after, w.group_within_s
    FROM channel c JOIN workspace w ON w.id = c.workspace_id
    WHERE c.id = ANY(%s) AND w.group_after > 0
    ORDER BY c.id FOR NO KEY UPDATE OF c
"""

SAVE_PACES: Final = """
    UPDATE channel c SET paced_until = p.paced_until
    FROM unnest(%s::uuid[], %s::timestamptz[]) AS p (id, paced_until) WHERE c.id = p.id
"""

OPEN: Final = "SELECT channel_id, id, revision FROM alert_group WHERE channel_id = ANY(%s) AND closed_at IS NULL"

EARLIER: Final = """
    SELECT d.channel_id, a.order_key, bool_or(d.group_id = ANY(%(groups)s::uuid[]))
    FROM alert a JOIN delivery d ON d.alert_id = a.id
    WHERE a.incident_id = ANY(%(incidents)s::uuid[]) AND d.channel_id = ANY(%(channels)s::uuid[])
      AND (d.group_id = ANY(%(groups)s::uuid[]) OR d.state = 'requested' AND d.group_id IS NULL)
    GROUP BY d.channel_id, a.order_key
"""

INSERT_GROUPS: Final = """
    INSERT INTO alert_group (id, workspace_id, channel_id, opened_at, folded_at, due_at)
    SELECT id, workspace_id, channel_id, %(now)s, %(now)s, %(due_at)s
    FROM unnest(%(ids)s::uuid[], %(workspaces)s::uuid[], %(channels)s::uuid[]) AS g (id, workspace_id, channel_id)
"""

TOUCH_GROUPS: Final = "UPDATE alert_group SET folded_at = %s WHERE id = ANY(%s)"

INSERT_MEMBERS: Final = """
    INSERT INTO delivery (id, workspace_id, alert_id, channel_id, config_version, state, requested_at, group_id, group_revision)
    SELECT id, workspace_id, alert_id, channel_id, config_version, 'requested', %s, group_id, group_revision
    FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::int[], %s::uuid[], %s::int[])
      AS m (id, workspace_id, alert_id, channel_id, config_version, group_id, group_revision)
"""

DUE: Final = "SELECT id, channel_id FROM alert_group WHERE closed_at IS NULL AND due_at <= %s ORDER BY due_at, id LIMIT %s"

LOCK: Final = """
    SELECT g.id, g.workspace_id, g.channel_id, c.kind, c.config_version, c.disabled_at IS NOT NULL OR c.unverified_since IS NOT NULL,
           coalesce((SELECT d.state = 'requested' FROM delivery d WHERE d.id = g.last_delivery_id), false),
           g.opened_at, g.folded_at, g.revision, g.told_at, g.posts, g.posted_at
    FROM alert_group g JOIN channel c ON c.id = g.channel_id
    WHERE g.id = %s AND g.closed_at IS NULL AND g.due_at <= %s
    FOR UPDATE OF g
"""

LOCK_CHANNEL: Final = "SELECT FROM channel WHERE id = %s FOR NO KEY UPDATE"

NEWS: Final = """
    SELECT coalesce(bool_or(d.group_revision > g.revision), false),
           coalesce(bool_or(d.group_revision > g.posted_revision), false),
           coalesce(bool_or(d.group_revision > g.posted_revision AND a.alert_type <> 'recovered'), false)
    FROM alert_group g JOIN delivery d ON d.group_id = g.id JOIN alert a ON a.id = d.alert_id
    WHERE g.id = %s
"""

STATES: Final = """
    SELECT heard.id, heard.alert_type
    FROM (SELECT DISTINCT d.channel_id, a.monitor_id FROM delivery d JOIN alert a ON a.id = d.alert_id WHERE d.group_id = %(id)s) AS m
    CROSS JOIN LATERAL (
        SELECT a.id, a.alert_type, a.routed_at FROM alert a JOIN delivery d ON d.alert_id = a.id AND d.channel_id = m.channel_id
        WHERE a.monitor_id = m.monitor_id AND a.routed_at IS NOT NULL AND NOT a.dropped AND a.alert_type = ANY(%(changes)s::text[])
        ORDER BY a.routed_at DESC LIMIT 1
    ) AS heard
    ORDER BY heard.alert_type = 'recovered', heard.routed_at, heard.id
"""

FACTS: Final = """
    SELECT a.alert_type, a.facts::text FROM unnest(%s::uuid[]) WITH ORDINALITY AS l (id, position) JOIN alert a ON a.id = l.id
    ORDER BY l.position
"""

SAVE: Final = """
    UPDATE alert_group
    SET revision = %(revision)s, told_at = %(told_at)s, posts = %(posts)s, posted_at = %(posted_at)s, due_at = %(due_at)s,
        posted_revision = CASE WHEN posts = %(posts)s THEN posted_revision ELSE %(revision)s END,
        last_delivery_id = %(delivery_id)s
    WHERE id = %(id)s
"""

POSTPONE: Final = "UPDATE alert_group SET due_at = %s WHERE id = %s"

CLOSE: Final = "UPDATE alert_group SET closed_at = %s WHERE id = %s"

SETTLE: Final = """
    UPDATE delivery d SET state = s.state, finished_at = s.finished_at, attempts = s.attempts, error_type = s.error_type, error = s.error
    FROM (SELECT m.id, told.state, told.finished_at, told.attempts, told.error_type, told.error
          FROM delivery told
          JOIN alert a ON a.id = told.alert_id AND a.alert_type = 'group'
          JOIN delivery m ON m.group_id = a.order_key AND m.group_revision <= a.sequence
          WHERE told.id = ANY(%s) AND (told.state = 'delivered' AND m.state IN ('requested', 'failed')
                                       OR told.state = 'failed' AND m.state = 'requested')
          ORDER BY m.id FOR UPDATE OF m) AS s
    WHERE d.id = s.id
"""

GIVE_UP: Final = """
    UPDATE delivery SET state = 'failed', finished_at = %s, error_type = 'transient', error = %s
    WHERE group_id = %s AND state = 'requested'
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a channel of a workspace that groups may take, and when it is free again."""

    limit: Limit
    free_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """The open group of a channel; `revision` is the latest that was told."""

    id: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class Member:
    """The delivery of an alert that a group tells, from `revision` on."""

    id: UUID
    workspace_id: UUID
    alert_id: UUID
    channel_id: UUID
    config_version: int
    group_id: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """A locked group that is due, and its channel as it is now. `on_its_way`: its latest message has no receipt yet."""

    id: UUID
    workspace_id: UUID
    channel_id: UUID
    config_version: int
    disabled: bool
    on_its_way: bool
    group: Group


def lock_paces(connection: Connection, channels: Sequence[UUID]) -> dict[UUID, Pace]:
    """Lock those of the channels whose workspace groups alerts; others are left out."""
    rows = connection.execute(LOCK_PACES, (list(channels),)).fetchall()
    return {row[0]: Pace(Limit(row[2], timedelta(seconds=row[3])), row[1]) for row in rows}


def save_paces(connection: Connection, free_at: Sequence[tuple[UUID, datetime | None]]) -> None:
    """Write down when channels are free again."""
    connection.execute(SAVE_PACES, ([channel for channel, _ in free_at], [at for _, at in free_at]))


def open_groups(connection: Connection, channels: Sequence[UUID]) -> dict[UUID, OpenGroup]:
    """The open groups of locked channels. A statement of its own: what one before saw while it waited for a lock may be older."""
    rows = connection.execute(OPEN, (list(channels),)).fetchall()
    return {row[0]: OpenGroup(*row[1:]) for row in rows}


def earlier(
    connection: Connection, incidents: Sequence[UUID], channels: Sequence[UUID], groups: Sequence[UUID]
) -> list[tuple[UUID, UUID, bool]]:
    """Channel and order key of what is on its way by itself, or told by one of these groups (True)."""
    rows = connection.execute(
        EARLIER, {"incidents": list(incidents), "channels": list(channels), "groups": list(groups)}
    ).fetchall()
    return [(row[0], row[1], bool(row[2])) for row in rows]


def insert_groups(connection: Connection, groups: Sequence[tuple[UUID, UUID, UUID]], now: datetime, due_at: datetime) -> None:
    """Open groups: id, workspace and channel of each."""
    ids, workspaces, channels = (list(column) for column in zip(*groups, strict=True))
    connection.execute(INSERT_GROUPS, {"now": now, "due_at": due_at, "ids": ids, "workspaces": workspaces, "channels": channels})


def insert_members(connection: Connection, members: Sequence[Member], now: datetime) -> None:
    """Add deliveries to their groups."""
    connection.execute(
        INSERT_MEMBERS,
        (
            now,
            [m.id for m in members],
            [m.workspace_id for m in members],
            [m.alert_id for m in members],
            [m.channel_id for m in members],
            [m.config_version for m in members],
            [m.group_id for m in members],
            [m.revision for m in members],
        ),
    )
    connection.execute(TOUCH_GROUPS, (now, sorted({m.group_id for m in members})))


def due(connection: Connection, now: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Groups to look at now, with their channels; those that waited longest first."""
    return [(row[0], row[1]) for row in connection.execute(DUE, (now, limit)).fetchall()]


def lock(connection: Connection, group_id: UUID, channel_id: UUID, now: datetime) -> StoredGroup | None:
    """Lock a group and its channel; None where somebody else has looked at it meanwhile."""
    connection.execute(LOCK_CHANNEL, (channel_id,))
    row = connection.execute(LOCK, (group_id, now)).fetchone()
    if row is None:
        return None
    uid, workspace_id, channel, kind, version, disabled, on_its_way, *rest = row
    return StoredGroup(uid, workspace_id, channel, version, disabled, on_its_way, Group(kind, *rest))


def tally(connection: Connection, stored: StoredGroup) -> tuple[Tally, list[UUID]]:
    """What a group is about, and the alert that its channel was told last of each monitor, those that are down first."""
    news = connection.execute(NEWS, (stored.id,)).fetchone()
    assert news, "an aggregate has one row"
    untold, unposted, worse = news
    states = connection.execute(STATES, {"id": stored.id, "changes": sorted(CHANGES)}).fetchall()
    up = sum(row[1] == "recovered" for row in states)
    return Tally(len(states) - up, up, untold, unposted, worse, stored.on_its_way), [row[0] for row in states]


def facts(connection: Connection, alerts: Sequence[UUID]) -> list[tuple[str, AlertFacts]]:
    """Type and facts of alerts, in this order."""
    rows = connection.execute(FACTS, (list(alerts),)).fetchall()
    return [(row[0], msgspec.json.decode(row[1], type=AlertFacts)) for row in rows]


def save(connection: Connection, group_id: UUID, group: Group, delivery_id: UUID, due_at: datetime) -> None:
    """Write down that a group was told by this delivery."""
    connection.execute(
        SAVE,
        {
            "id": group_id,
            "revision": group.revision,
            "told_at": group.told_at,
            "posts": group.posts,
            "posted_at": group.posted_at,
            "delivery_id": delivery_id,
            "due_at": due_at,
        },
    )


def postpone(connection: Connection, group_id: UUID, due_at: datetime) -> None:
    """Look at a group again then."""
    connection.execute(POSTPONE, (due_at, group_id))


def close(connection: Connection, group_id: UUID, now: datetime) -> None:
    """Nothing more is added to this group."""
    connection.execute(CLOSE, (now, group_id))


def settle(connection: Connection, deliveries: Sequence[UUID]) -> None:
    """What became of the message of a group became of all that it tells. Deliveries of other alerts change nothing."""
    connection.execute(SETTLE, (list(deliveries),))


def give_up(connection: Connection, group_id: UUID, error: str, now: datetime) -> None:
    """What a group has not told is never told there."""
    connection.execute(GIVE_UP, (now, error, group_id))
