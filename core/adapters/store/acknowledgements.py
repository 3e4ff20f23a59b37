"""Acknowledgements of incidents, in SQL. Every function works inside the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from core.adapters.database import Connection
from core.contracts.events import IncidentFacts, MonitorFacts
from core.domain.acknowledgement import Standing

LOCK_MONITOR: Final = """
    SELECT m.id FROM incident i JOIN monitor m ON m.id = i.monitor_id
    WHERE i.id = %(incident_id)s AND i.workspace_id = %(workspace_id)s FOR NO KEY UPDATE OF m
"""

STANDING: Final = """
    SELECT i.resolved_at, i.acknowledged_at, i.acknowledged_by, o.routed_at IS NOT NULL AND NOT o.dropped, o.facts::text
    FROM incident i JOIN alert o ON o.incident_id = i.id AND o.alert_type = 'down'
    WHERE i.id = %(incident_id)s FOR NO KEY UPDATE OF i
"""

NEXT_SEQUENCE: Final = """
    SELECT coalesce(max(sequence), 0) + 1 FROM alert WHERE incident_id = %(incident_id)s AND sequence < %(last)s
"""

SAVE: Final = """
    UPDATE incident SET acknowledged_at = %(at)s, acknowledged_by = %(by)s WHERE id = %(incident_id)s
"""


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """A locked incident: how it stands, and what was said when it began."""

    workspace_id: UUID
    monitor_id: int
    standing: Standing
    monitor: MonitorFacts
    incident: IncidentFacts


class _Said(msgspec.Struct):
    """The facts of an alert about an outage (`core.domain.alert_facts`): it has both."""

    monitor: MonitorFacts
    incident: IncidentFacts


def lock(connection: Connection, workspace_id: UUID, incident_id: UUID) -> OpenIncident | None:
    """Lock an incident of a workspace, its monitor first, as whoever decides about its alerts does; None where there is no such one."""
    monitor = connection.execute(LOCK_MONITOR, {"incident_id": incident_id, "workspace_id": workspace_id}).fetchone()
    if monitor is None:
        return None
    row = connection.execute(STANDING, {"incident_id": incident_id}).fetchone()
    if row is None:
        return None
    said = msgspec.json.decode(row[4], type=_Said)
    return OpenIncident(workspace_id, monitor[0], Standing(*row[:4]), said.monitor, said.incident)


def next_sequence(connection: Connection, incident_id: UUID, last: int) -> int:
    """The place of the next message about an incident whose monitor is locked: after all before `last`, that of the recovery."""
    row = connection.execute(NEXT_SEQUENCE, {"incident_id": incident_id, "last": last}).fetchone()
    assert row, "an aggregate has a row"
    return int(row[0])


def save(connection: Connection, incident_id: UUID, at: datetime | None, by: str) -> None:
    """Write down who has taken it on, or, without a time, that nobody has."""
    connection.execute(SAVE, {"incident_id": incident_id, "at": at, "by": by})
