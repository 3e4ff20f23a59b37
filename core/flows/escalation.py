"""Outages that last: whoever a later step of the route names is told, and those who know are reminded, until somebody takes it on.

Invariant: what is to be told next is a row with its time, decided under the lock of the monitor's row by the route as it is then, in one
transaction with the messages and the time after that. Whoever dies leaves the row due. Of an outage that somebody has taken on it waits.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import alerts as alert_store
from core.adapters.store import courses as store
from core.adapters.store import incidents as incident_store
from core.adapters.store import situations
from core.adapters.store.alerts import Saved, StoredAlert
from core.adapters.store.courses import StoredCourse
from core.adapters.store.incidents import AlertRow
from core.contracts.events import RECOVERY_SEQUENCE, AlertType
from core.domain import alert_routes as rules
from core.domain.alert_policy import Change, hold_again
from core.domain.alert_routes import Course, Plan, Route
from core.flows.recipients import OUTAGE, among, note_choice, routes_for
from core.flows.requests import RECEIPT_TIMEOUT, UNTELLABLE, Addressed, request_messages
from core.flows.routing import after, gather
from core.logs import get_logger

log = get_logger(__name__)

SWEEP_LIMIT: Final = 500


def tell_more(connection: Connection, now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT) -> int:
    """Tell of outages that last what is due; returns of how many. Each is a transaction: one that fails is logged, the others go on."""
    with connection.transaction():
        due = store.due(connection, now, SWEEP_LIMIT)
    done = 0
    for incident_id in due:
        try:
            done += _tell_more_of(connection, incident_id, now, receipt_timeout)
        except UNTELLABLE:
            log.exception("alert.step_failed", incident_id=str(incident_id))
    return done


def _tell_more_of(connection: Connection, incident_id: UUID, now: datetime, receipt_timeout: timedelta) -> bool:
    with connection.transaction():
        monitor_id = store.lock_monitor(connection, incident_id)
        stored = store.lock(connection, incident_id, now, RECOVERY_SEQUENCE) if monitor_id else None
        if monitor_id is None or stored is None:
            return False
        if stored.over:
            store.end(connection, incident_id)
        if stored.over or stored.taken_on:
            return False
        addressed = _decide(connection, monitor_id, incident_id, stored, now)
        request_messages(connection, addressed, now, receipt_timeout)
    return bool(addressed)


def _decide(connection: Connection, monitor_id: int, incident_id: UUID, stored: StoredCourse, now: datetime) -> list[Addressed]:
    """The alerts that are due, stored, with their channels; and the time at which to decide next."""
    opening = _alert(incident_id, stored, OUTAGE, 0, now)
    routes = routes_for(connection, [opening])
    change = Change(went_down=True, at=stored.opened_at, began_at=stored.began_at, ended_at=None)
    seen = situations.situations(connection, {monitor_id: now})[monitor_id]
    facts = gather(connection, monitor_id, [change], seen, timing=routes.timing(opening, now), now=now)
    hold = hold_again(change, facts, now)
    if hold:
        store.move(connection, incident_id, hold.until, stored.reminded_at)
        return []
    plan, addressed = _go_on(connection, incident_id, stored, routes.route(opening), now)
    alerts = [one.alert for one in addressed]
    incident_store.insert_alerts(connection, [_row(alert, monitor_id) for alert in alerts], now)
    alert_store.save(connection, [Saved(alert.id, after(seen.heard_at, now)) for alert in alerts])
    note_choice(connection, [(alert, plan) for alert in alerts])
    return addressed


def _go_on(
    connection: Connection, incident_id: UUID, stored: StoredCourse, route: Route | None, now: datetime
) -> tuple[Plan, list[Addressed]]:
    """The alerts that are due, not stored yet; the time of the next ones is."""
    channels = alert_store.lock_channels(connection, [stored.workspace_id])[stored.workspace_id]
    enabled = [channel.id for channel in channels if not channel.disabled]
    plan = rules.plan(route, enabled)
    course = Course(stored.told_at, stored.reminded_at, stored.told)
    due = rules.due(plan, course, enabled, now)
    course = rules.after(course, due, plan, now)
    following = rules.next_at(plan, course)
    if following is None:
        store.end(connection, incident_id)
    else:
        store.move(connection, incident_id, following, course.reminded_at)
    told: list[tuple[AlertType, Collection[UUID]]] = [("escalated", due.first_told), ("reminder", due.reminded)]
    return plan, [
        Addressed(_alert(incident_id, stored, alert_type, number, now), among(channels, uids))
        for number, (alert_type, uids) in enumerate(told, 1)
        if uids
    ]


def _alert(incident_id: UUID, stored: StoredCourse, alert_type: AlertType, number: int, now: datetime) -> StoredAlert:
    """The alert that is so many after the latest about its incident."""
    facts = msgspec.structs.replace(stored.facts, text=rules.still_down_text(stored.began_at, now))
    sequence = stored.sequence + number
    return StoredAlert(uuid7(), stored.workspace_id, incident_id, alert_type, incident_id, sequence, None, now, facts)


def _row(alert: StoredAlert, monitor_id: int) -> AlertRow:
    facts = msgspec.json.encode(alert.facts).decode()
    return AlertRow(
        alert.id, alert.workspace_id, monitor_id, alert.incident_id, alert.alert_type, alert.order_key, alert.sequence, facts
    )
