"""From notices about single websites to alerts: our own trouble is told once for a workspace, however many websites it hides.

Invariant: a workspace has at most one open gap that is younger than `JOIN_WITHIN`, and it is closed once, by the flush after which none
of its websites is left unknown. Flushes that decide about one workspace do so one after the other.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

import msgspec
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import incidents as incident_store
from core.adapters.store import notices as store
from core.adapters.store.incidents import AlertRow
from core.contracts.events import AlertType, MonitorFacts
from core.domain.alert_facts import AlertFacts
from core.domain.outcomes import Reason
from core.domain.own_trouble import monitored_again_text, not_monitored_text
from core.domain.transitions import MonitorRef
from core.domain.website import UNKNOWN_TOLERANCE, MonitoredAgain, Notice, NotMonitored

JOIN_WITHIN: Final = timedelta(hours=1)
"""For how long an open gap speaks for websites that fall into it later."""

CLOSE_WITHIN: Final = timedelta(days=30)
NAMES_TOLD: Final = 5


def record_notices(connection: Connection, notices: Sequence[Notice], now: datetime) -> list[UUID]:
    """Store the alerts that follow, after the states were stored; returns their ids. The caller commits and kicks them."""
    if not notices:
        return []
    lost = [notice for notice in notices if isinstance(notice, NotMonitored)]
    again = [notice for notice in notices if isinstance(notice, MonitoredAgain)]
    alone = [notice for notice in lost if notice.reason is Reason.BLOCKED_ADDRESS]
    alerts = [
        _own_alert(notice.monitor, notice.since, _lost_text(notice, 1, [notice.monitor.name]), lost=True) for notice in alone
    ]
    store.lock(connection, sorted({notice.monitor.workspace_id for notice in notices}))
    alerts += _open(connection, [notice for notice in lost if notice not in alone], now)
    alerts += _close(connection, again, now)
    if alerts:
        incident_store.insert_alerts(connection, alerts, now)
    return [alert.id for alert in alerts]


def _open(connection: Connection, lost: Sequence[NotMonitored], now: datetime) -> list[AlertRow]:
    first = {notice.monitor.workspace_id: notice for notice in sorted(lost, key=lambda notice: notice.since, reverse=True)}
    told = store.open_gaps(connection, list(first), now - JOIN_WITHIN) if first else {}
    untold = [workspace for workspace in first if workspace not in told]
    if not untold:
        return []
    affected = store.unknown_websites(connection, untold, names=NAMES_TOLD, theirs=Reason.BLOCKED_ADDRESS)
    return [_gap_alert(first[workspace], *affected[workspace]) for workspace in untold]


def _close(connection: Connection, again: Sequence[MonitoredAgain], now: datetime) -> list[AlertRow]:
    if not again:
        return []
    keys = {notice.monitor.id: _own_key(notice.monitor, notice.since) for notice in again}
    alone = store.told_of_monitors(connection, list(keys), list(keys.values()))
    alerts = [
        _own_alert(notice.monitor, notice.since, monitored_again_text(notice.since), lost=False)
        for notice in again
        if keys[notice.monitor.id] in alone
    ]
    workspaces = {notice.monitor.workspace_id for notice in again if keys[notice.monitor.id] not in alone}
    workspaces -= store.still_not_monitored(
        connection, list(workspaces), tolerance=UNKNOWN_TOLERANCE, theirs=Reason.BLOCKED_ADDRESS
    )
    gaps = store.open_gaps(connection, list(workspaces), now - CLOSE_WITHIN)
    text = monitored_again_text(min(notice.since for notice in again))
    return alerts + [
        _alert(workspace, None, gap.order_key, "monitored_again", AlertFacts(monitor=gap.facts.monitor, text=text))
        for workspace, gap in gaps.items()
    ]


def _gap_alert(first: NotMonitored, count: int, names: list[str]) -> AlertRow:
    facts = AlertFacts(monitor=_facts(first.monitor) if count == 1 else None, text=_lost_text(first, count, names))
    key = uuid5(first.monitor.workspace_id, f"{first.since.isoformat()} {first.monitor.id}")
    return _alert(first.monitor.workspace_id, None, key, "not_monitored", facts)


def _own_alert(monitor: MonitorRef, since: datetime, text: str, *, lost: bool) -> AlertRow:
    """Both notices about one gap share an order key: nobody reads them in the wrong order."""
    facts = AlertFacts(monitor=_facts(monitor), text=text)
    alert_type: AlertType = "not_monitored" if lost else "monitored_again"
    return _alert(monitor.workspace_id, monitor.id, _own_key(monitor, since), alert_type, facts)


def _alert(workspace: UUID, monitor_id: int | None, order_key: UUID, alert_type: AlertType, facts: AlertFacts) -> AlertRow:
    return AlertRow(
        id=uuid7(),
        workspace_id=workspace,
        monitor_id=monitor_id,
        incident_id=None,
        alert_type=alert_type,
        order_key=order_key,
        sequence=1 if alert_type == "not_monitored" else 2,
        facts=msgspec.json.encode(facts).decode(),
    )


def _lost_text(notice: NotMonitored, count: int, names: Sequence[str]) -> str:
    return not_monitored_text(count, names, notice.since, notice.reason)


def _own_key(monitor: MonitorRef, since: datetime) -> UUID:
    return uuid5(monitor.uid, since.isoformat())


def _facts(monitor: MonitorRef) -> MonitorFacts:
    return MonitorFacts(id=monitor.uid, kind=monitor.kind, name=monitor.name, target=monitor.target)
