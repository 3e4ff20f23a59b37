"""The end of what a job said, as a message shows it: whole lines of printable text, whatever bytes came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.alert_dispatch.outputs import OUTPUT_LIMIT, READ_LIMIT, last_lines


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", ""),
        (b"disk full\n", "disk full"),
        (b"\n\none\r\ntwo\r\n\r\n", "one\ntwo"),
        (b"\x1b[31mERROR\x1b[0m \x1b]0;title\x07it broke", "ERROR it broke"),
        (b"10 %\r50 %\r100 %\ndone", "100 %\ndone"),
        (b"a\tb\x00c\x07d", "a   b c d"),
        (b"\xb3cut at the front, \xff within", "cut at the front, � within"),
        ("Fehler: Gerät läuft".encode(), "Fehler: Gerät läuft"),
        ("\u202egpj.exe".encode(), " gpj.exe".strip()),
    ],
)
def test_what_is_shown(body: bytes, shown: str) -> None:
    assert last_lines(body) == shown


def test_of_much_the_last_whole_lines() -> None:
    body = "".join(f"line {number}\n" for number in range(500)).encode()
    lines = last_lines(body[-READ_LIMIT:]).split("\n")
    assert lines[-1] == "line 499"
    assert lines == [f"line {number}" for number in range(500 - len(lines), 500)]
    assert OUTPUT_LIMIT - 20 < len("\n".join(lines)) <= OUTPUT_LIMIT


def test_of_one_long_line_its_end() -> None:
    assert last_lines(b"x" * 5000 + b" the end").endswith(" the end")
    assert len(last_lines(b"x" * 5000)) == OUTPUT_LIMIT


@given(st.binary(max_size=READ_LIMIT) | st.text(max_size=2000).map(lambda text: text.encode()))
def test_any_bytes_become_lines_of_printable_text_that_fit(body: bytes) -> None:
    shown = last_lines(body)
    assert len(shown.encode()) <= OUTPUT_LIMIT
    assert all(line.isprintable() for line in shown.split("\n"))
