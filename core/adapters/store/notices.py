"""What people of a workspace were told about not being monitored, in SQL. Every function works inside the caller's transaction.

A gap of a workspace is open while its latest `not_monitored` alert without a monitor has no `monitored_again` after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from core.adapters.database import Connection
from core.domain.alert_facts import AlertFacts

OPEN_GAPS: Final = """
    SELECT w.id, told.order_key, told.created_at, told.facts::text
    FROM unnest(%(workspaces)s::uuid[]) AS w (id)
    CROSS JOIN LATERAL (
        SELECT a.order_key, a.alert_type, a.created_at, a.facts FROM alert a
        WHERE a.workspace_id = w.id AND a.created_at > %(since)s::timestamptz AND a.monitor_id IS NULL
          AND a.alert_type IN ('not_monitored', 'monitored_again')
        ORDER BY a.created_at DESC, a.sequence DESC
        LIMIT 1
    ) AS told
    WHERE told.alert_type = 'not_monitored'
"""

UNKNOWN_WEBSITES: Final = """
    SELECT m.workspace_id, count(*), (array_agg(m.name ORDER BY m.id))[1:%(names)s::int]
    FROM website_state s JOIN monitor m ON m.id = s.monitor_id
    WHERE m.workspace_id = ANY(%(workspaces)s::uuid[]) AND m.paused_at IS NULL
      AND s.unknown_since IS NOT NULL AND s.last_reason <> %(theirs)s::smallint
    GROUP BY m.workspace_id
"""

STILL_NOT_MONITORED: Final = """
    SELECT w.id FROM unnest(%(workspaces)s::uuid[]) AS w (id)
    WHERE EXISTS (
        SELECT FROM website_state s JOIN monitor m ON m.id = s.monitor_id
        WHERE m.workspace_id = w.id AND m.paused_at IS NULL AND s.last_reason <> %(theirs)s::smallint
          AND s.last_checked_at - s.unknown_since >= %(tolerance)s::interval
    )
"""


@dataclass(frozen=True, slots=True)
class Gap:
    """An open gap of a workspace, as it was told."""

    order_key: UUID
    told_at: datetime
    facts: AlertFacts


def lock(connection: Connection, workspaces: Sequence[UUID]) -> None:
    """Wait for whoever decides about notices of these workspaces, and keep others waiting until the transaction ends."""
    connection.execute(
        """
        SELECT pg_advisory_xact_lock(hashtextextended(id::text, 20070)) FROM (SELECT unnest(%s::uuid[]) AS id ORDER BY 1) AS w
        """,
        (list(workspaces),),
    )


def open_gaps(connection: Connection, workspaces: Sequence[UUID], since: datetime) -> dict[UUID, Gap]:
    """The open gaps that were told after `since`, by workspace."""
    rows = connection.execute(OPEN_GAPS, {"workspaces": list(workspaces), "since": since}).fetchall()
    return {row[0]: Gap(row[1], row[2], msgspec.json.decode(row[3], type=AlertFacts)) for row in rows}


def unknown_websites(
    connection: Connection, workspaces: Sequence[UUID], *, names: int, theirs: int
) -> dict[UUID, tuple[int, list[str]]]:
    """How many websites nobody can tell about, and the first `names` of them; those whose reason is `theirs` left out."""
    rows = connection.execute(UNKNOWN_WEBSITES, {"workspaces": list(workspaces), "names": names, "theirs": theirs}).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def still_not_monitored(connection: Connection, workspaces: Sequence[UUID], *, tolerance: timedelta, theirs: int) -> set[UUID]:
    """The workspaces with a website that has been unknown for `tolerance`, for another reason than `theirs`."""
    rows = connection.execute(
        STILL_NOT_MONITORED, {"workspaces": list(workspaces), "tolerance": tolerance, "theirs": theirs}
    ).fetchall()
    return {row[0] for row in rows}


def told_of_monitors(connection: Connection, monitor_ids: Sequence[int], order_keys: Sequence[UUID]) -> set[UUID]:
    """Those of the order keys under which these monitors were told of one by one."""
    rows = connection.execute(
        "SELECT order_key FROM alert WHERE monitor_id = ANY(%s) AND order_key = ANY(%s) AND alert_type = 'not_monitored'",
        (list(monitor_ids), list(order_keys)),
    ).fetchall()
    return {row[0] for row in rows}
