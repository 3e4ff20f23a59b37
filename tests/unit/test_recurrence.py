"""When jobs are expected: against a clock that is looked at every minute, against systemd itself, and what is no schedule."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.domain.recurrence import (
    BadRecurrence,
    Cron,
    OnCalendar,
    Period,
    Recurrence,
    guessed,
    next_due,
    scheduled,
    upcoming,
    usual_gap,
)
from tests.wall_clock import BEGIN, END, MINUTE, ZONES, Job, both_passes, changes_of, first_pass, job, minutes_after, runs

RIGA, NEW_YORK = ZoneInfo("Europe/Riga"), ZoneInfo("America/New_York")
LONG = timedelta(days=3)
QUARTERS = frozenset({0, 15, 30, 45})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


JOBS = st.builds(
    job,
    st.one_of(
        st.sampled_from([QUARTERS, frozenset({0}), frozenset({30}), frozenset(range(60)), frozenset(range(0, 60, 5))]),
        st.frozensets(st.integers(0, 59), min_size=1, max_size=4),
    ),
    st.one_of(st.none(), st.frozensets(st.integers(0, 23), min_size=1, max_size=5), st.frozensets(st.integers(0, 4), min_size=1)),
    st.one_of(st.none(), st.none(), st.frozensets(st.integers(0, 6), min_size=1)),
)


@st.composite
def places(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone and a moment of three years; mostly one near which the clocks are set."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    changes = changes_of(zone)
    anywhere: datetime = BEGIN + timedelta(seconds=draw(st.integers(0, int((END - BEGIN).total_seconds()))))
    if not changes or draw(st.integers(0, 4)) == 0:
        return zone, anywhere
    day: datetime = draw(st.sampled_from(changes))
    return zone, day + timedelta(seconds=draw(st.integers(-86_400, 2 * 86_400)))


@settings(deadline=None, max_examples=150)
@given(JOBS, places())
@example(job(QUARTERS, None, None), (RIGA, utc("2026-10-25 00:45:00")))
@example(job(QUARTERS, None, None), (NEW_YORK, utc("2026-11-01 05:45:00")))
@example(job(frozenset({30}), frozenset({3}), None), (RIGA, utc("2026-10-24 12:00:00")))
@example(job(frozenset({30}), frozenset({3}), None), (RIGA, utc("2026-03-28 12:00:00")))
@example(job(frozenset({0}), frozenset({0}), None), (ZoneInfo("Africa/Cairo"), utc("2026-04-23 12:00:00")))
def test_cron_and_on_calendar_agree_with_a_clock_looked_at_every_minute(this: Job, place: tuple[ZoneInfo, datetime]) -> None:
    zone, after = place
    looked = next(runs(this, zone, after, LONG, wanted=first_pass), None)
    for recurrence in (Cron(this.cron, zone), OnCalendar(this.on_calendar, zone)):
        due = next_due(recurrence, after)
        assert due is not None
        assert due > after
        assert due == looked if looked else due > after + LONG


@settings(deadline=None, max_examples=50)
@given(JOBS, places(), st.sampled_from([first_pass, both_passes]))
def test_a_job_that_pings_at_its_every_run_is_never_late_whichever_way_its_runner_reads_the_clock(
    this: Job, place: tuple[ZoneInfo, datetime], runner: object
) -> None:
    """Not even without any grace. A cron that makes up for a time that was skipped, right after, is not late either."""
    zone, after = place
    times = list(runs(this, zone, after, LONG / 3, wanted=runner))  # type: ignore[arg-type]  # hypothesis loses the type
    for recurrence in (Cron(this.cron, zone), OnCalendar(this.on_calendar, zone)):
        for run, following in pairwise(times):
            due = next_due(recurrence, run)
            assert due is not None
            assert due >= following


@pytest.mark.parametrize("name", ZONES)
def test_every_change_of_the_clocks_in_three_years(name: str) -> None:
    zone = ZoneInfo(name)
    jobs = [
        job(QUARTERS, None, None),
        job(frozenset({30}), None, None),
        *(job(frozenset({30}), frozenset({hour}), None) for hour in (0, 1, 2, 3)),
    ]
    for day in changes_of(zone):
        begin, end = day - timedelta(hours=12), day + timedelta(hours=36)
        local_times = [(minute, minute.astimezone(zone)) for minute in minutes_after(begin, end - begin)]
        for this in jobs:
            looked = [minute for minute, local in local_times if local.fold == 0 and this.runs_at(local)]
            for recurrence in (Cron(this.cron, zone), OnCalendar(this.on_calendar, zone)):
                assert list(takewhile(lambda due: due <= end, upcoming(recurrence, begin))) == looked  # noqa: B023  (used at once)


@settings(deadline=None, max_examples=60)
@given(JOBS, places())
def test_due_times_ascend_and_each_is_the_next_after_the_one_before(this: Job, place: tuple[ZoneInfo, datetime]) -> None:
    zone, after = place
    for recurrence in (Cron(this.cron, zone), OnCalendar(this.on_calendar, zone)):
        times = list(islice(upcoming(recurrence, after), 5))
        assert times == sorted(set(times))
        assert [next_due(recurrence, at) for at in times[:-1]] == times[1:]


@pytest.mark.parametrize("kind", [Cron("*/15 * * * *", RIGA), OnCalendar("*:0/15", RIGA)])
def test_in_the_repeated_hour_nothing_is_due_in_the_past_or_in_the_second_pass(kind: Recurrence) -> None:
    """Riga's clock shows 03:00 to 04:00 twice: from 00:00 and from 01:00 UTC."""
    looked_at = list(minutes_after(utc("2026-10-24 23:00:00"), timedelta(hours=4)))
    dues = [next_due(kind, at) for at in looked_at]
    assert all(due and due > at for at, due in zip(looked_at, dues, strict=True))
    assert not any(due and utc("2026-10-25 01:00:00") <= due < utc("2026-10-25 02:00:00") for due in dues)
    assert next_due(kind, utc("2026-10-25 00:45:00")) == utc("2026-10-25 02:00:00")
    assert next_due(kind, utc("2026-10-25 01:59:59")) == utc("2026-10-25 02:00:00")


def test_a_time_that_is_skipped_is_due_the_next_time() -> None:
    daily = Cron("30 3 * * *", RIGA)
    assert list(islice(upcoming(daily, utc("2026-03-27 12:00:00")), 2)) == [
        utc("2026-03-28 01:30:00"),
        utc("2026-03-30 00:30:00"),
    ]
    hourly = Cron("30 * * * *", RIGA)
    assert next_due(hourly, utc("2026-03-29 00:30:00")) == utc("2026-03-29 01:30:00")


needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")


@needs_systemd
@pytest.mark.parametrize("zone", ["Europe/Riga", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("expression", ["*:0/15", "03:30", "Sun 01..03:10,50", "*-*-* 02:00/20:00"])
def test_systemd_says_the_same(zone: str, expression: str) -> None:
    for day in changes_of(ZoneInfo(zone)):
        after = day - timedelta(minutes=7)
        asked = subprocess.run(
            ["systemd-analyze", "calendar", "--iterations=120", f"--base-time={after:%Y-%m-%d %H:%M:%S} UTC", expression],
            env=os.environ | {"TZ": zone, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        told = [utc(at) for at in re.findall(r"\(in UTC\): \w{3} (\S+ \S+) UTC", asked)]
        assert len(told) == 120
        assert list(islice(upcoming(OnCalendar(expression, ZoneInfo(zone)), after), 120)) == told


def test_a_period_counts_from_where_it_is_asked() -> None:
    assert next_due(Period(90), utc("2026-10-25 00:59:30")) == utc("2026-10-25 01:01:00")
    assert list(islice(upcoming(Period(60, RIGA), utc("2026-10-25 00:59:30").astimezone(RIGA)), 2)) == [
        utc("2026-10-25 01:00:30"),
        utc("2026-10-25 01:01:30"),
    ]


def test_several_lines_each_in_its_own_zone() -> None:
    twice = scheduled("oncalendar", "12:00\n\n  12:00   America/New_York \n12:00 Europe/Riga", RIGA)
    assert isinstance(twice, OnCalendar)
    assert twice.expression == "12:00\n12:00 America/New_York\n12:00 Europe/Riga"
    assert list(islice(upcoming(twice, utc("2026-11-23 00:00:00")), 3)) == [
        utc("2026-11-23 10:00:00"),
        utc("2026-11-23 17:00:00"),
        utc("2026-11-24 10:00:00"),
    ]


def test_a_date_that_is_over_leaves_no_time() -> None:
    once = scheduled(None, "2026-12-24 18:00", RIGA)
    assert list(upcoming(once, utc("2026-11-23 00:00:00"))) == [utc("2026-12-24 16:00:00")]
    assert next_due(once, utc("2026-12-24 16:00:00")) is None
    assert usual_gap(once, utc("2026-11-23 00:00:00")) is None


def test_how_often_something_is_due() -> None:
    now = utc("2026-11-23 00:00:00")
    assert usual_gap(Period(90), now) == timedelta(seconds=90)
    assert usual_gap(Cron("0 9-17 * * 1-5", RIGA), now) == timedelta(hours=64)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("*/5  9-17 * *  mon-fri", Cron("*/5 9-17 * * mon-fri", RIGA)),
        ("@daily", Cron("@daily", RIGA)),
        ("0 0 L * *", Cron("0 0 L * *", RIGA)),
        ("daily", OnCalendar("daily", RIGA)),
        ("Mon..Fri 22:30", OnCalendar("Mon..Fri 22:30", RIGA)),
        ("Mon *-*-* 00:00:00 Europe/Riga", OnCalendar("Mon *-*-* 00:00:00 Europe/Riga", RIGA)),
    ],
)
def test_what_a_text_is_taken_for(text: str, meant: Recurrence) -> None:
    assert guessed(text, RIGA) == meant
    assert next_due(meant, utc("2026-11-23 00:00:00")) is not None


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("cron", "0 12 * *", r"a cron expression has five fields \(minute, .*\), this has 4"),
        ("cron", "0 25 * * *", r"the hour \(25\) is not valid"),
        ("cron", "0 0 31 2 *", r"the day of month \(31\) is not valid"),
        ("cron", "0 0 * * mon-fri-sun", "the day of week"),
        ("cron", "@reboot", "@reboot is no schedule; known are @hourly"),
        (None, "0 60 * * *", r"the hour \(60\) is not valid"),
        (None, "every day", r"is neither five fields of cron nor OnCalendar \(every day: bad day-of-week\)"),
        ("oncalendar", "12:00\n25:00", "line 2, 25:00: bad hour"),
        ("oncalendar", " \n", "is empty"),
        ("oncalendar", "*-02-30", "never matches"),
        ("oncalendar", "*:*:*", "must not be due more often than every ten seconds"),
        ("oncalendar", "*:*:00\n*:*:05", "must not be due more often than every ten seconds"),
        ("oncalendar", "\n".join(["12:00"] * 11), "has 11 lines, more than 10"),
    ],
)
def test_what_is_no_schedule_and_why(kind: str | None, text: str, message: str) -> None:
    with pytest.raises(BadRecurrence, match=message):
        scheduled(kind, text, RIGA)


def test_the_clock_of_the_tests_sees_every_minute() -> None:
    assert len(list(minutes_after(BEGIN, timedelta(hours=1)))) == 60
    assert next(minutes_after(BEGIN + MINUTE / 2, LONG)) == BEGIN + MINUTE
