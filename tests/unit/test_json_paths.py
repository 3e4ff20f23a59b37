"""Paths into JSON documents."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.json_paths import BadPath, TooManyValues, parse_path, read_json, values_at

DOCUMENT = {"a": {"b": [1, {"c d": None}], "": 2}, "it's": True, "ä": [[1, 2], [3]]}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("$", [DOCUMENT]),
        ("$.a.b[0]", [1]),
        ("$.a.b[-1]['c d']", [None]),
        ('$["a"][""]', [2]),
        ("$['it\\'s']", [True]),
        ("$.ä[*][0]", [1, 3]),
        ("$.ä.*[*]", [1, 2, 3]),
        ("$.a[*]", [[1, {"c d": None}], 2]),
        ("$.a.b[2]", []),
        ("$.a.b[-3]", []),
        ("$.a[0]", []),
        ("$.a.b.c", []),
        ("$.missing[*].x", []),
    ],
)
def test_a_path_leads_to_its_values(path: str, values: list[Any]) -> None:
    assert values_at(DOCUMENT, parse_path(path)) == values


@pytest.mark.parametrize(
    "path", ["", "a.b", "$a", "$.", "$..a", "$[?@.a]", "$[0,1]", "$[0:2]", "$[01]", "$[-0]", "$['a]", "$.a b", "$.9", "$[]"]
)
def test_what_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(BadPath):
        parse_path(path)


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_refused(path: str) -> None:
    with suppress(BadPath):
        values_at(DOCUMENT, parse_path(f"${path}"))


@given(st.lists(st.one_of(st.text(min_size=1), st.integers(0, 5)), max_size=5))
def test_any_name_can_be_reached_quoted(steps: list[str | int]) -> None:
    document: Any = "here"
    for step in reversed(steps):
        document = {step: document} if isinstance(step, str) else [None] * step + [document]
    quoted = ("['{}']".format(s.replace("\\", "\\\\").replace("'", "\\'")) if isinstance(s, str) else f"[{s}]" for s in steps)
    assert values_at(document, parse_path("$" + "".join(quoted))) == ["here"]


@pytest.mark.parametrize("path", ["$[*]", "$[*][*]", "$[*].a"])
def test_too_many_values_are_not_looked_at(path: str) -> None:
    with pytest.raises(TooManyValues):
        values_at([{"a": 1}] * 10_001, parse_path(path))
    assert len(values_at([{"a": 1}] * 10_000, parse_path(path))) == 10_000


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000, b'{"a": NaN}'])
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(body)
