"""Why people were told of an incident, or were not: everything that is known about its messages, step by step in the order of time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

from core.domain.alert_routes import Chosen
from core.domain.alert_words import alert_state, explain_alert, explain_message, moment

type StepKind = Literal["incident", "alert", "channel", "delivery", "outbox", "dead letter"]
STEP_KINDS: Final[tuple[str, ...]] = get_args(StepKind.__value__)


@dataclass(frozen=True, slots=True)
class Outage:
    """The incident itself. `cause` names the monitor whose outage explains it, `next_at` is when its route goes on, if it does."""

    id: UUID
    workspace_id: UUID
    monitor: str
    reason: str
    detail: str
    began_at: datetime
    opened_at: datetime
    resolved_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    cause: str | None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """An alert about the incident. `text` is the sentence that its messages add."""

    id: UUID
    alert_type: str
    sequence: int
    created_at: datetime
    routed_at: datetime | None
    due_at: datetime | None
    held_reason: str
    dropped: bool
    text: str
    chosen_by: str = ""
    route_name: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A delivery of an alert to a channel."""

    id: UUID
    alert_id: UUID
    channel_id: UUID
    config_version: int
    state: str
    generation: int
    attempts: int
    requested_at: datetime
    receipt_due_at: datetime | None
    retry_at: datetime | None
    finished_at: datetime | None
    error_type: str
    error: str
    group_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """A channel of the workspace, as it is now."""

    id: UUID
    name: str
    kind: str
    created_at: datetime
    disabled_at: datetime | None
    disabled_reason: str
    unverified_since: datetime | None

    @property
    def label(self) -> str:
        """How people know it."""
        return f"{self.name} ({self.kind})"


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """An event about the incident that the bus has not taken yet."""

    event_type: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A message about a delivery that nobody could handle."""

    queue: str
    delivery_id: UUID
    sent_at: datetime
    received: int


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known about an incident's messages."""

    outage: Outage
    alerts: Sequence[ToldAlert]
    messages: Sequence[Message]
    receivers: Sequence[Receiver]
    waiting: Sequence[WaitingEvent]
    letters: Sequence[Letter] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened at a time, or is to happen then."""

    at: datetime
    what: StepKind
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """The steps of an incident, ascending by their time."""

    incident_id: UUID
    monitor: str
    steps: tuple[Step, ...]


def history(known: Known) -> History:
    """The story, in the order of time; what happened at one time stays in the order of cause and effect."""
    steps = [
        *_of_the_outage(known.outage),
        *(step for alert in known.alerts for step in _of_an_alert(alert, known)),
        *_of_waiting_events(known.waiting),
    ]
    return History(known.outage.id, known.outage.monitor, tuple(sorted(steps, key=lambda step: step.at)))


def _of_the_outage(outage: Outage) -> Iterator[Step]:
    why = f"{outage.reason} ({outage.detail})" if outage.detail else outage.reason
    yield Step(outage.began_at, "incident", outage.monitor, f"Failed for the first time: {why}.")
    cause = f" What it depends on, “{outage.cause}”, explains it." if outage.cause else ""
    yield Step(outage.opened_at, "incident", outage.monitor, f"Confirmed; the incident was opened.{cause}")
    if outage.acknowledged_at:
        yield Step(outage.acknowledged_at, "incident", outage.monitor, f"Acknowledged by {outage.acknowledged_by}.")
    if outage.resolved_at:
        yield Step(outage.resolved_at, "incident", outage.monitor, "Up again; the incident was resolved.")
    elif outage.next_at and not outage.acknowledged_at:
        yield Step(
            outage.next_at, "alert", "next", "Its route goes on then: a later step is told, or a reminder goes to those who know."
        )


def _of_an_alert(alert: ToldAlert, known: Known) -> Iterator[Step]:
    note = f" It says: “{alert.text}”" if alert.text else ""
    place = "the last message" if alert.alert_type == "recovered" else f"message {alert.sequence}"
    yield Step(alert.created_at, "alert", alert.alert_type, f"Wanted, as {place} of the incident.{note}")
    messages = {message.channel_id: message for message in known.messages if message.alert_id == alert.id}
    decided_at = alert.routed_at or alert.created_at
    yield Step(decided_at, "alert", alert.alert_type, explain_alert(alert))
    if alert_state(alert) != "sent":
        return
    for receiver in known.receivers:
        if message := messages.get(receiver.id):
            yield from _of_a_message(message, receiver, known.letters)
        else:
            yield Step(decided_at, "channel", receiver.label, _why_not(receiver, alert, decided_at))
    if not messages:
        yield Step(decided_at, "channel", "none", "Nobody was told: no channel was chosen.")


def _of_a_message(message: Message, receiver: Receiver, letters: Iterable[Letter]) -> Iterator[Step]:
    version = f"version {message.config_version} of the channel"
    yield Step(message.requested_at, "delivery", receiver.label, f"Asked for, with {version}: delivery {message.id}.")
    if message.generation > 1:
        again = f"Asked for {message.generation} times by now, because no receipt came in time."
        yield Step(message.requested_at, "delivery", receiver.label, again)
    yield Step(message.finished_at or message.requested_at, "delivery", receiver.label, explain_message(message))
    for letter in letters:
        if letter.delivery_id == message.id:
            text = f"Among the dead letters of {letter.queue}, received {letter.received} times; `redrive {letter.queue}` tries it again."
            yield Step(letter.sent_at, "dead letter", receiver.label, text)


def _why_not(receiver: Receiver, alert: ToldAlert, decided_at: datetime) -> str:
    """From the channel as it is now: what it was then is not kept."""
    if receiver.created_at > decided_at:
        return f"Not told: it was added later, on {moment(receiver.created_at)}."
    if receiver.disabled_at:
        why = f": {receiver.disabled_reason}" if receiver.disabled_reason else ""
        return f"Not told: it is disabled since {moment(receiver.disabled_at)}{why}."
    if receiver.unverified_since:
        return "Not told: nobody has answered from its address yet."
    if alert.chosen_by == Chosen.ROUTE:
        return f"Not told by this message: it is in another step of the route “{alert.route_name}”, or in none."
    return "Not told: it was not chosen, or was disabled at that time."


def _of_waiting_events(waiting: Iterable[WaitingEvent]) -> Iterator[Step]:
    for event in waiting:
        yield Step(event.written_at, "outbox", event.event_type, "Waits in the outbox: the bus has not taken it yet.")
