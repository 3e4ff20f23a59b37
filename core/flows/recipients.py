"""Who is told of an alert, and when: the channels that its messages go to, chosen inside the transaction that writes its deliveries.

Invariants: an alert reaches somebody wherever a channel is enabled, whatever the routes say; what follows upon an alert goes to those who
were told of it and to nobody else; an outage of which somebody is still to be told has a row with the time, which the sweep finds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import structs

from core.adapters.database import Connection
from core.adapters.store import alerts as alert_store
from core.adapters.store import courses as course_store
from core.adapters.store import routes as store
from core.adapters.store.alerts import ChannelRef, StoredAlert
from core.adapters.store.routes import Asked
from core.contracts.events import AlertType
from core.domain import alert_routes as rules
from core.domain.alert_routes import Chosen, Course, Plan, Route, Severity, Subject
from core.flows.requests import Addressed
from core.logs import get_logger

log = get_logger(__name__)

OF_ONE_OUTAGE: Final = frozenset({"acknowledged", "unacknowledged"})
"""What goes to those who were told of this very outage, and not of its end."""

FOLLOWING: Final = OF_ONE_OUTAGE | {"recovered", "monitored_again", "fast_again"}
"""What goes to those who were told of what it follows upon."""

OUTAGE: Final[AlertType] = "down"


@dataclass(frozen=True, slots=True)
class Timing:
    """How long an outage must last before it is told, and until when nothing is told."""

    delay: timedelta
    quiet_until: datetime | None


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of workspaces, and what they ask about monitors; `asked` is empty where there are none."""

    of: Mapping[UUID, Sequence[Route]] = field(default_factory=dict)
    asked: Mapping[UUID, Asked] = field(default_factory=dict)

    def route(self, alert: StoredAlert) -> Route | None:
        """The route of an alert."""
        return rules.matching(self._subject(alert), self.of.get(alert.workspace_id, ()))

    def timing(self, alert: StoredAlert, now: datetime) -> Timing:
        """When an alert is told, by its route."""
        route = self.route(alert)
        return Timing(rules.delay(route), rules.quiet_until(route, self._subject(alert).severity, now))

    def _subject(self, alert: StoredAlert) -> Subject:
        monitor = alert.facts.monitor
        if monitor is None:
            return rules.subject_of(alert.alert_type, Severity.CRITICAL)
        known = self.asked.get(monitor.id, Asked(monitor.kind, [], Severity.CRITICAL))
        return rules.subject_of(alert.alert_type, known.severity, monitor.id, known.kind, known.tags)


def routes_for(connection: Connection, alerts: Sequence[StoredAlert]) -> Routes:
    """The routes for these alerts, of any workspaces, as they are now."""
    routes = store.enabled(connection, {alert.workspace_id for alert in alerts}) if alerts else {}
    monitors = {alert.facts.monitor.id for alert in alerts if alert.facts.monitor and alert.workspace_id in routes}
    return Routes(routes, store.asked(connection, monitors) if monitors else {})


def address(connection: Connection, alerts: Sequence[StoredAlert], routes: Routes, now: datetime) -> list[Addressed]:
    """The alerts, those of a monitor in their order, with their channels, which cannot be deleted until the transaction ends.

    Writes down by what the channels were chosen, and when somebody is to be told next of an outage.
    """
    if not alerts:
        return []
    channels = alert_store.lock_channels(connection, {alert.workspace_id for alert in alerts})
    heard = _heard(connection, alerts)
    addressed: list[Addressed] = []
    plans: list[tuple[StoredAlert, Plan]] = []
    for alert in alerts:
        known = {channel.id: channel for channel in channels[alert.workspace_id]}
        enabled = [channel.id for channel in known.values() if not channel.disabled]
        if alert.only_channel_id:
            told: Collection[UUID] = [alert.only_channel_id]
        elif alert.alert_type in FOLLOWING:
            told = heard.follow(alert) & set(enabled)
            alert = _with_ends(connection, alert, heard.end(alert))  # noqa: PLW2901  (the alert as it is told)
        else:
            plan = rules.plan(routes.route(alert), enabled)
            plans.append((alert, plan))
            told = plan.first
            heard.tell(alert, told)
        addressed.append(_addressed(alert, told, known))
    note_choice(connection, plans)
    _begin_courses(connection, plans, now)
    return addressed


def among(channels: Iterable[ChannelRef], told: Collection[UUID]) -> list[ChannelRef]:
    """Those of the channels that are told, in the order of their ids."""
    return sorted((channel for channel in channels if channel.id in told), key=lambda channel: channel.id)


def note_choice(connection: Connection, plans: Sequence[tuple[StoredAlert, Plan]]) -> None:
    """Write down by which routes the channels of alerts were chosen."""
    chosen = [(alert.id, plan.chosen, plan.route.name) for alert, plan in plans if plan.route]
    store.note(connection, chosen)
    for alert_id, by, name in chosen:
        if by is Chosen.FALLBACK:
            log.warning("alert.route_reaches_nobody", alert_id=str(alert_id), route=name)


@dataclass(slots=True)
class _Heard:
    """Who was told of what, by `_story`; alerts that are being addressed are added as they come. `keys` are the order keys of that."""

    told: dict[UUID, set[UUID]]
    keys: dict[UUID, set[UUID]]

    def tell(self, alert: StoredAlert, channels: Collection[UUID]) -> None:
        self.told.setdefault(_story(alert), set()).update(channels)
        self.keys.setdefault(_story(alert), set()).add(alert.order_key)

    def follow(self, alert: StoredAlert) -> set[UUID]:
        """Those who were told of what this follows upon."""
        return self.told.get(_story(alert), set())

    def end(self, alert: StoredAlert) -> list[UUID]:
        """A recovery is the end of all of it: of what, besides its own outage."""
        if alert.alert_type != "recovered":
            return []
        self.told.pop(_story(alert), None)
        return sorted(self.keys.pop(_story(alert), set()) - {alert.order_key})


def _heard(connection: Connection, alerts: Sequence[StoredAlert]) -> _Heard:
    following = [alert for alert in alerts if alert.alert_type in FOLLOWING]
    outages = {_story(alert) for alert in following if alert.alert_type in OF_ONE_OUTAGE}
    monitors = {_story(alert) for alert in following if alert.incident_id} - outages
    gaps = {_story(alert) for alert in following if not alert.incident_id}
    told: dict[UUID, set[UUID]] = {}
    keys: dict[UUID, set[UUID]] = {}
    for one in store.told(connection, monitors, [alert.id for alert in alerts]) if monitors else ():
        told.setdefault(one.monitor, set()).add(one.channel)
        keys.setdefault(one.monitor, set()).add(one.order_key)
    told |= store.told_of_open_outages(connection, outages) if outages else {}
    return _Heard(told | (store.told_of_gaps(connection, gaps) if gaps else {}), keys)


def _with_ends(connection: Connection, alert: StoredAlert, ends: list[UUID]) -> StoredAlert:
    """Stored with it, because what is asked for again has to say the same."""
    if not ends:
        return alert
    facts = structs.replace(alert.facts, ends=ends)
    alert_store.note_ends(connection, alert.id, facts)
    return replace(alert, facts=facts)


def _story(alert: StoredAlert) -> UUID:
    """What an alert is about: outages are the story of their monitor, everything else has one of its own.

    Who has taken an outage on is its own story as well: the next outage of the monitor has other readers.
    """
    of_monitor = (alert.incident_id and alert.alert_type not in OF_ONE_OUTAGE) or alert.alert_type == "flapping"
    return alert.facts.monitor.id if of_monitor and alert.facts.monitor else alert.order_key


def _addressed(alert: StoredAlert, told: Collection[UUID], known: Mapping[UUID, ChannelRef]) -> Addressed:
    channels = among(known.values(), told)
    if not channels:
        log.warning("alert.no_channels", alert_id=str(alert.id), workspace_id=str(alert.workspace_id))
    return Addressed(alert, channels)


def _begin_courses(connection: Connection, plans: Sequence[tuple[StoredAlert, Plan]], now: datetime) -> None:
    due = [
        (alert.incident_id, at)
        for alert, plan in plans
        if alert.alert_type == OUTAGE and alert.incident_id
        if (at := rules.next_at(plan, Course(now, now, frozenset(plan.first))))
    ]
    course_store.begin(connection, due, now)
