"""From a committed alert to the decision about it: sent, held or dropped.

Invariants: an alert is routed once, in one transaction with its deliveries; the alerts of one monitor are decided in their order, under the
lock of its row; an alert that is held has a time at which the sweep decides again, so no task that dies can silence it.

Alerts of many monitors share a transaction and its statements, as far as nobody else holds their monitors: whoever holds many rows must not
wait for another. What is left over, for whatever reason, is routed alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import batched
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import alerts as store
from core.adapters.store import incidents as incident_store
from core.adapters.store import maintenance as window_store
from core.adapters.store import routes as route_store
from core.adapters.store import situations
from core.adapters.store.alerts import Saved, StoredAlert
from core.adapters.store.incidents import AlertRow
from core.adapters.store.situations import Situation
from core.contracts.events import AlertType
from core.domain.alert_facts import AlertFacts
from core.domain.alert_policy import LOOK_BACK, Change, Decision, Drop, Facts, Hold, Send, Why, decide, flapping_text, patience
from core.domain.maintenance import Window
from core.domain.uptime import Span
from core.domain.website import UNKNOWN_TOLERANCE
from core.flows.alert_metrics import count_held
from core.flows.grouping import group
from core.flows.recipients import Routes, Timing, address, routes_for
from core.flows.requests import RECEIPT_TIMEOUT, UNTELLABLE, request_messages
from core.logs import get_logger

log = get_logger(__name__)

ROUTING_GRACE: Final = timedelta(seconds=2)
"""How long a committed alert may wait for its task before the sweep routes it."""

SWEEP_LIMIT: Final = 500
TOGETHER: Final = 100
"""Alerts of one transaction: what it locks must be free again soon."""

FLAPPING: Final = "flapping"
TICK: Final = timedelta(microseconds=1)
"""Between the alerts of a monitor that one transaction decides: the latest of them is what people heard last."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision about one alert about a change."""

    alert: StoredAlert
    change: Change
    decision: Decision


@dataclass(frozen=True, slots=True)
class Routed:
    """What was decided about one monitor. `came_up`: it is up, and others depend on it."""

    monitor_id: int
    verdicts: Sequence[Verdict]
    first_at: datetime
    came_up: bool


def route_alert(connection: Connection, alert_id: UUID, now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT) -> bool:
    """Decide about an alert, and about all of its monitor that wait with it. An alert that has been routed is left alone.

    Returns whether websites were made due by it.
    """
    with connection.transaction():
        monitor_id = store.lock_monitor(connection, alert_id)
        if monitor_id is None:
            _route_alone(connection, alert_id, now, receipt_timeout)
            return False
        routed = _route_monitors(connection, [monitor_id], now, receipt_timeout)
    return _follow_up(connection, routed, now)


def route_alerts(
    connection: Connection,
    alert_ids: Iterable[UUID],
    now: datetime,
    receipt_timeout: timedelta = RECEIPT_TIMEOUT,
    look_soon: Callable[[], object] = lambda: None,
) -> int:
    """Route alerts; returns how many. One that cannot be routed is logged, the others go on.

    `look_soon` is called once websites were made due.
    """
    routed = 0
    made_due = False
    for batch in batched(alert_ids, TOGETHER, strict=False):
        together, due = _route_together(connection, batch, now, receipt_timeout)
        routed += len(together)
        made_due |= due
        for alert_id in (left for left in batch if left not in together):
            try:
                made_due |= route_alert(connection, alert_id, now, receipt_timeout)
            except UNTELLABLE:
                log.exception("alert.not_routable", alert_id=str(alert_id))
            else:
                routed += 1
    if made_due:
        look_soon()
    return routed


def _route_together(
    connection: Connection, alert_ids: Sequence[UUID], now: datetime, receipt_timeout: timedelta
) -> tuple[set[UUID], bool]:
    """Route those of the alerts that are about changes of monitors that nobody holds: which, and whether websites were made due.

    None of them where one cannot be routed: which one, a transaction for each will tell.
    """
    if len(alert_ids) == 1:
        return set(), False
    try:
        with connection.transaction():
            monitors = store.lock_free_monitors(connection, alert_ids)
            routed = _route_monitors(connection, sorted(set(monitors.values())), now, receipt_timeout)
    except UNTELLABLE as error:
        log.warning("alerts.not_routable_together", alerts=len(alert_ids), error=str(error))
        return set(), False
    return set(monitors), _follow_up(connection, routed, now)


def route_waiting(
    connection: Connection,
    now: datetime,
    receipt_timeout: timedelta = RECEIPT_TIMEOUT,
    look_soon: Callable[[], object] = lambda: None,
) -> int:
    """Route alerts whose task was lost, and those whose hold is over; returns how many. `look_soon` as for `route_alerts`."""
    with connection.transaction():
        waiting = store.due(connection, now - ROUTING_GRACE, now, SWEEP_LIMIT)
    return route_alerts(connection, waiting, now, receipt_timeout, look_soon)


def _route_alone(connection: Connection, alert_id: UUID, now: datetime, receipt_timeout: timedelta) -> None:
    """Route an alert that is about no change of state: it is sent, unless quiet hours keep it."""
    alert = store.claim_for_routing(connection, alert_id, now)
    if alert is None:
        return
    routes = routes_for(connection, [alert])
    if alert.alert_type == "monitored_again" and route_store.drop_untold_gap(connection, alert.order_key, now):
        store.save(connection, [Saved(alert.id, now, None, Why.UNTOLD, dropped=True)])
        return
    quiet_until = None if alert.only_channel_id else routes.timing(alert, now).quiet_until
    if quiet_until:
        store.save(connection, [Saved(alert.id, None, quiet_until, Why.QUIET_HOURS)])
        return
    _request(connection, [alert], routes, now, receipt_timeout)


def _route_monitors(
    connection: Connection, monitor_ids: Sequence[int], now: datetime, receipt_timeout: timedelta
) -> list[Routed]:
    """Decide about all that is undecided of monitors whose rows are locked, and write it down."""
    undecided = store.lock_undecided(connection, monitor_ids)
    since = {monitor_id: min(change.at for _, change in waiting) - LOOK_BACK for monitor_id, waiting in undecided.items()}
    seen = situations.situations(connection, since)
    routes = routes_for(connection, [alert for waiting in undecided.values() for alert, _ in waiting])
    routed = [
        Routed(
            monitor_id,
            _decide(connection, monitor_id, waiting, seen[monitor_id], routes=routes, now=now),
            after(seen[monitor_id].heard_at, now),
            came_up=seen[monitor_id].has_dependants and not waiting[-1][1].went_down,
        )
        for monitor_id, waiting in undecided.items()
    ]
    _act(connection, routed, routes, now, receipt_timeout)
    return routed


def _decide(
    connection: Connection,
    monitor_id: int,
    undecided: Sequence[tuple[StoredAlert, Change]],
    seen: Situation,
    *,
    routes: Routes,
    now: datetime,
) -> list[Verdict]:
    changes = [change for _, change in undecided]
    facts = gather(connection, monitor_id, changes, seen, timing=routes.timing(undecided[-1][0], now), now=now)
    decisions = decide(changes, facts, now)
    return [Verdict(alert, change, decision) for (alert, change), decision in zip(undecided, decisions, strict=True)]


def gather(
    connection: Connection, monitor_id: int, changes: Sequence[Change], seen: Situation, *, timing: Timing, now: datetime
) -> Facts:
    """What decides about these changes of a monitor whose row is locked."""
    parent, recovery = None, timedelta()
    if seen.has_parent:
        parent, recovery = situations.parent(connection, monitor_id, now - UNKNOWN_TOLERANCE)
    return Facts(
        seen.heard,
        seen.counted,
        _windows(connection, monitor_id, changes, now) if seen.has_windows else [],
        parent,
        patience(seen.kind, recovery),
        seen.paused,
        seen.muted_until,
        delay=timing.delay,
        quiet_until=timing.quiet_until,
        told=seen.told,
    )


def _windows(connection: Connection, monitor_id: int, changes: Sequence[Change], now: datetime) -> list[Window]:
    earliest = min(min(change.at, change.began_at) for change in changes)
    return [window for _, window in window_store.of_monitor(connection, monitor_id, Span(earliest, now + TICK))]


def _act(connection: Connection, routed: Sequence[Routed], routes: Routes, now: datetime, receipt_timeout: timedelta) -> None:
    """Write down what was decided, and request the messages that follow, in the order of each monitor's changes."""
    told: list[StoredAlert] = []
    saved: list[Saved] = []
    for of_monitor in routed:
        for number, verdict in enumerate(of_monitor.verdicts):
            alert, decision, routed_at = verdict.alert, verdict.decision, of_monitor.first_at + number * TICK
            saved.append(_saved(verdict, routed_at))
            if isinstance(decision, Send):
                told.append(replace(alert, facts=saved[-1].facts or alert.facts))
                continue
            if decision.flapping:
                told.append(_insert_flapping_notice(connection, of_monitor.monitor_id, verdict, now))
                saved.append(Saved(told[-1].id, routed_at))
            if decision.cause and alert.incident_id:
                store.note_cause(connection, alert.incident_id, decision.cause)
    store.save(connection, saved)
    _request(connection, told, routes, now, receipt_timeout)


def _request(
    connection: Connection, told: Sequence[StoredAlert], routes: Routes, now: datetime, receipt_timeout: timedelta
) -> None:
    request_messages(connection, group(connection, address(connection, told, routes, now), now), now, receipt_timeout)


def _saved(verdict: Verdict, routed_at: datetime) -> Saved:
    match verdict.decision:
        case Send(text):
            facts = msgspec.structs.replace(verdict.alert.facts, text=text) if text else None
            return Saved(verdict.alert.id, routed_at, facts=facts)
        case Hold(until, why):
            return Saved(verdict.alert.id, None, until, why)
        case Drop(why):
            return Saved(verdict.alert.id, routed_at, None, why, dropped=True)


def after(heard_at: datetime | None, now: datetime) -> datetime:
    """When alerts count as routed: never before what people heard last, though another process, or a clock that was set, is ahead."""
    return max(now, heard_at + TICK) if heard_at else now


def _insert_flapping_notice(connection: Connection, monitor_id: int, verdict: Verdict, now: datetime) -> StoredAlert:
    """The one message that a monitor began to flap. Its place is right before that of the change at which it began."""
    alert, uid = verdict.alert, uuid7()
    place = alert.sequence - 1
    text = flapping_text(down=verdict.change.went_down)
    facts = AlertFacts(monitor=alert.facts.monitor, incident=alert.facts.incident, text=text)
    row = AlertRow(uid, alert.workspace_id, monitor_id, None, FLAPPING, uid, place, msgspec.json.encode(facts).decode())
    incident_store.insert_alerts(connection, [row], now)
    return StoredAlert(uid, alert.workspace_id, None, FLAPPING, uid, place, None, now, facts)


def _newly_kept(verdicts: Sequence[Verdict]) -> Iterator[tuple[UUID, AlertType]]:
    """Each alert counts once, when it is first held or dropped."""
    for verdict in verdicts:
        monitor = verdict.alert.facts.monitor
        if isinstance(verdict.decision, Hold | Drop) and verdict.change.held is None and monitor:
            yield monitor.id, verdict.alert.alert_type


def _follow_up(connection: Connection, routed: Sequence[Routed], now: datetime) -> bool:
    """Count what was kept, and have the relatives of these monitors checked; whether there was anything to look at."""
    count_held(kept for of_monitor in routed for kept in _newly_kept(of_monitor.verdicts))
    made_due = [_have_relatives_checked(connection, of_monitor, now) for of_monitor in routed]
    return any(made_due)


def _have_relatives_checked(connection: Connection, routed: Routed, now: datetime) -> bool:
    """Ask the parent of a monitor that went down; look at what depends on one that came up, and decide again about what was held.

    Returns whether there was anything to look at. In transactions of their own, because states are locked before alerts everywhere.
    What a crash loses here, the time of each hold makes up for.
    """
    asks_parent = any(isinstance(verdict.decision, Hold) and verdict.decision.ask_parent for verdict in routed.verdicts)
    if asks_parent:
        with connection.transaction():
            situations.check_parent(connection, routed.monitor_id, now)
    if routed.came_up:
        with connection.transaction():
            situations.check_dependants(connection, routed.monitor_id, now)
        with connection.transaction():
            situations.decide_dependants(connection, routed.monitor_id, now)
    return asks_parent or routed.came_up
