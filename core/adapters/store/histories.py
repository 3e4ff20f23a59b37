"""Everything that PostgreSQL knows about the messages of an incident. Reads only."""

from typing import Final
from uuid import UUID

from core.adapters.database import Connection
from core.domain.alert_history import Known, Message, Outage, Receiver, ToldAlert, WaitingEvent
from core.domain.outcomes import Reason

OUTAGE: Final = """
    SELECT i.id, i.workspace_id, m.name, i.reason, i.detail, i.began_at, i.opened_at, i.resolved_at, i.acknowledged_at,
           i.acknowledged_by, p.name, s.due_at
    FROM incident i
    JOIN monitor m ON m.id = i.monitor_id
    LEFT JOIN incident c ON c.id = i.caused_by_id
    LEFT JOIN monitor p ON p.id = c.monitor_id
    LEFT JOIN alert_step s ON s.incident_id = i.id
    WHERE i.id = %(incident_id)s
"""

ALERTS: Final = """
    SELECT id, alert_type, sequence, created_at, routed_at, due_at, held_reason, dropped, coalesce(facts->>'text', ''),
           chosen_by, route_name
    FROM alert WHERE incident_id = %(incident_id)s ORDER BY created_at, sequence
"""

MESSAGES: Final = """
    SELECT d.id, d.alert_id, d.channel_id, d.config_version, d.state, d.generation, d.attempts, d.requested_at, d.receipt_due_at,
           d.retry_at, d.finished_at, d.error_type, d.error, d.group_id
    FROM alert a JOIN delivery d ON d.alert_id = a.id WHERE a.incident_id = %(incident_id)s
"""

RECEIVERS: Final = """
    SELECT id, name, kind, created_at, disabled_at, disabled_reason, unverified_since
    FROM channel WHERE workspace_id = %(workspace_id)s ORDER BY created_at, id
"""

WAITING: Final = """
    SELECT detail_type, created_at FROM outbox
    WHERE detail::json -> 'metadata' ->> 'correlation_id' = %(incident_id)s::text ORDER BY id
"""


def known(connection: Connection, incident_id: UUID) -> Known | None:
    """What is known of an incident; None where there is no such one. The outbox is read whole: it is short where all is well."""
    row = connection.execute(OUTAGE, {"incident_id": incident_id}).fetchone()
    if row is None:
        return None
    label = Reason(row[3]).label if row[3] in set(Reason) else f"code_{row[3]}"
    outage = Outage(*(*row[:3], label, *row[4:]))
    about = {"incident_id": incident_id, "workspace_id": outage.workspace_id}
    return Known(
        outage,
        [ToldAlert(*found) for found in connection.execute(ALERTS, about).fetchall()],
        [Message(*found) for found in connection.execute(MESSAGES, about).fetchall()],
        [Receiver(*found) for found in connection.execute(RECEIVERS, about).fetchall()],
        [WaitingEvent(*found) for found in connection.execute(WAITING, about).fetchall()],
    )
