"""From transitions to incidents, alerts and public events, inside the transaction that stores the change of state.

Invariant: an incident exists if and only if its alert and its outbox event exist, because all three are one transaction. Whoever
dies after the commit leaves rows behind that the sweeps find.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import incidents as store
from core.adapters.store import outbox
from core.adapters.store.incidents import AlertRow, IncidentRow
from core.contracts import events
from core.domain.alert_facts import AlertFacts
from core.domain.outcomes import Reason
from core.domain.transitions import CameUp, MonitorRef, Transition, WentDown


def record_transitions(connection: Connection, transitions: Sequence[Transition], now: datetime) -> list[UUID]:
    """Store what follows from `transitions`; the caller commits, then kicks `handle_alert` for each returned alert id.

    A `WentDown` of a monitor with an open incident, and a `CameUp` of one without, follow nothing.
    """
    downs = sorted((t for t in transitions if isinstance(t, WentDown)), key=lambda t: t.monitor.id)
    ups = sorted((t for t in transitions if isinstance(t, CameUp)), key=lambda t: t.monitor.id)
    told = _open(connection, downs, now) + _resolve(connection, ups)
    outputs = {down.monitor.id: down.output_of for down in downs}
    if not told:
        return []
    alerts = [_alert(monitor, incident, outputs.get(monitor.id)) for monitor, incident in told]
    store.insert_alerts(connection, alerts, now)
    outbox.insert(connection, [_public_event(monitor, incident, now) for monitor, incident in told], now)
    return [alert.id for alert in alerts]


def _open(connection: Connection, downs: Sequence[WentDown], now: datetime) -> list[tuple[MonitorRef, IncidentRow]]:
    if not downs:
        return []
    rows = [
        IncidentRow(uuid7(), d.monitor.id, d.monitor.workspace_id, d.reason, d.detail, d.began_at, max(now, d.began_at), None)
        for d in downs
    ]
    monitors = {down.monitor.id: down.monitor for down in downs}
    return [(monitors[row.monitor_id], row) for row in store.open_incidents(connection, rows)]


def _resolve(connection: Connection, ups: Sequence[CameUp]) -> list[tuple[MonitorRef, IncidentRow]]:
    if not ups:
        return []
    closed = store.resolve_incidents(connection, [(up.monitor.id, up.at) for up in ups])
    return [(up.monitor, closed[up.monitor.id]) for up in ups if up.monitor.id in closed]


def _alert(monitor: MonitorRef, incident: IncidentRow, output_of: UUID | None) -> AlertRow:
    """The opening alert is number 1 of its incident; the recovery comes after every reminder in between."""
    facts = AlertFacts(monitor=_monitor_facts(monitor), incident=_incident_facts(incident), output_of=output_of)
    return AlertRow(
        id=uuid7(),
        workspace_id=monitor.workspace_id,
        monitor_id=monitor.id,
        incident_id=incident.id,
        alert_type="down" if incident.resolved_at is None else "recovered",
        order_key=incident.id,
        sequence=1 if incident.resolved_at is None else events.RECOVERY_SEQUENCE,
        facts=msgspec.json.encode(facts).decode(),
    )


def _public_event(monitor: MonitorRef, incident: IncidentRow, now: datetime) -> outbox.OutboxEvent:
    event_type = events.IncidentOpened if incident.resolved_at is None else events.IncidentResolved
    metadata = events.Metadata(event_id=uuid7(), occurred_at=now, workspace_id=monitor.workspace_id, correlation_id=incident.id)
    data = event_type(monitor=_monitor_facts(monitor), incident=_incident_facts(incident))
    return outbox.OutboxEvent(event_type.__name__, events.encode(metadata, data))


def _monitor_facts(monitor: MonitorRef) -> events.MonitorFacts:
    return events.MonitorFacts(id=monitor.uid, kind=monitor.kind, name=monitor.name, target=monitor.target)


def _incident_facts(incident: IncidentRow) -> events.IncidentFacts:
    return events.IncidentFacts(
        id=incident.id,
        reason=Reason(incident.reason).label,
        detail=incident.detail,
        began_at=incident.began_at,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at,
        acknowledged_at=incident.acknowledged_at,
        acknowledged_by=incident.acknowledged_by,
    )
