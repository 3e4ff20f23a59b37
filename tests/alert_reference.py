"""Who must be told what about outages, said a second time and as simply as possible; the machinery is held to it in every history.

It knows outages, mutes, acknowledgements, channels that are added, one route with a delay and reminders, and that few outages are told
within an hour; not several routes and their steps, quiet hours, windows, dependencies and flapping.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.contracts.events import RECOVERY_SEQUENCE
from core.flows.routing import ROUTING_GRACE

type Channels = frozenset[UUID]

HOUR: Final = timedelta(hours=1)
OUTAGES_AN_HOUR: Final = 4
TICK: Final = timedelta(microseconds=1)
"""Between alerts that are decided together."""


@dataclass
class Outage:
    """One incident. `told` says by its place what each message is and who gets it, `know` who was told of it and not of its end.

    At `look_at` somebody sees whether people are to be reminded; while it is in somebody's hands that waits.
    """

    id: UUID
    ended_at: datetime | None = None
    is_taken_on: bool = False
    places: int = 1
    know: Channels = frozenset()
    told: dict[int, tuple[str, Channels]] = field(default_factory=dict)
    reminded_at: datetime | None = None
    look_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.ended_at is not None

    def last_word(self) -> dict[UUID, str]:
        """What each channel has heard last of it, once nothing is under way any more."""
        return {channel: message for _, (message, channels) in sorted(self.told.items()) for channel in channels}


@dataclass
class Alert:
    """What is committed and not decided: a message, and its place among those about its outage."""

    outage: Outage
    place: int
    message: str
    since: datetime
    was_held: bool = False

    def is_overlooked(self, now: datetime) -> bool:
        """Whether its task had its time, so that a sweep decides."""
        return self.since < now - ROUTING_GRACE


@dataclass
class Story:
    """One monitor: what happened to it, and what of that is told to whom."""

    channels: set[UUID]
    """Those of the workspace, or of its route: an outage is told to all that there are when it is decided."""

    delay: timedelta = timedelta()
    repeat: timedelta | None = None

    outages: list[Outage] = field(default_factory=list)
    muted_until: datetime | None = None
    changes: list[Alert] = field(default_factory=list)
    notices: list[Alert] = field(default_factory=list)
    outages_told_at: list[datetime] = field(default_factory=list)
    told_at: datetime | None = None

    @property
    def is_down(self) -> bool:
        """Whether its latest outage lasts."""
        return bool(self.outages) and not self.outages[-1].is_over

    def is_muted(self, now: datetime) -> bool:
        """Whether somebody asked for silence."""
        return self.muted_until is not None and now < self.muted_until

    def last_word(self) -> dict[UUID, str]:
        """What each channel has heard last of the monitor."""
        return {channel: message for outage in self.outages for channel, message in outage.last_word().items()}

    # --- what happens -----------------------------------------------------------------------------------------------

    def goes_down(self, incident: UUID, now: datetime) -> None:
        """An outage begins."""
        self.outages.append(Outage(incident))
        self.changes.append(Alert(self.outages[-1], 1, "down", now))

    def comes_up(self, now: datetime) -> None:
        """It ends."""
        self.outages[-1].ended_at = now
        self.changes.append(Alert(self.outages[-1], RECOVERY_SEQUENCE, "recovered", now))

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

    # --- what is decided --------------------------------------------------------------------------------------------

    def decide(self, now: datetime) -> None:
        """About all changes, in their order. Of an outage that is kept back the decision waits while it lasts."""
        changes, self.changes = self.changes, []
        first = max(now, self.told_at + TICK) if self.told_at else now
        for number, change in enumerate(changes):
            if change.message == "recovered":
                self._end(change, first + number * TICK)
            elif change.outage.is_over and (change.was_held or self._is_kept_back(change, now)):
                continue
            elif self._is_kept_back(change, now):
                change.was_held = True
                self.changes.append(change)
            else:
                change.outage.know = frozenset(self.channels)
                self._tell(change, first + number * TICK)
                self.outages_told_at.append(first + number * TICK)
                self._look_after(change.outage, now)

    def _is_kept_back(self, change: Alert, now: datetime) -> bool:
        """Somebody asked for silence, this one has not lasted for long, or did not, or enough outages were told of late."""
        is_brief = (change.outage.ended_at or now) < change.since + self.delay
        return self.is_muted(now) or is_brief or sum(now - HOUR < at for at in self.outages_told_at) >= OUTAGES_AN_HOUR

    def _end(self, change: Alert, at: datetime) -> None:
        """Told at once, whatever was asked for, to those who believe that it is down."""
        if change.outage.know:
            self._tell(change, at)
            change.outage.know = frozenset()

    def _tell(self, change: Alert, at: datetime) -> None:
        change.outage.told[change.place] = change.message, change.outage.know
        self.told_at = at

    def say(self, notice: Alert) -> None:
        """Who has taken an outage on, to those who know of it; nobody needs it who was told of the end meanwhile."""
        self.notices.remove(notice)
        if notice.outage.know:
            notice.outage.told[notice.place] = notice.message, notice.outage.know

    def _look_after(self, outage: Outage, reminded_at: datetime) -> None:
        outage.reminded_at = reminded_at
        outage.look_at = reminded_at + self.repeat if self.repeat else None

    def look_again(self, now: datetime) -> None:
        """What kept messages back may be over."""
        for outage in self.outages:
            outage.look_at = now if outage.look_at else None

    def _remind(self, outage: Outage, now: datetime) -> None:
        """Those who know, of what lasts; while somebody asks for silence that waits."""
        assert self.repeat
        assert outage.reminded_at
        if outage.is_over:
            outage.look_at = None
        elif outage.is_taken_on:
            return
        elif self.is_muted(now):
            outage.look_at = self.muted_until
        elif now < outage.reminded_at + self.repeat:
            outage.look_at = outage.reminded_at + self.repeat
        else:
            outage.places += 2  # the first is for whoever a later step names
            outage.told[outage.places] = "reminder", outage.know
            self._look_after(outage, now)

    def sweep(self, now: datetime) -> None:
        """Decide about what nobody has decided about in time, changes first, and about what was held; then remind people."""
        if any(change.was_held or change.is_overlooked(now) for change in self.changes):
            self.decide(now)
        for notice in [notice for notice in self.notices if notice.is_overlooked(now)]:
            self.say(notice)
        for outage in self.outages:
            if outage.look_at and outage.look_at <= now:
                self._remind(outage, now)
