import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.probes import BadStatusRange, clean_text, is_accepted, parse_accepted_status


def test_codes_and_ranges_are_read() -> None:
    assert parse_accepted_status("200-299,301") == (range(200, 300), range(301, 302))
    assert parse_accepted_status(" 404 , 500-599 ") == (range(404, 405), range(500, 600))


@pytest.mark.parametrize(
    "part",
    ["", "abc", "99", "600", "2000", "200-", "-299", "299-200", "200-299-300", "+200", "2e2", "\u0662\u0660\u0660", "200;301"],
)
def test_the_bad_part_is_named(part: str) -> None:
    with pytest.raises(BadStatusRange) as refused:
        parse_accepted_status(f"200,{part}")
    assert repr(part) in str(refused.value)


def test_a_code_is_accepted_within_any_range_and_not_beside_it() -> None:
    accepted = parse_accepted_status("200-204,301")
    assert [code for code in range(100, 600) if is_accepted(code, accepted)] == [200, 201, 202, 203, 204, 301]


@given(st.one_of(st.text(), st.binary()))
def test_text_of_strangers_can_be_stored(text: str | bytes) -> None:
    cleaned = clean_text(text)
    assert len(cleaned) <= 500
    assert cleaned.encode().decode() == cleaned
    assert not set(cleaned) & set("\x00\n\r\x1b\x7f\x9b")


def test_long_text_is_cut() -> None:
    assert clean_text("x" * 10_000) == "x" * 500
    assert clean_text(b"\xff" * 10, limit=3) == "\N{REPLACEMENT CHARACTER}" * 3
