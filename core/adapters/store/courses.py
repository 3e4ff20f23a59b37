"""What is still to be told of outages that last, in SQL: one row (`alert_step`) for each, with the time at which somebody is told next.

Every function works inside the caller's transaction. Lock order: the monitor, then its row here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from core.adapters.database import Connection
from core.domain.alert_facts import AlertFacts

BEGIN: Final = """
    INSERT INTO alert_step (incident_id, due_at, told_at, reminded_at)
    SELECT incident_id, due_at, %(now)s, %(now)s FROM unnest(%(incidents)s::uuid[], %(due)s::timestamptz[]) AS s (incident_id, due_at)
    ON CONFLICT (incident_id) DO NOTHING
"""

DUE: Final = """
    SELECT s.incident_id FROM alert_step s JOIN incident i ON i.id = s.incident_id
    WHERE s.due_at <= %(now)s AND (i.acknowledged_at IS NULL OR i.resolved_at IS NOT NULL)
    ORDER BY s.due_at, s.incident_id LIMIT %(limit)s
"""

LOCK_MONITOR: Final = """
    SELECT m.id FROM alert_step s JOIN incident i ON i.id = s.incident_id JOIN monitor m ON m.id = i.monitor_id
    WHERE s.incident_id = %s FOR NO KEY UPDATE OF m
"""

LOCK: Final = """
    SELECT i.workspace_id, i.began_at, i.opened_at, i.resolved_at IS NOT NULL, i.acknowledged_at IS NOT NULL,
           s.told_at, s.reminded_at, o.facts::text,
           ARRAY(SELECT DISTINCT d.channel_id FROM alert a JOIN delivery d ON d.alert_id = a.id
                 WHERE a.incident_id = i.id AND a.alert_type IN ('down', 'escalated')),
           (SELECT max(a.sequence) FROM alert a WHERE a.incident_id = i.id AND a.sequence < %(last)s)
    FROM alert_step s JOIN incident i ON i.id = s.incident_id JOIN alert o ON o.incident_id = i.id AND o.alert_type = 'down'
    WHERE s.incident_id = %(incident_id)s AND s.due_at <= %(now)s
    FOR UPDATE OF s
"""

MOVE: Final = "UPDATE alert_step SET due_at = %(due_at)s, reminded_at = %(reminded_at)s WHERE incident_id = %(incident_id)s"

RESUME: Final = "UPDATE alert_step SET due_at = %(now)s, reminded_at = %(now)s WHERE incident_id = %(incident_id)s"

END: Final = "DELETE FROM alert_step WHERE incident_id = %s"


@dataclass(frozen=True, slots=True)
class StoredCourse:
    """A locked course of an outage. `over`: it has ended; `taken_on`: somebody has acknowledged it. `facts` are those of its first alert.

    `told` are the channels that were told; `sequence` is that of the latest message about it.
    """

    workspace_id: UUID
    began_at: datetime
    opened_at: datetime
    over: bool
    taken_on: bool
    told_at: datetime
    reminded_at: datetime
    facts: AlertFacts
    told: frozenset[UUID]
    sequence: int


def begin(connection: Connection, due: Sequence[tuple[UUID, datetime]], now: datetime) -> None:
    """Somebody has been told of these incidents, and somebody is to be told at these times."""
    if due:
        incidents, times = zip(*due, strict=True)
        connection.execute(BEGIN, {"incidents": list(incidents), "due": list(times), "now": now})


def due(connection: Connection, now: datetime, limit: int) -> list[UUID]:
    """The incidents of which somebody is to be told now, the longest due first; not those that somebody has taken on."""
    return [row[0] for row in connection.execute(DUE, {"now": now, "limit": limit}).fetchall()]


def lock_monitor(connection: Connection, incident_id: UUID) -> int | None:
    """Lock the monitor of an incident; None where nothing is to be told any more."""
    row = connection.execute(LOCK_MONITOR, (incident_id,)).fetchone()
    return row[0] if row else None


def lock(connection: Connection, incident_id: UUID, now: datetime, last: int) -> StoredCourse | None:
    """Lock what is to be told of an incident whose monitor is locked; None where it is not due (any more).

    `last` is the sequence of recoveries, which comes after all that may still be told.
    """
    row = connection.execute(LOCK, {"incident_id": incident_id, "now": now, "last": last}).fetchone()
    if row is None:
        return None
    *known, facts, told, sequence = row
    return StoredCourse(*(*known, msgspec.json.decode(facts, type=AlertFacts), frozenset(told), sequence))


def move(connection: Connection, incident_id: UUID, due_at: datetime, reminded_at: datetime) -> None:
    """Somebody is told at another time."""
    connection.execute(MOVE, {"incident_id": incident_id, "due_at": due_at, "reminded_at": reminded_at})


def resume(connection: Connection, incident_id: UUID, now: datetime) -> None:
    """Nobody has it in hand any more: what is due by now is told, and those who know are reminded when that comes round again."""
    connection.execute(RESUME, {"incident_id": incident_id, "now": now})


def end(connection: Connection, incident_id: UUID) -> None:
    """Nothing more is told of it."""
    connection.execute(END, (incident_id,))
