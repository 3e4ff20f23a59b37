"""Text that others chose, as a line."""

import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts.lines import JOINERS, one_line
from core.domain.alert_history import History, Step
from core.local import terminal

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
PERSIAN = "\u0646\u0627\u0645\u0647\u200c\u0647\u0627"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("shop\r\nBcc: x@y.example", "shop Bcc: x@y.example"),
        ("shop\x1b[31m \x9b2J", "shop [31m 2J"),
        ("a \u202eevil\u202c\u00a0b", "a evil b"),
        (FAMILY, FAMILY),
        (PERSIAN, PERSIAN),
    ],
)
def test_a_line_keeps_words_and_nothing_that_acts(text: str, line: str) -> None:
    assert one_line(text) == line


@given(st.text())
def test_any_text_becomes_one_line_that_stays_as_it_is(text: str) -> None:
    line = one_line(text)
    assert all(char.isprintable() or char in JOINERS for char in line)
    assert one_line(line) == line


def test_the_history_of_an_incident_is_a_line_for_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    name, at = "shop\n\x1b]0;title\x07", datetime(2026, 11, 23, 12, tzinfo=UTC)
    steps = (Step(at, "incident", name, "Failed.\r\nTwice."), Step(at, "alert", "down", "Sent."))
    terminal.show_history(History(uuid4(), name, steps))
    shown = capsys.readouterr().out
    assert shown.replace("\n", "").isprintable()
    assert [re.split(" {2,}", line) for line in shown.splitlines()[1:]] == [
        ["2026-11-23 12:00:00", "incident", "shop ]0;title", "Failed. Twice."],
        ["2026-11-23 12:00:00", "alert", "down", "Sent."],
    ]
