"""Text that is cut to what a service takes."""

import re
from string import punctuation

from hypothesis import given
from hypothesis import strategies as st

from lambdas.alert_dispatch.fitting import fit, utf8_bytes, utf16_units


@given(st.text(), st.integers(3, 200))
def test_what_is_cut_fits_and_ends_whole(text: str, limit: int) -> None:
    for size in (utf16_units, utf8_bytes):
        escaped = fit(text, limit, escape=lambda char: f"\\{char}" if char in punctuation else char, size=size)
        assert size(escaped) <= limit
        assert len(re.sub(r"\\.", "", escaped, flags=re.DOTALL)) + 2 * len(re.findall(r"\\.", escaped, re.DOTALL)) == len(escaped)
    assert fit(text, max(limit, 2 * len(text))) == text


def test_a_cut_shows_and_what_fits_does_not() -> None:
    assert fit("abcde", 5) == "abcde"
    assert fit("abcdef", 5) == "abcd…"
    assert fit("😀😀", 4) == "😀😀"
    assert fit("😀😀😀", 4) == "😀…"
    assert fit("ééé", 5, size=utf8_bytes) == "é…"
    assert fit("<<<", 9, escape=lambda char: f"&{char};") == "&<;&<;&<;"
    assert fit("<<<<", 9, escape=lambda char: f"&{char};") == "&<;&<;…"
