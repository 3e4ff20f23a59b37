"""Who is told that a certificate or a domain ends soon.

Invariant: each step of each end is told once for each website, because the note of it, the alert and the public event are one
transaction, and whoever notes it first tells it. Websites of one workspace that share an end share the alert.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import expiry as store
from core.adapters.store import incidents as incident_store
from core.adapters.store import outbox
from core.adapters.store.expiry import Ending
from core.adapters.store.incidents import AlertRow
from core.contracts import events
from core.domain.alert_facts import AlertFacts
from core.domain.expiry import DAY, STEPS, days_left, due_step, ending_text, steps_of

WITHIN: Final = max(STEPS) * DAY
FRESH: Final = timedelta(days=7)
"""What was not seen for so long may be gone: nobody is told of the end of a certificate that no check meets any more."""

KEPT: Final = timedelta(days=30)
"""How long after an end its notices are remembered: until long after nothing can show it any more."""


def notify(connection: Connection, now: datetime) -> list[UUID]:
    """Store the alerts about what ends soon, in one transaction; returns their ids, to kick."""
    with connection.transaction():
        alert_ids = [
            *_tell(connection, "certificate_expiring", store.certificates(connection, now, within=WITHIN, fresh=FRESH), now),
            *_tell(connection, "domain_expiring", store.domains(connection, now, within=WITHIN, fresh=FRESH), now),
        ]
        store.forget(connection, now - KEPT)
    return alert_ids


def _tell(connection: Connection, alert_type: events.AlertType, ending: Iterable[Ending], now: datetime) -> list[UUID]:
    due = [(end, step) for end in ending if (step := due_step(end.ends_at, now, end.told, steps_of(end.life)))]
    if not due:
        return []
    noted = store.note(connection, due, now)
    groups: dict[tuple[UUID, str], list[Ending]] = {}
    for end, _ in due:
        if (end.monitor_id, end.subject) in noted:
            groups.setdefault((end.workspace_id, end.subject), []).append(end)
    alerts = [_alert(alert_type, group, now) for group in groups.values()]
    told = [_public_event(alert, end, now) for alert, group in zip(alerts, groups.values(), strict=True) for end in group]
    incident_store.insert_alerts(connection, alerts, now)
    outbox.insert(connection, told, now)
    return [alert.id for alert in alerts]


def _alert(alert_type: events.AlertType, group: Sequence[Ending], now: datetime) -> AlertRow:
    """Each is about its own moment, so none waits for another: every alert has an order of its own."""
    first, alone = group[0], len(group) == 1
    facts = AlertFacts(
        monitor=_monitor(first) if alone else None,
        expiry=events.ExpiryFacts(
            name=first.name, ends_at=first.ends_at, days_left=days_left(first.ends_at, now), websites=len(group)
        ),
        text=ending_text(_what(alert_type, first), first.ends_at, now, [end.monitor_name for end in group]),
    )
    alert_id = uuid7()
    return AlertRow(
        id=alert_id,
        workspace_id=first.workspace_id,
        monitor_id=first.monitor_id if alone else None,
        incident_id=None,
        alert_type=alert_type,
        order_key=alert_id,
        sequence=1,
        facts=msgspec.json.encode(facts).decode(),
    )


def _what(alert_type: events.AlertType, end: Ending) -> str:
    if alert_type == "domain_expiring":
        return f"The registration of {end.name}" + (f" with {end.issuer}" if end.issuer else "")
    return f"The certificate of {end.name}, issued by {end.issuer},"


def _public_event(alert: AlertRow, end: Ending, now: datetime) -> outbox.OutboxEvent:
    metadata = events.Metadata(event_id=uuid7(), occurred_at=now, workspace_id=end.workspace_id, correlation_id=alert.id)
    data: events.CertificateExpiring | events.DomainExpiring
    if alert.alert_type == "domain_expiring":
        data = events.DomainExpiring(
            monitor=_monitor(end), domain=end.name, ends_at=end.ends_at, days_left=days_left(end.ends_at, now)
        )
    else:
        data = events.CertificateExpiring(
            monitor=_monitor(end),
            fingerprint_sha256=end.subject.rpartition(" ")[2],
            not_after=end.ends_at,
            days_left=days_left(end.ends_at, now),
        )
    return outbox.OutboxEvent(type(data).__name__, events.encode(metadata, data))


def _monitor(end: Ending) -> events.MonitorFacts:
    return events.MonitorFacts(id=end.uid, kind="website", name=end.monitor_name, target=end.url)
