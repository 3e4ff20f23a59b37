"""Somebody takes an incident on, or gives it back.

Invariant: the incident's columns, the public event, the alert that tells the others and, of what is given back, the time of the next
reminder are one transaction, under the lock of the monitor's row, so whoever decides meanwhile about a reminder sees either all of it or
nothing.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec import structs
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import acknowledgements as store
from core.adapters.store import courses, outbox
from core.adapters.store import incidents as incident_store
from core.adapters.store.acknowledgements import OpenIncident
from core.adapters.store.incidents import AlertRow
from core.contracts import events
from core.domain.acknowledgement import LONGEST_NAME, acknowledged_text, may_acknowledge, may_take_back, taken_back_text
from core.domain.alert_facts import AlertFacts


class NoSuchIncident(Exception):
    """The workspace has none with this id."""


def acknowledge(connection: Connection, workspace_id: UUID, incident_id: UUID, by: str, now: datetime) -> list[UUID]:
    """Note that `by` has taken an incident on; alerts to kick once the caller has committed. A repetition changes nothing.

    Raises:
        NoSuchIncident: in this workspace.
        OutageOver: it is resolved.
    """
    found = _lock(connection, workspace_id, incident_id)
    if not may_acknowledge(found.standing):
        return []
    by = by[:LONGEST_NAME]
    store.save(connection, incident_id, now, by)
    incident = structs.replace(found.incident, acknowledged_at=now, acknowledged_by=by)
    event = events.IncidentAcknowledged(monitor=found.monitor, incident=incident)
    return _follow(connection, found, event, "acknowledged", acknowledged_text(by), now=now)


def take_back(connection: Connection, workspace_id: UUID, incident_id: UUID, now: datetime) -> list[UUID]:
    """Note that nobody has taken an incident on any more; as `acknowledge`.

    Raises:
        NoSuchIncident: in this workspace.
        OutageOver: it is resolved.
    """
    found = _lock(connection, workspace_id, incident_id)
    if not may_take_back(found.standing):
        return []
    by = found.standing.acknowledged_by
    store.save(connection, incident_id, None, "")
    courses.resume(connection, incident_id, now)
    event = events.IncidentUnacknowledged(monitor=found.monitor, incident=found.incident, was_acknowledged_by=by)
    return _follow(connection, found, event, "unacknowledged", taken_back_text(by), now=now)


def _lock(connection: Connection, workspace_id: UUID, incident_id: UUID) -> OpenIncident:
    found = store.lock(connection, workspace_id, incident_id)
    if found is None:
        raise NoSuchIncident(str(incident_id))
    return found


def _follow(
    connection: Connection,
    found: OpenIncident,
    event: events.IncidentAcknowledged | events.IncidentUnacknowledged,
    alert_type: events.AlertType,
    text: str,
    *,
    now: datetime,
) -> list[UUID]:
    """The public event, and the alert for those who heard of the outage."""
    incident_id = event.incident.id
    metadata = events.Metadata(event_id=uuid7(), occurred_at=now, workspace_id=found.workspace_id, correlation_id=incident_id)
    outbox.insert(connection, [outbox.OutboxEvent(type(event).__name__, events.encode(metadata, event))], now)
    if not found.standing.told:
        return []
    facts = AlertFacts(monitor=event.monitor, incident=event.incident, text=text)
    alert = AlertRow(
        id=uuid7(),
        workspace_id=found.workspace_id,
        monitor_id=found.monitor_id,
        incident_id=incident_id,
        alert_type=alert_type,
        order_key=incident_id,
        sequence=store.next_sequence(connection, incident_id, events.RECOVERY_SEQUENCE),
        facts=msgspec.json.encode(facts).decode(),
    )
    incident_store.insert_alerts(connection, [alert], now)
    return [alert.id]
