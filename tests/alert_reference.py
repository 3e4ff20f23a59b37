"""Who must be told what about outages, said a second time and as simply as possible; the machinery is held to it in every history.

It knows outages, mutes, acknowledgements, channels that are added, that few outages are told within an hour, monitors that flap, and routes
(`tests.route_reference`) with their steps, reminders and quiet hours; not maintenance windows, dependencies, and channels that are lost.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from core.contracts.events import RECOVERY_SEQUENCE
from core.flows.routing import ROUTING_GRACE
from tests.route_reference import Channels, Route, Step, Subject, route_of

HOUR: Final = timedelta(hours=1)
OUTAGES_AN_HOUR: Final = 4
FLAPS: Final = 6
FLAPS_WITHIN: Final = timedelta(minutes=30)
STABLE: Final = timedelta(minutes=10)
TICK: Final = timedelta(microseconds=1)
"""Between alerts that are decided together."""

EXPLAINED: Final = frozenset({"muted", "quiet hours", "delayed", "untold"})
"""Why changes are kept back that are no flapping."""

type Told = tuple[str, Channels]


@dataclass
class Outage:
    """One incident. `told` says by its place what each message is and who gets it, `know` who was told of it while its end is undecided.

    `told_at` is when they were told first; at `look_at` somebody sees who is to be told next. While it is in somebody's hands that waits.
    """

    id: UUID
    ended_at: datetime | None = None
    is_taken_on: bool = False
    places: int = 1
    know: Channels = frozenset()
    told: dict[int, Told] = field(default_factory=dict)
    told_at: datetime | None = None
    reminded_at: datetime | None = None
    look_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.ended_at is not None

    def last_words(self) -> dict[UUID, set[str]]:
        """What each channel may have heard last of it, once nothing is under way any more.

        Of an outage whose end nobody was told, because it flapped, that may be anything: what comes late is worth little then, and that it
        flapped nothing at all.
        """
        heard: dict[UUID, set[str]] = defaultdict(set)
        for _, (message, channels) in sorted(self.told.items()):
            for channel in channels:
                is_worth_little = self.is_over and RECOVERY_SEQUENCE not in self.told
                heard[channel] = heard[channel] | {message, *[""] * (message == "flapping")} if is_worth_little else {message}
        return heard


@dataclass
class Alert:
    """What is committed and not decided: a message, and its place among those about its outage.

    `why` it was kept back, until now or for good; what is being kept back is decided again at `look_at`.
    """

    outage: Outage
    place: int
    message: str
    since: datetime
    why: str = ""
    look_at: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether a sweep decides: its task had its time, or what kept it back may be over."""
        return self.look_at <= now if self.look_at else self.since < now - ROUTING_GRACE


@dataclass(frozen=True)
class Verdict:
    """About a change: it is told, waits `until` a time, or is dropped. In its place people may hear that the monitor `flaps`."""

    what: Literal["told", "waits", "dropped"]
    why: str = ""
    until: datetime | None = None
    flaps: bool = False


TOLD: Final = Verdict("told")


@dataclass
class Story:
    """One monitor: what happened to it, and what of that is told to whom.

    `everybody` is all channels that there are, and `routes` those of the workspace; both change. `believe` are those who were told that it
    is down or flaps, and of no end since; `heard` is what was told last, `said` which outage each message was about.
    """

    subject: Subject
    everybody: set[UUID]
    routes: list[Route] = field(default_factory=list)

    outages: list[Outage] = field(default_factory=list)
    muted_until: datetime | None = None
    changes: list[Alert] = field(default_factory=list)
    notices: list[Alert] = field(default_factory=list)
    past: list[Alert] = field(default_factory=list)
    outages_told_at: list[datetime] = field(default_factory=list)
    told_at: datetime | None = None
    heard: str = ""
    believe: Channels = frozenset()
    said: list[tuple[Outage, Channels]] = field(default_factory=list)

    @property
    def is_down(self) -> bool:
        """Whether its latest outage lasts."""
        return bool(self.outages) and not self.outages[-1].is_over

    @property
    def route(self) -> Route:
        """That of its alerts, as it is now; they have one severity."""
        return route_of(self.subject, self.routes, self.everybody)

    def is_muted(self, now: datetime) -> bool:
        """Whether somebody asked for silence."""
        return self.muted_until is not None and now < self.muted_until

    def last_words(self) -> dict[UUID, set[str]]:
        """The same of the monitor."""
        return {channel: outage.last_words()[channel] for outage, channels in self.said for channel in channels}

    # --- what happens -----------------------------------------------------------------------------------------------

    def goes_down(self, incident: UUID, now: datetime) -> None:
        """An outage begins."""
        self.outages.append(Outage(incident))
        self._changes(Alert(self.outages[-1], 1, "down", now))

    def comes_up(self, now: datetime) -> None:
        """It ends."""
        self.outages[-1].ended_at = now
        self._changes(Alert(self.outages[-1], RECOVERY_SEQUENCE, "recovered", now))

    def _changes(self, change: Alert) -> None:
        self.changes.append(change)
        self.past.append(change)

    def changes_hands(self, *, taken_on: bool, now: datetime) -> Alert | None:
        """Somebody takes the outage on or gives it back; what follows. Nothing, where it is so already or nobody knows of the outage."""
        outage = self.outages[-1]
        if outage.is_taken_on == taken_on:
            return None
        outage.is_taken_on = taken_on
        if outage.look_at and not taken_on:
            outage.reminded_at = outage.look_at = now
        if not outage.know:
            return None
        outage.places += 1
        notice = Alert(outage, outage.places, "acknowledged" if taken_on else "unacknowledged", now)
        self.notices.append(notice)
        return notice

    # --- what is decided about changes ------------------------------------------------------------------------------

    def decide(self, now: datetime) -> None:
        """About all of them, in their order."""
        changes, self.changes = self.changes, []
        counted = [change.since for change in self.past if change.why not in EXPLAINED]
        first = max(now, self.told_at + TICK) if self.told_at else now
        heard = self.heard
        for number, change in enumerate(changes):
            at = first + number * TICK
            verdict = self._judge(change, heard, counted, now, is_latest=change is changes[-1])
            change.why, change.look_at = verdict.why or change.why, verdict.until
            if verdict.what == "told":
                self._tell(change, at, now)
            elif verdict.what == "waits":
                self.changes.append(change)
            if verdict.flaps:
                self._note_flapping(change, at)
            if change.message == "recovered" and verdict.what != "waits":
                change.outage.know = frozenset()
            if verdict.what == "told" or verdict.flaps:
                heard = self.heard
            elif change.message == "recovered" and verdict.why == "quiet hours":
                heard = "recovered"

    def _judge(self, change: Alert, heard: str, counted: Sequence[datetime], now: datetime, *, is_latest: bool) -> Verdict:
        """`heard` is what people will have heard when they hear this, `counted` are the times that count for flapping."""
        if change.message == "recovered" and heard not in {"down", "flapping"}:
            return Verdict("dropped", "untold")
        if heard == "flapping":
            return self._settles(change, now, is_latest=is_latest)
        reasons = list(self._reasons(change, now))
        if change.message == "down" and change.outage.is_over and (change.why or reasons):
            return Verdict("dropped", change.why or reasons[0][0])
        if reasons:
            return Verdict("waits", *reasons[0])
        flaps = sum(change.since - FLAPS_WITHIN < at <= change.since for at in counted) >= FLAPS
        if flaps and not (is_latest and now >= change.since + STABLE):
            return Verdict(
                "waits" if is_latest else "dropped", "flapping", change.since + STABLE if is_latest else None, flaps=True
            )
        return TOLD

    def _settles(self, change: Alert, now: datetime, *, is_latest: bool) -> Verdict:
        """People know that it flaps, and hear of the change after which it stood still."""
        if not is_latest:
            return Verdict("dropped", "flapping")
        if now < change.since + STABLE:
            return Verdict("waits", "flapping", change.since + STABLE)
        return next((Verdict("waits", *reason) for reason in self._reasons(change, now)), TOLD)

    def _reasons(self, change: Alert, now: datetime) -> Iterator[tuple[str, datetime]]:
        """To keep a change back, and until when. The end of what people know waits for the end of quiet hours alone."""
        quiet_until, told_from = self.route.quiet_until(self.subject, now), change.since + self.route.delay
        if change.message == "down" and self.muted_until and self.is_muted(now):
            yield "muted", self.muted_until
        if quiet_until:
            yield "quiet hours", quiet_until
        if change.message == "down" and (change.outage.ended_at or now) < told_from:
            yield "delayed", told_from
        recent = sorted(at for at in self.outages_told_at if now - HOUR < at)
        if change.message == "down" and len(recent) >= OUTAGES_AN_HOUR:
            yield "throttled", recent[-OUTAGES_AN_HOUR] + HOUR

    def _tell(self, change: Alert, at: datetime, now: datetime) -> None:
        """An outage, to those who are told first; its end, to all who believe that it is down."""
        self.heard, self.told_at = change.message, at
        if change.message == "down":
            channels = change.outage.know = self.route.first
            self.believe |= channels
            self.outages_told_at.append(at)
            self._begin(change.outage, now)
        else:
            channels, self.believe = self.believe, frozenset()
        change.outage.told[change.place] = change.message, channels
        self.said.append((change.outage, channels))

    def _note_flapping(self, change: Alert, at: datetime) -> None:
        """Right before what is told of the change, if anything will be."""
        self.heard, self.told_at = "flapping", at
        self.believe |= self.route.first
        change.outage.told[change.place - 1] = "flapping", self.route.first
        self.said.append((change.outage, self.route.first))

    # --- what is decided about who has taken an outage on -----------------------------------------------------------

    def say(self, notice: Alert, now: datetime) -> None:
        """To those who know of the outage; nobody needs it who was told of the end meanwhile. In quiet hours that waits."""
        notice.look_at = self.route.quiet_until(self.subject, now)
        if notice.look_at:
            return
        self.notices.remove(notice)
        if notice.outage.know:
            notice.outage.told[notice.place] = notice.message, notice.outage.know
            self.said.append((notice.outage, notice.outage.know))

    # --- what is decided about outages that last --------------------------------------------------------------------

    def _begin(self, outage: Outage, now: datetime) -> None:
        outage.told_at = outage.reminded_at = now
        outage.look_at = self._next(outage)

    def _next(self, outage: Outage) -> datetime | None:
        """When somebody is told for the first time, or once more."""
        assert outage.reminded_at
        times = [self._time_of(outage, step) for step in self.route.steps if not step.channels <= outage.know]
        if self.route.repeat:
            times.append(outage.reminded_at + self.route.repeat)
        return min(times, default=None)

    def _time_of(self, outage: Outage, step: Step) -> datetime:
        assert outage.told_at
        return outage.told_at + step.after - self.route.delay

    def look_again(self, now: datetime) -> None:
        """What kept messages back may be over."""
        everything: list[Alert | Outage] = [*self.changes, *self.notices, *self.outages]
        for waiting in everything:
            waiting.look_at = now if waiting.look_at else None

    def _go_on(self, outage: Outage, now: datetime) -> None:
        """Those whose step has come hear of what lasts, and those who know once more. While there is silence that waits."""
        silent_until = (self.muted_until if self.is_muted(now) else None) or self.route.quiet_until(self.subject, now)
        if outage.is_over:
            outage.look_at = None
        elif outage.is_taken_on:
            return
        elif silent_until:
            outage.look_at = silent_until
        else:
            self._tell_more(outage, now)
            outage.look_at = self._next(outage)

    def _tell_more(self, outage: Outage, now: datetime) -> None:
        """Places are kept for both messages, whether they are told or not, but those that nobody took are given again."""
        assert outage.reminded_at
        come = [step.channels for step in self.route.steps if self._time_of(outage, step) <= now]
        first_told, again = frozenset[UUID]().union(*come) - outage.know, frozenset[UUID]()
        if self.route.repeat and outage.reminded_at + self.route.repeat <= now:
            outage.reminded_at, again = now, outage.know
        place = outage.places
        for number, message, channels in ((1, "escalated", first_told), (2, "reminder", again)):
            if channels:
                outage.places = place + number
                outage.told[outage.places] = message, channels
                self.said.append((outage, channels))
        outage.know |= first_told
        self.believe |= first_told

    def sweep(self, now: datetime) -> None:
        """Decide about what is due, changes first; then tell more of outages that last."""
        if any(change.is_due(now) for change in self.changes):
            self.decide(now)
        for notice in [notice for notice in self.notices if notice.is_due(now)]:
            self.say(notice, now)
        for outage in self.outages:
            if outage.look_at and outage.look_at <= now:
                self._go_on(outage, now)
