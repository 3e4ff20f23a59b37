"""The policy of alerts: rule by rule, and its promise under any sequence of changes, windows, outages of the parent, mutes and dead
routers."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID, uuid5

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.domain.alert_policy import (
    FLAP_CHANGES,
    LOOK_AGAIN,
    PARENT_GRACE,
    STABLE,
    TOLD_AT_MOST,
    TOLD_WITHIN,
    Change,
    Drop,
    Facts,
    Heard,
    Hold,
    Outage,
    Parent,
    Send,
    Why,
    decide,
    flapping_text,
    hold_again,
    is_flapping,
)
from core.domain.maintenance import Window

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ID = UUID("018f0000-0000-7000-8000-000000000001")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
QUIET = Facts(Heard.NOTHING)


def down(at: datetime = NOW, ended_at: datetime | None = None, held: Why | None = None) -> Change:
    return Change(went_down=True, at=at, began_at=at - 20 * SECOND, ended_at=ended_at, held=held)


def up(at: datetime = NOW, held: Why | None = None) -> Change:
    return Change(went_down=False, at=at, began_at=at - MINUTE, ended_at=at, held=held)


def window(first: int, last: int) -> Window:
    return Window(NOW + first * MINUTE, NOW + last * MINUTE)


def in_window(**changes: object) -> Facts:
    return replace(QUIET, windows=[window(-60, 60)], **changes)  # type: ignore[arg-type]  # by name, checked by the class


def with_parent(outage: Outage | None, *, watched: bool = True, failing: bool = False) -> Facts:
    return replace(QUIET, parent=Parent(watched, failing, outage), patience=2 * MINUTE)


class TestNothingToWaitFor:
    def test_an_outage_and_its_end_are_told(self) -> None:
        assert decide([down()], QUIET, NOW) == [Send()]
        assert decide([up()], replace(QUIET, heard=Heard.DOWN), NOW) == [Send()]

    def test_both_are_told_where_the_router_was_away(self) -> None:
        assert decide([down(NOW, NOW + MINUTE), up(NOW + MINUTE)], QUIET, NOW + HOUR) == [Send(), Send()]

    def test_nobody_hears_of_the_end_of_what_nobody_heard(self) -> None:
        assert decide([up()], QUIET, NOW) == [Drop(Why.UNTOLD)]
        assert decide([up()], replace(QUIET, heard=Heard.UP), NOW) == [Drop(Why.UNTOLD)]


class TestMaintenance:
    def test_an_outage_waits_for_the_end_of_the_window(self) -> None:
        assert decide([down()], in_window(), NOW) == [Hold(NOW + HOUR, Why.MAINTENANCE)]

    def test_still_down_at_its_end_it_is_told_at_once_and_says_why_late(self) -> None:
        [decision] = decide([down(held=Why.MAINTENANCE)], in_window(), NOW + HOUR)
        assert isinstance(decision, Send)
        assert "maintenance window" in decision.text

    def test_over_within_the_window_it_is_never_told(self) -> None:
        changes = [down(ended_at=NOW + MINUTE, held=Why.MAINTENANCE), up(NOW + MINUTE)]
        assert decide(changes, in_window(), NOW + MINUTE) == [Drop(Why.MAINTENANCE), Drop(Why.UNTOLD)]

    def test_the_same_where_the_router_was_away_for_all_of_it(self) -> None:
        changes = [down(ended_at=NOW + MINUTE), up(NOW + MINUTE)]
        assert decide(changes, in_window(), NOW + 5 * HOUR) == [Drop(Why.MAINTENANCE), Drop(Why.UNTOLD)]

    def test_a_job_that_failed_and_succeeded_within_is_not_told_when_its_pings_come_late(self) -> None:
        late = replace(down(NOW + 5 * HOUR, ended_at=NOW + MINUTE), began_at=NOW)
        assert decide([late], in_window(), NOW + 5 * HOUR) == [Drop(Why.MAINTENANCE)]

    def test_what_ended_after_the_window_is_told_though_the_router_was_away(self) -> None:
        changes = [down(ended_at=NOW + 61 * MINUTE), up(NOW + 61 * MINUTE)]
        assert decide(changes, in_window(), NOW + 5 * HOUR) == [Send(), Send()]

    def test_the_end_of_an_outage_that_was_told_before_is_told_within(self) -> None:
        assert decide([up()], in_window(heard=Heard.DOWN), NOW) == [Send()]

    def test_what_began_before_the_window_is_told_within(self) -> None:
        assert decide([down(NOW - 61 * MINUTE)], in_window(), NOW) == [Send()]

    def test_a_window_that_follows_goes_on_holding(self) -> None:
        facts = replace(QUIET, windows=[window(-60, 0), window(0, 30)])
        assert decide([down(NOW - MINUTE, held=Why.MAINTENANCE)], facts, NOW) == [Hold(NOW + 30 * MINUTE, Why.MAINTENANCE)]


class TestDependencies:
    def test_an_outage_waits_while_the_parent_is_down_and_names_its_cause(self) -> None:
        facts = with_parent(Outage(ID, NOW - MINUTE, None))
        assert decide([down()], facts, NOW) == [Hold(NOW + LOOK_AGAIN, Why.DEPENDENCY, ID)]

    def test_it_is_told_when_the_parent_has_been_up_for_long_enough(self) -> None:
        facts = with_parent(Outage(ID, NOW - MINUTE, NOW + MINUTE))
        held = down(held=Why.DEPENDENCY)
        assert decide([held], facts, NOW + 2 * MINUTE) == [Hold(NOW + 3 * MINUTE, Why.DEPENDENCY, ID)]
        [decision] = decide([held], facts, NOW + 3 * MINUTE)
        assert isinstance(decision, Send)

    def test_over_by_then_it_is_never_told(self) -> None:
        facts = with_parent(Outage(ID, NOW - MINUTE, NOW + MINUTE))
        changes = [down(ended_at=NOW + 2 * MINUTE, held=Why.DEPENDENCY), up(NOW + 2 * MINUTE)]
        assert decide(changes, facts, NOW + 2 * MINUTE) == [Drop(Why.DEPENDENCY), Drop(Why.UNTOLD)]

    def test_the_same_where_the_router_was_away(self) -> None:
        facts = with_parent(Outage(ID, NOW - MINUTE, NOW + MINUTE))
        changes = [down(ended_at=NOW + 2 * MINUTE), up(NOW + 2 * MINUTE)]
        assert decide(changes, facts, NOW + HOUR) == [Drop(Why.DEPENDENCY, ID), Drop(Why.UNTOLD)]

    def test_it_waits_a_moment_for_a_parent_that_is_about_to_go_down(self) -> None:
        facts = with_parent(None, failing=True)
        [decision] = decide([down()], facts, NOW)
        assert isinstance(decision, Hold)
        assert decision.until <= NOW + PARENT_GRACE
        assert isinstance(decide([down(held=Why.DEPENDENCY)], facts, NOW + PARENT_GRACE)[0], Send)

    def test_a_parent_that_was_not_checked_since_is_asked_first(self) -> None:
        began = NOW - 20 * SECOND
        unasked = replace(QUIET, parent=Parent(True, False, None, began - SECOND))
        [decision] = decide([down()], unasked, NOW)
        assert isinstance(decision, Hold)
        assert decision.ask_parent
        assert isinstance(decide([down(held=Why.DEPENDENCY)], unasked, NOW + PARENT_GRACE)[0], Send), "not for ever"
        assert decide([down()], replace(QUIET, parent=Parent(True, False, None, began)), NOW) == [Send()]

    def test_it_is_told_once_the_parent_is_found_well(self) -> None:
        assert isinstance(decide([down(held=Why.DEPENDENCY)], with_parent(None), NOW + 5 * SECOND)[0], Send)

    @pytest.mark.parametrize("facts", [with_parent(Outage(ID, NOW, None), watched=False), QUIET])
    def test_a_parent_that_is_paused_unknown_or_gone_explains_nothing(self, facts: Facts) -> None:
        assert isinstance(decide([down(held=Why.DEPENDENCY)], facts, NOW)[0], Send)

    def test_an_old_outage_of_the_parent_explains_nothing(self) -> None:
        facts = with_parent(Outage(ID, NOW - 2 * HOUR, NOW - HOUR))
        assert decide([down()], facts, NOW) == [Send()]
        assert decide([down(ended_at=NOW + MINUTE), up(NOW + MINUTE)], facts, NOW + MINUTE) == [Send(), Send()]


class TestPaused:
    def test_what_is_held_stays_so_while_nobody_looks(self) -> None:
        facts = replace(QUIET, paused=True)
        assert decide([down(held=Why.MAINTENANCE)], facts, NOW) == [Hold(NOW + LOOK_AGAIN, Why.PAUSED)]

    def test_what_was_about_to_be_told_is_told(self) -> None:
        assert decide([down()], replace(QUIET, paused=True), NOW) == [Send()]


class TestMuted:
    muted = replace(QUIET, muted_until=NOW + HOUR)

    def test_an_outage_waits_for_the_end_of_the_mute_also_if_it_began_before(self) -> None:
        assert decide([down()], self.muted, NOW) == [Hold(NOW + HOUR, Why.MUTED)]
        assert decide([down(NOW - HOUR)], self.muted, NOW) == [Hold(NOW + HOUR, Why.MUTED)]

    def test_still_down_at_its_end_it_is_told_and_says_why_late(self) -> None:
        [decision] = decide([down(held=Why.MUTED)], self.muted, NOW + HOUR)
        assert isinstance(decision, Send)
        assert "while it was muted" in decision.text

    @pytest.mark.parametrize("held", [Why.MUTED, None])
    def test_over_by_then_it_is_never_told(self, held: Why | None) -> None:
        changes = [down(ended_at=NOW + MINUTE, held=held), up(NOW + MINUTE)]
        assert decide(changes, self.muted, NOW + MINUTE) == [Drop(Why.MUTED), Drop(Why.UNTOLD)]

    def test_the_end_of_an_outage_that_people_know_of_is_told_at_once(self) -> None:
        assert decide([up()], replace(self.muted, heard=Heard.DOWN), NOW) == [Send()]

    def test_a_window_comes_first_and_the_mute_after_it(self) -> None:
        facts = replace(in_window(), muted_until=NOW + 2 * HOUR)
        assert decide([down()], facts, NOW) == [Hold(NOW + HOUR, Why.MAINTENANCE)]
        assert decide([down(held=Why.MAINTENANCE)], facts, NOW + HOUR) == [Hold(NOW + 2 * HOUR, Why.MUTED)]


class TestFlapping:
    times: ClassVar = [NOW - n * MINUTE for n in range(FLAP_CHANGES)]

    def test_one_change_too_many_is_held_and_people_hear_that_it_flaps(self) -> None:
        facts = Facts(Heard.DOWN, self.times)
        assert decide([up()], facts, NOW) == [Hold(NOW + STABLE, Why.FLAPPING, flapping=True)]
        assert decide([up()], replace(facts, counted=self.times[1:]), NOW) == [Send()]
        assert decide([down()], replace(facts, heard=Heard.UP), NOW) == [Hold(NOW + STABLE, Why.FLAPPING, flapping=True)]

    def test_while_it_flaps_only_the_latest_change_is_kept(self) -> None:
        changes = [up(NOW, Why.FLAPPING), down(NOW + MINUTE)]
        assert decide(changes, Facts(Heard.FLAPPING), NOW + MINUTE) == [
            Drop(Why.FLAPPING),
            Hold(NOW + MINUTE + STABLE, Why.FLAPPING),
        ]

    @pytest.mark.parametrize("change", [up(held=Why.FLAPPING), down(held=Why.FLAPPING)])
    def test_once_settled_it_is_told_how_it_is(self, change: Change) -> None:
        [decision] = decide([change], Facts(Heard.FLAPPING), NOW + STABLE)
        assert isinstance(decision, Send)
        assert "flapping" in decision.text

    def test_settled_down_within_a_window_waits_for_its_end(self) -> None:
        facts = in_window(heard=Heard.FLAPPING)
        assert decide([down(held=Why.FLAPPING)], facts, NOW + STABLE) == [Hold(NOW + HOUR, Why.MAINTENANCE)]

    def test_a_backlog_that_flaps_is_told_in_one_sentence(self) -> None:
        changes = [
            change
            for n in range(4)
            for change in (down(NOW + n * MINUTE, NOW + (n + 0.5) * MINUTE), up(NOW + (n + 0.5) * MINUTE))
        ]
        decisions = decide(changes, Facts(Heard.UP, [change.at for change in changes]), NOW + 4 * MINUTE)
        assert [type(decision) for decision in decisions] == [Send] * 5 + [Drop, Drop, Hold]
        assert [not isinstance(d, Send) and d.flapping for d in decisions] == [False] * 5 + [True, False, False]

    def test_one_that_has_settled_before_anybody_heard_is_told_as_it_is(self) -> None:
        assert decide([up()], Facts(Heard.DOWN, self.times), NOW + STABLE) == [Send()]

    def test_only_changes_of_the_last_time_count(self) -> None:
        assert is_flapping(self.times, NOW)
        assert not is_flapping(self.times, NOW + 26 * MINUTE)

    def test_the_sentence(self) -> None:
        assert flapping_text(down=True).startswith("It changed 6 times within 30 minutes and is down at the moment.")
        assert "is up at the moment" in flapping_text(down=False)


class TestRoutes:
    """What the route of a monitor's alerts says about their time."""

    AFTER = replace(QUIET, delay=10 * MINUTE)
    NIGHT = replace(QUIET, quiet_until=NOW + HOUR)
    NIGHT_AND_DOWN = replace(NIGHT, heard=Heard.DOWN)

    def test_an_outage_waits_until_it_has_lasted(self) -> None:
        assert decide([down()], self.AFTER, NOW) == [Hold(NOW + 10 * MINUTE, Why.DELAYED)]
        assert decide([down(held=Why.DELAYED)], self.AFTER, NOW + 10 * MINUTE) == [Send()], "it is not late"

    @pytest.mark.parametrize(("lasted", "decided"), [(9, Drop(Why.DELAYED)), (10, Send())])
    def test_one_that_is_over_is_told_if_it_lasted(self, lasted: int, decided: Drop | Send) -> None:
        ended_at = NOW + lasted * MINUTE
        assert decide([down(ended_at=ended_at), up(ended_at)], self.AFTER, NOW + HOUR)[0] == decided

    def test_in_quiet_hours_an_outage_waits_and_one_that_is_over_is_not_told(self) -> None:
        assert decide([down()], self.NIGHT, NOW) == [Hold(NOW + HOUR, Why.QUIET_HOURS)]
        over = [down(ended_at=NOW + MINUTE), up(NOW + MINUTE)]
        assert decide(over, self.NIGHT, NOW + 2 * MINUTE) == [Drop(Why.QUIET_HOURS), Drop(Why.UNTOLD)]

    def test_the_end_of_what_was_told_waits_before_everything_else(self) -> None:
        night = [up(), down(NOW + MINUTE, ended_at=NOW + 2 * MINUTE), up(NOW + 2 * MINUTE), down(NOW + 3 * MINUTE)]
        hold = Hold(NOW + HOUR, Why.QUIET_HOURS)
        assert decide(night, self.NIGHT_AND_DOWN, NOW + 4 * MINUTE) == [hold, Drop(Why.QUIET_HOURS), Drop(Why.UNTOLD), hold]

    def test_more_about_an_outage_waits_where_it_would_have_waited_itself(self) -> None:
        assert hold_again(down(), self.NIGHT, NOW) == Hold(NOW + HOUR, Why.QUIET_HOURS)
        assert hold_again(down(), in_window(), NOW + MINUTE) == Hold(NOW + HOUR, Why.MAINTENANCE)
        assert hold_again(down(), self.AFTER, NOW) is None, "it was told: another delay is not for it"


class TestThrottle:
    told: ClassVar = [NOW - n * 14 * MINUTE for n in range(TOLD_AT_MOST)]

    def test_one_outage_more_waits_until_the_first_is_old(self) -> None:
        facts = Facts(Heard.UP, told=self.told)
        assert decide([down()], facts, NOW) == [Hold(min(self.told) + TOLD_WITHIN, Why.THROTTLED)]
        assert decide([down()], replace(facts, told=self.told[1:]), NOW) == [Send()]

    def test_still_down_by_then_it_is_told_and_says_why_late(self) -> None:
        facts = Facts(Heard.UP, told=self.told)
        [decision] = decide([down(held=Why.THROTTLED)], facts, min(self.told) + TOLD_WITHIN)
        assert isinstance(decision, Send)
        assert "4 outages of it were told within 60 minutes" in decision.text

    @pytest.mark.parametrize("held", [None, Why.THROTTLED])
    def test_over_by_then_nobody_hears_of_it(self, held: Why | None) -> None:
        changes = [down(ended_at=NOW + MINUTE, held=held), up(NOW + MINUTE)]
        assert decide(changes, Facts(Heard.UP, told=self.told), NOW + MINUTE) == [Drop(Why.THROTTLED), Drop(Why.UNTOLD)]

    def test_the_end_of_what_was_told_is_never_kept_back(self) -> None:
        assert decide([up()], Facts(Heard.DOWN, told=self.told), NOW) == [Send()]

    def test_outages_of_one_decision_count_too(self) -> None:
        ends = [NOW + n * MINUTE for n in range(TOLD_AT_MOST + 1)]
        changes = [change for end in ends for change in (down(end - 30 * SECOND, end), up(end))]
        decisions = decide(changes, QUIET, NOW + 5 * HOUR)
        assert decisions == [*[Send()] * 2 * TOLD_AT_MOST, Drop(Why.THROTTLED), Drop(Why.UNTOLD)]

    def test_one_that_was_flapping_settles_down_within_the_throttle(self) -> None:
        facts = Facts(Heard.FLAPPING, told=self.told)
        held = down(NOW - STABLE, held=Why.FLAPPING)
        assert decide([held], facts, NOW) == [Hold(min(self.told) + TOLD_WITHIN, Why.THROTTLED)]


@dataclass(frozen=True)
class Story:
    """In steps of 5 s: when the monitor changes, when windows, outages of the parent, mutes and quiet hours last, when no router runs."""

    changes: Sequence[int]
    windows: Sequence[tuple[int, int]]
    parent_down: Sequence[tuple[int, int]]
    unwatched: Sequence[tuple[int, int]]
    muted: Sequence[tuple[int, int]]
    router_away: Sequence[tuple[int, int]]
    quiet: Sequence[tuple[int, int]] = ()
    delay: timedelta = timedelta()


@dataclass
class Told:
    """A monitor and what people heard of it: the flow's work, done in memory."""

    story: Story
    heard: Heard = Heard.NOTHING
    is_down: bool = False
    open: list[Change] = field(default_factory=list)
    due: datetime | None = None
    counted: list[datetime] = field(default_factory=list)
    messages: list[tuple[datetime, Heard]] = field(default_factory=list)

    def change(self, now: datetime) -> None:
        self.is_down = not self.is_down
        if self.is_down:
            self.open.append(Change(went_down=True, at=now, began_at=now - 5 * SECOND, ended_at=None))
        else:
            self.open = [replace(c, ended_at=now) if c.went_down and c.ended_at is None else c for c in self.open]
            self.open.append(Change(went_down=False, at=now, began_at=now - 5 * SECOND, ended_at=now))
        self.counted.append(now)
        self.due = now

    def route(self, now: datetime) -> None:
        if not self.open or self.due is None or now < self.due:
            return
        windows = [Window(at(first), at(last)) for first, last in self.story.windows]
        mute_ends = max((at(last) for first, last in self.story.muted if at(first) <= now), default=None)
        quiet_until = next((at(last) for first, last in self.story.quiet if at(first) <= now < at(last)), None)
        told = [when for when, heard in self.messages if heard is Heard.DOWN]
        facts = Facts(self.heard, self.counted, windows, self.parent(now), MINUTE, told=told)
        facts = replace(facts, muted_until=mute_ends, delay=self.story.delay, quiet_until=quiet_until)
        decisions = decide(self.open, facts, now)
        early = [(c, d) for c, d in zip(self.open, decisions, strict=True) if isinstance(d, Hold)][:-1]
        assert len(early) <= 1, "no queue of old news"
        assert all(d.why is Why.QUIET_HOURS and not c.went_down for c, d in early), "but the end of what was told"
        for change, decision in zip(self.open, decisions, strict=True):
            self.act(change, decision, now)
        held = [(c, d) for c, d in zip(self.open, decisions, strict=True) if isinstance(d, Hold)]
        self.open = [replace(change, held=hold.why) for change, hold in held]
        self.due = min((hold.until for _, hold in held), default=None)

    def act(self, change: Change, decision: Send | Hold | Drop, now: datetime) -> None:
        if isinstance(decision, Send):
            self.heard = Heard.DOWN if change.went_down else Heard.UP
            self.messages.append((now, self.heard))
            return
        if decision.flapping:
            self.heard = Heard.FLAPPING
            self.messages.append((now, self.heard))
        if decision.why in {Why.MAINTENANCE, Why.DEPENDENCY, Why.MUTED, Why.QUIET_HOURS, Why.DELAYED, Why.UNTOLD}:
            self.counted = [time for time in self.counted if time != change.at]

    def parent(self, now: datetime) -> Parent:
        begun = [(first, last) for first, last in self.story.parent_down if at(first) <= now]
        outage = None
        if begun:
            first, last = begun[-1]
            outage = Outage(uuid5(ID, str(first)), at(first), at(last) if at(last) <= now else None)
        failing = any(at(first) - 30 * SECOND <= now < at(first) for first, _ in self.story.parent_down)
        checked_at = now - (now - NOW) % MINUTE
        return Parent(not within(now, self.story.unwatched), failing, outage, checked_at)

    def promise(self, now: datetime) -> None:
        if self.open:
            assert self.due is not None
            assert self.due > now, "held, and decided again at a known time"
            assert self.open[-1].went_down == self.is_down, "what is held is how it is"
        elif self.is_down:
            assert self.heard is Heard.DOWN, "down, and people know"
        else:
            assert self.heard in {Heard.NOTHING, Heard.UP}, "up, and people think so"


def at(step: int) -> datetime:
    return NOW + 5 * step * SECOND


def within(now: datetime, spans: Sequence[tuple[int, int]]) -> bool:
    return any(at(first) <= now < at(last) for first, last in spans)


STEPS = 800
SIX_MINUTES = 72
AFTERWARDS = 800


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[int, int]]:
    marks = sorted(draw(st.lists(st.integers(0, STEPS), max_size=6, unique=True)))
    return list(zip(marks[::2], marks[1::2], strict=False))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    gaps = draw(st.lists(st.one_of(st.integers(1, 12), st.integers(1, 200)), max_size=30))
    changes = [step for n in range(1, len(gaps) + 1) if (step := sum(gaps[:n])) < STEPS]
    delay = draw(st.sampled_from([0, 1, 12, 120])) * 5 * SECOND
    windows, parent_down, unwatched, muted, router_away, quiet = (draw(spans()) for _ in range(6))
    return Story(changes, windows, parent_down, unwatched, muted, router_away, quiet, delay)


@settings(max_examples=300, deadline=None)
@given(stories())
@example(Story(range(1, STEPS, SIX_MINUTES), [], [], [], [], []))
def test_people_know_how_it_is_or_a_hold_is_pending(story: Story) -> None:
    told = Told(story)
    for step in range(STEPS + AFTERWARDS):
        if step in story.changes:
            told.change(at(step))
        if not within(at(step), story.router_away):
            told.route(at(step))
            told.promise(at(step))
    assert not told.open, "nothing is held for ever"
    assert told.is_down == (told.heard is Heard.DOWN)


@settings(max_examples=100, deadline=None)
@given(stories())
@example(Story(range(1, STEPS, SIX_MINUTES), [], [], [], [], []))
def test_no_storm_and_nothing_twice(story: Story) -> None:
    told = Told(replace(story, router_away=[]))
    for step in range(STEPS + AFTERWARDS):
        if step in story.changes:
            told.change(at(step))
        told.route(at(step))
    for number, (when, heard) in enumerate(told.messages):
        assert sum(when <= other < when + 30 * MINUTE for other, _ in told.messages) <= FLAP_CHANGES + 6
        assert number == 0 or told.messages[number - 1][1] is not heard, "nobody is told the same twice running"
        within_hour = [other for then, other in told.messages if when <= then < when + TOLD_WITHIN]
        flaps = within_hour.count(Heard.FLAPPING)
        assert within_hour.count(Heard.DOWN) <= TOLD_AT_MOST
        assert within_hour.count(Heard.UP) <= TOLD_AT_MOST + flaps + 1, "each ends something that was told"
