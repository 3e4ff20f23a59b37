"""What was decided about an alert, and what became of its messages, in sentences for people."""

from datetime import datetime
from typing import Final, Literal, Protocol
from uuid import UUID

from core.domain.alert_policy import Why
from core.domain.alert_routes import Chosen

type AlertState = Literal["waiting", "held", "sent", "dropped"]

HELD_WHILE: Final = {
    "": "",
    Why.MAINTENANCE: "a maintenance window lasts",
    Why.DEPENDENCY: "what the monitor depends on is down, has failures, or has just come up",
    Why.FLAPPING: "the monitor is flapping",
    Why.PAUSED: "the monitor is paused",
    Why.MUTED: "the monitor is muted",
    Why.QUIET_HOURS: "its route has quiet hours",
    Why.DELAYED: "its route waits whether the outage lasts",
    Why.THROTTLED: "several outages of the monitor were told within the hour",
}
DROPPED_BECAUSE: Final = {
    Why.MAINTENANCE: "it began and ended within a maintenance window",
    Why.DEPENDENCY: "the outage was over before or with that of what the monitor depends on",
    Why.FLAPPING: "the monitor was flapping and changed again",
    Why.PAUSED: "the outage was over when the monitor was resumed",
    Why.MUTED: "the outage was over while the monitor was still muted",
    Why.QUIET_HOURS: "the outage was over before the quiet hours were",
    Why.DELAYED: "the outage was over before the first step of its route",
    Why.THROTTLED: "several outages of the monitor had been told within the hour, and this one was over before the next may be",
    Why.UNTOLD: "nobody had been told of the outage",
}
TOLD_TOGETHER: Final = {
    "requested": "Told together with others; the message about all of them has not arrived yet.",
    "delivered": "The channel took the message that told this together with others.",
}


class DecidedAlert(Protocol):
    """An alert, as far as the decision about it goes."""

    @property
    def routed_at(self) -> datetime | None:
        """When it was decided; None: it waits, or is held."""

    @property
    def due_at(self) -> datetime | None:
        """When one that is held is decided again."""

    @property
    def held_reason(self) -> str:
        """Why it is, or was, held or dropped; mostly empty."""

    @property
    def dropped(self) -> bool:
        """Whether nobody is told."""

    @property
    def chosen_by(self) -> str:
        """By what its channels were chosen (`core.domain.alert_routes.Chosen`)."""

    @property
    def route_name(self) -> str:
        """The route by which they were; empty without one."""


class SentMessage(Protocol):
    """A delivery, as far as people want to know."""

    @property
    def state(self) -> str:
        """`requested`, `delivered`, `failed` or `superseded`."""

    @property
    def attempts(self) -> int:
        """How often it was tried."""

    @property
    def receipt_due_at(self) -> datetime | None:
        """When it is asked for again."""

    @property
    def retry_at(self) -> datetime | None:
        """When the next attempt is."""

    @property
    def error(self) -> str:
        """What the last attempt met."""

    @property
    def group_id(self) -> UUID | None:
        """The group that it was told in; None: it was told alone."""


def alert_state(alert: DecidedAlert) -> AlertState:
    """What was decided about an alert."""
    if alert.routed_at is None:
        return "waiting" if alert.due_at is None else "held"
    return "dropped" if alert.dropped else "sent"


def explain_alert(alert: DecidedAlert) -> str:
    """The same in a sentence."""
    held_while = HELD_WHILE.get(alert.held_reason, alert.held_reason)
    match alert_state(alert):
        case "waiting":
            return "Nothing was decided yet."
        case "held":
            return f"Held while {held_while}; decided again by {moment(alert.due_at)}."
        case "dropped":
            return f"Not sent: {DROPPED_BECAUSE.get(Why(alert.held_reason), alert.held_reason)}."
    sent = f"Sent, after it was held while {held_while}" if held_while else "Sent"
    return f"{sent}{_whereto(alert)}."


def _whereto(alert: DecidedAlert) -> str:
    match alert.chosen_by:
        case Chosen.ROUTE:
            return f", by the route “{alert.route_name}”"
        case Chosen.FALLBACK:
            return f", to every channel, because the route “{alert.route_name}” leads to none that is enabled"
    return ""


def explain_message(message: SentMessage) -> str:
    """The state of a delivery in a sentence."""
    if message.group_id and message.state in TOLD_TOGETHER:
        return TOLD_TOGETHER[message.state]
    tries = "1 attempt" if message.attempts == 1 else f"{message.attempts} attempts"
    match message.state:
        case "delivered":
            return f"The channel took the message after {tries}."
        case "superseded":
            return "Not sent: a later message had already told the whole story, or the monitor's next outage showed that this one was over."
        case "failed":
            return f"Given up after {tries}: {message.error or 'no reason was given'}"
    return _explain_pending(message)


def _explain_pending(message: SentMessage) -> str:
    if message.retry_at is not None:
        return f"The last attempt failed ({message.error}); the next is at {moment(message.retry_at)}."
    if message.receipt_due_at is not None:
        return f"On its way; asked for again if nothing is heard by {moment(message.receipt_due_at)}."
    return "On its way."


def moment(at: datetime | None) -> str:
    """A time as people read it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "some time"
