"""Who is told by routes and when: rule by rule, and what holds whatever the routes, channels and times are."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts.events import ALERT_TYPES
from core.domain.alert_routes import (
    Chosen,
    Course,
    Due,
    Match,
    Plan,
    QuietHours,
    Route,
    Severity,
    Step,
    Subject,
    Topic,
    after,
    delay,
    due,
    matching,
    next_at,
    plan,
    quiet_until,
    still_down_text,
    subject_of,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday."""

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NONE = timedelta()
NAMESPACE = UUID("018f0000-0000-7000-8000-000000000001")
CHANNELS = [uuid5(NAMESPACE, str(number)) for number in range(6)]
CHAT, PAGER, BOSS, *_ = CHANNELS
SHOP = uuid5(NAMESPACE, "shop")
OUTAGE = Subject(Topic.OUTAGES, Severity.CRITICAL, SHOP, "website", frozenset({"db", "eu"}))
RIGA = ZoneInfo("Europe/Riga")
NIGHT = QuietHours(frozenset(range(7)), time(22), time(7), RIGA)


def route(*steps: tuple[timedelta, tuple[UUID, ...]], name: str = "r", match: Match | None = None, **more: object) -> Route:
    return Route(name, match or Match(), tuple(Step(*step) for step in steps), **more)  # type: ignore[arg-type]  # by name


LADDER = route((NONE, (CHAT,)), (10 * MINUTE, (PAGER, CHAT)), (HOUR, (BOSS,)))


def in_riga(local: str) -> datetime:
    return datetime.fromisoformat(local).replace(tzinfo=RIGA)


class TestMatching:
    @pytest.mark.parametrize(
        ("match", "fits"),
        [
            (Match(), True),
            (Match(monitors=frozenset({SHOP})), True),
            (Match(monitors=frozenset({CHAT})), False),
            (Match(tags=frozenset({"us", "eu"})), True),
            (Match(tags=frozenset({"us"})), False),
            (Match(kinds=frozenset({"website"})), True),
            (Match(kinds=frozenset({"heartbeat"})), False),
            (Match(topics=frozenset({"outages"})), True),
            (Match(topics=frozenset({"endings", "service"})), False),
            (Match(severities=frozenset({"critical", "info"})), True),
            (Match(severities=frozenset({"warning"})), False),
            (Match(monitors=frozenset({SHOP}), tags=frozenset({"us"})), False),
        ],
    )
    def test_every_list_that_is_not_empty_must_fit(self, match: Match, fits: bool) -> None:
        only = route((NONE, (CHAT,)), match=match)
        assert matching(OUTAGE, [only]) == (only if fits else None)

    def test_the_first_that_matches_decides(self) -> None:
        first, second = route((NONE, (CHAT,)), name="first"), route((NONE, (PAGER,)), name="second")
        other = route((NONE, (BOSS,)), name="other", match=Match(tags=frozenset({"us"})))
        assert matching(OUTAGE, [other, first, second]) is first

    def test_an_alert_about_no_single_monitor_fits_no_route_for_some(self) -> None:
        disabled = subject_of("channel_disabled", Severity.CRITICAL)
        for match in (Match(monitors=frozenset({SHOP})), Match(tags=frozenset({"db"})), Match(kinds=frozenset({"website"}))):
            assert matching(disabled, [route((NONE, (CHAT,)), match=match)]) is None

    @pytest.mark.parametrize(
        ("alert_type", "topic", "severity"),
        [
            ("down", Topic.OUTAGES, Severity.INFO),
            ("flapping", Topic.OUTAGES, Severity.INFO),
            ("reminder", Topic.OUTAGES, Severity.INFO),
            ("certificate_expiring", Topic.ENDINGS, Severity.WARNING),
            ("domain_expiring", Topic.ENDINGS, Severity.WARNING),
            ("not_monitored", Topic.SERVICE, Severity.WARNING),
            ("monitored_again", Topic.SERVICE, Severity.INFO),
            ("channel_disabled", Topic.SERVICE, Severity.WARNING),
            ("degraded", Topic.OUTAGES, Severity.WARNING),
            ("fast_again", Topic.OUTAGES, Severity.INFO),
        ],
    )
    def test_outages_matter_as_their_monitor_and_all_else_as_its_type(
        self, alert_type: str, topic: Topic, severity: Severity
    ) -> None:
        assert alert_type in ALERT_TYPES
        found = subject_of(alert_type, Severity.INFO)  # type: ignore[arg-type]  # checked above
        assert (found.topic, found.severity) == (topic, severity)


class TestPlans:
    def test_without_a_route_everybody_is_told_at_once(self) -> None:
        made = plan(None, [PAGER, CHAT])
        assert made == Plan((Step(NONE, tuple(sorted([PAGER, CHAT]))),))
        assert next_at(made, Course(NOW, NOW, frozenset(made.first))) is None

    def test_a_channel_is_told_in_its_first_step_alone(self) -> None:
        assert plan(LADDER, CHANNELS).steps == (Step(NONE, (CHAT,)), Step(10 * MINUTE, (PAGER,)), Step(HOUR, (BOSS,)))

    def test_a_step_that_reaches_nobody_gives_its_place_to_the_next(self) -> None:
        assert plan(LADDER, [PAGER, BOSS]).steps == (Step(NONE, (PAGER,)), Step(HOUR, (BOSS,)))

    def test_a_route_without_a_channel_that_is_left_leads_to_everybody_in_its_time(self) -> None:
        late = route((10 * MINUTE, (CHAT,)))
        made = plan(late, [BOSS, PAGER])
        assert (made.chosen, made.first, delay(late)) == (Chosen.FALLBACK, tuple(sorted([BOSS, PAGER])), 10 * MINUTE)

    def test_nobody_can_be_told_where_no_channel_is_enabled(self) -> None:
        assert plan(None, []).first == plan(LADDER, []).first == ()


class TestCourses:
    def test_later_steps_follow_the_first_that_was_told(self) -> None:
        made = plan(LADDER, CHANNELS)
        course = Course(NOW, NOW, frozenset({CHAT}))
        assert next_at(made, course) == NOW + 10 * MINUTE
        assert due(made, course, CHANNELS, NOW + 9 * MINUTE) == Due((), ())
        told = due(made, course, CHANNELS, NOW + 10 * MINUTE)
        assert told == Due((PAGER,), ())
        course = after(course, told, made, NOW + 10 * MINUTE)
        assert next_at(made, course) == NOW + HOUR
        course = after(course, due(made, course, CHANNELS, NOW + HOUR), made, NOW + HOUR)
        assert course.told == {CHAT, PAGER, BOSS}
        assert next_at(made, course) is None

    def test_steps_do_not_come_at_once_because_the_first_came_late(self) -> None:
        made = plan(route((10 * MINUTE, (CHAT,)), (HOUR, (PAGER,))), CHANNELS)
        assert next_at(made, Course(NOW, NOW, frozenset({CHAT}))) == NOW + 50 * MINUTE

    def test_all_who_know_are_reminded_and_once_only_after_a_long_hold(self) -> None:
        made = plan(route((NONE, (CHAT,)), (10 * MINUTE, (PAGER,)), repeat=30 * MINUTE), CHANNELS)
        course = Course(NOW, NOW, frozenset({CHAT}))
        late = NOW + 8 * HOUR
        told = due(made, course, CHANNELS, late)
        assert told == Due((PAGER,), (CHAT,)), "each is told once, of the same thing"
        course = after(course, told, made, late)
        assert next_at(made, course) == late + 30 * MINUTE
        assert due(made, course, [PAGER], late + 30 * MINUTE).reminded == (PAGER,), "but not through a channel that is disabled"

    def test_what_it_says(self) -> None:
        text = "It has been down for 1 h 20 min, and nobody has acknowledged it."
        assert still_down_text(NOW - 80 * MINUTE - timedelta(seconds=50), NOW) == text


class TestQuietHours:
    QUIET = route((NONE, (CHAT,)), quiet=NIGHT)

    @pytest.mark.parametrize(
        ("local", "until"),
        [
            ("2026-11-23T21:59:59", None),
            ("2026-11-23T22:00:00", "2026-11-24T07:00:00"),
            ("2026-11-24T06:59:59", "2026-11-24T07:00:00"),
            ("2026-11-24T07:00:00", None),
            ("2026-03-29T04:30:00", "2026-03-29T07:00:00"),
            ("2026-10-25T03:30:00", "2026-10-25T07:00:00"),
        ],
    )
    def test_they_go_over_midnight_by_the_local_clock(self, local: str, until: str | None) -> None:
        now = in_riga(local).astimezone(UTC)
        assert quiet_until(self.QUIET, Severity.WARNING, now) == (until and in_riga(until))

    def test_days_are_those_on_which_they_begin(self) -> None:
        friday = route((NONE, (CHAT,)), quiet=QuietHours(frozenset({4}), time(22), time(7), RIGA))
        saturday_morning = datetime(2026, 11, 28, 3, tzinfo=RIGA)
        assert quiet_until(friday, Severity.INFO, saturday_morning)
        assert quiet_until(friday, Severity.INFO, saturday_morning + timedelta(days=1)) is None

    def test_critical_alerts_pass_unless_they_are_meant_too(self) -> None:
        night = datetime(2026, 11, 23, 23, tzinfo=RIGA)
        strict = route((NONE, (CHAT,)), quiet=QuietHours(NIGHT.weekdays, NIGHT.begins, NIGHT.ends, RIGA, critical_too=True))
        assert quiet_until(self.QUIET, Severity.CRITICAL, night) is None
        assert quiet_until(strict, Severity.CRITICAL, night)
        assert quiet_until(None, Severity.INFO, night) is None
        assert quiet_until(LADDER, Severity.INFO, night) is None


@st.composite
def routes(draw: st.DrawFn) -> Route:
    times = sorted(draw(st.sets(st.integers(0, 90), min_size=1, max_size=5)))
    reached = st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=4).map(tuple)
    repeat = draw(st.none() | st.integers(1, 40))
    steps = [(at * MINUTE, draw(reached)) for at in times]
    return route(*steps, repeat=repeat * MINUTE if repeat else None)


def told_in_time(at_first: Route | None, later: Route | None, enabled: set[UUID]) -> Iterator[tuple[datetime, Due]]:
    """Three hours of an outage that is told at `NOW`, with sweeps at the due times; the route is edited after half an hour."""
    made = plan(at_first, enabled)
    course = Course(NOW, NOW, frozenset(made.first))
    yield NOW, Due(made.first, ())
    while (at := next_at(made, course)) and at <= NOW + 3 * HOUR:
        now = max(at, NOW)
        made = plan(later if now >= NOW + 30 * MINUTE else at_first, enabled)
        told = due(made, course, enabled, now)
        course = after(course, told, made, now)
        following = next_at(made, course)
        assert following is None or following > now, "never in a circle"
        yield now, told


EDITS = (st.none() | routes(), st.none() | routes(), st.sets(st.sampled_from(CHANNELS), min_size=1))


@given(EDITS[0], EDITS[2])
def test_somebody_is_told_wherever_a_channel_is_enabled(at_first: Route | None, enabled: set[UUID]) -> None:
    made = plan(at_first, enabled)
    assert made.first
    assert set(made.first) <= enabled
    assert made.steps[0].after == delay(at_first)
    if made.chosen is Chosen.ROUTE:
        assert at_first is not None
        named = {uid for step in at_first.steps for uid in step.channels}
        assert {uid for step in made.steps for uid in step.channels} == named & enabled
    else:
        assert set(made.first) == enabled


@given(*EDITS)
def test_no_channel_hears_twice_of_one_alert(at_first: Route | None, later: Route | None, enabled: set[UUID]) -> None:
    first_told = [uid for _, told in told_in_time(at_first, later, enabled) for uid in told.first_told]
    assert len(first_told) == len(set(first_told)), "the first message comes once, however the route is edited"
    for _, told in told_in_time(at_first, later, enabled):
        assert not set(told.first_told) & set(told.reminded)


@given(*EDITS)
def test_reminders_keep_their_distance_and_reach_those_who_know(
    at_first: Route | None, later: Route | None, enabled: set[UUID]
) -> None:
    known: set[UUID] = set()
    reminded: list[datetime] = []
    for at, told in told_in_time(at_first, later, enabled):
        assert set(told.reminded) in (set(), known)
        known |= set(told.first_told)
        reminded += [at] if told.reminded else []
    least = min((edit.repeat for edit in (at_first, later) if edit and edit.repeat), default=HOUR)
    assert all(second - first >= least for first, second in pairwise([NOW, *reminded]))


@given(routes(), st.sets(st.sampled_from(CHANNELS), min_size=1))
def test_everybody_whom_a_route_names_hears_of_an_outage_that_lasts(ladder: Route, enabled: set[UUID]) -> None:
    told = {uid for _, one in told_in_time(ladder, ladder, enabled) for uid in one.first_told}
    named = {uid for step in ladder.steps for uid in step.channels} & enabled
    assert told == (named or enabled)


CLOCK = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@given(
    st.integers(0, 400 * 24 * 60 * 4),
    st.lists(CLOCK, min_size=2, max_size=2, unique=True),
    st.sets(st.integers(0, 6), min_size=1),
)
def test_quiet_hours_are_what_the_clock_on_the_wall_says(quarter: int, clocks: list[time], days: set[int]) -> None:
    begins, ends = clocks
    now = NOW + quarter * timedelta(seconds=15)
    until = quiet_until(route((NONE, (CHAT,)), quiet=QuietHours(frozenset(days), begins, ends, UTC)), Severity.INFO, now)
    clock, day = now.time(), now.weekday()
    if begins < ends:
        inside = day in days and begins <= clock < ends
    else:
        inside = (day in days and clock >= begins) or ((day - 1) % 7 in days and clock < ends)
    assert (until is not None) == inside
    if until:
        assert until.time() == ends
        assert now < until <= now + timedelta(days=1)
