"""What services say in the bodies of their answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.alert_dispatch.answers import json_fields, whole_seconds, words


@given(st.binary() | st.text().map(str.encode) | st.just(b"[" * 100_000))
def test_whatever_a_service_says_is_read(body: bytes) -> None:
    assert isinstance(json_fields(body), dict)
    assert words(body.decode("utf-8", "replace")).isprintable()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(0.65, "1"), (30, "30"), (0, "0"), (-1, ""), (True, ""), ("5", ""), (None, ""), (float("inf"), ""), (float("nan"), "")],
)
def test_seconds_to_wait_are_whole(said: object, seconds: str) -> None:
    assert whole_seconds(said) == seconds


def test_a_number_beyond_all_floats_is_one() -> None:
    said = json_fields(b'{"retry_after": 1' + b"0" * 400 + b"}")
    assert whole_seconds(said["retry_after"]) == "1" + "0" * 400


def test_only_an_object_has_members() -> None:
    assert json_fields(b'{"ok": false}') == {"ok": False}
    assert [json_fields(body) for body in (b"", b"ok", b"[1]", b"<html>", b'{"ok": ')] == [{}] * 5
    assert [words(said) for said in ("a\nb", None, 5, "x" * 500)] == ["a b", "", "", "x" * 120]
