"""Schedules that a ping may create a heartbeat with: what the edge takes, the core takes, and means the same by it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import recurrence
from lambdas.ping.address import BadRequest
from lambdas.ping.options import Options, read
from lambdas.ping.schedules import MACROS, check

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
GOOD = [
    "0 3 * * *",
    "*/5 * * * 1-5",
    "  0  3 1 * * ",
    "@daily",
    "0 12 29 2 *",
    "0 0 L * *",
    "daily",
    "Mon..Fri 08:00",
    "*-*-* 4:00 Europe/Riga",
    "Mon *-*-* 02:00\n\nFri *-*-* 02:00 America/New_York",
    "*-*-* *:*:00/10",
]
BAD = [
    "",
    " ",
    "* * * *",
    "60 * * * *",
    "0 0 30 2 *",
    "@often",
    "@daily now",
    "never",
    "2020-01-01",
    "*-*-* *:*:*",
    "*-*-* *:*:00/5",
    "daily\nnever",
    "\n".join(["daily"] * 11),
    "x" * 1001,
]


@pytest.mark.parametrize("text", GOOD)
def test_schedules(text: str) -> None:
    check(text, NOW)
    assert recurrence.next_due(recurrence.scheduled(None, text, ZoneInfo("Europe/Riga")), NOW)


@pytest.mark.parametrize("text", BAD)
def test_what_is_none(text: str) -> None:
    with pytest.raises(BadRequest, match="schedule"):
        check(text, NOW)


WORDS = st.sampled_from(
    ["*", "0", "5", "*/7", "1-5", "L", "60", "mon", "Mon", "*-*-*", "04:00", "daily", "@daily", "\n", "UTC", "x", "*:*:*"]
)


@given(st.lists(WORDS, max_size=7).map(" ".join))
def test_the_edge_takes_nothing_that_the_core_refuses(text: str) -> None:
    try:
        check(text, NOW)
    except BadRequest:
        return
    assert recurrence.next_due(recurrence.scheduled(None, text, ZoneInfo("Europe/Riga")), NOW)


def test_the_macros_are_those_of_the_core() -> None:
    assert MACROS == recurrence.MACROS


def test_options_with_a_schedule() -> None:
    asked = {"schedule": ["0 3 * * *"], "tz": ["Europe/Riga"], "grace": ["10m"]}
    assert read(asked, "backup", NOW) == Options("backup", [], 86_400, 600, "0 3 * * *", "Europe/Riga")
    assert read({"tz": ["Europe/Riga"], "period": ["60"]}, "backup", NOW).time_zone == "Europe/Riga"


@pytest.mark.parametrize(
    ("asked", "culprit"),
    [
        ({"schedule": ["0 3 * * *"], "period": ["60"]}, "schedule and period"),
        ({"tz": ["Mars/Olympus"]}, "tz"),
        ({"tz": ["../etc/passwd"]}, "tz"),
        ({"tz": [""]}, "tz"),
        ({"schedule": ["0 3 * * *", "0 4 * * *"]}, "more than once"),
    ],
)
def test_options_that_do_not_fit(asked: dict[str, list[str]], culprit: str) -> None:
    with pytest.raises(BadRequest, match=culprit):
        read(asked, "backup", NOW)
