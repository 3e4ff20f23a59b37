"""What ping URLs name, by UUID and by ping key and slug."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts.slugs import SLUG_LIMIT, is_slug, slug_from
from lambdas.ping.address import Address, BadRequest, read

HEARTBEAT = "0190f5c2-1b2c-7d3e-8f40-123456789abc"
KEY = "6f1c2a345b6d4e7f8a90b1c2d3e4f506"

ACTIONS = [
    (None, "success", None),
    ("start", "start", None),
    ("fail", "fail", None),
    ("log", "log", None),
    ("0", "success", 0),
    ("-0", "success", 0),
    ("000", "success", 0),
    ("1", "fail", 1),
    ("255", "fail", 255),
    ("-1", "fail", -1),
    ("3221225477", "fail", 3_221_225_477),
    ("-2147483648", "fail", -(2**31)),
    ("4294967295", "fail", 2**32 - 1),
]
NO_ACTIONS = ["", "Start", "stop", "4294967296", "-2147483649", "1.0", "+1", "0x1", "1e3", "\u0663", "9" * 5000, "fail "]


@pytest.mark.parametrize(("action", "kind", "exit_status"), ACTIONS)
def test_an_action_gives_kind_and_exit_status(action: str | None, kind: str, exit_status: int | None) -> None:
    assert read(HEARTBEAT, action, None) == Address(kind, exit_status, heartbeat_id=HEARTBEAT)
    assert read(KEY, "backup", action) == Address(kind, exit_status, ping_key=KEY, slug="backup")


@pytest.mark.parametrize("action", NO_ACTIONS)
def test_any_other_action_is_refused(action: str) -> None:
    with pytest.raises(BadRequest):
        read(HEARTBEAT, action, None)
    with pytest.raises(BadRequest):
        read(KEY, "backup", action)


@pytest.mark.parametrize(
    "token",
    ["", "x", HEARTBEAT[:-1], HEARTBEAT + "0", f"{{{HEARTBEAT}}}", "\u0660" * 36, f" {HEARTBEAT}", "k" * 65, "k" * 15],
)
def test_a_malformed_token_is_refused(token: str) -> None:
    for name in (None, "backup"):
        with pytest.raises(BadRequest):
            read(token, name, None)


@pytest.mark.parametrize("slug", ["start", "fail", "log", "7", "-7", "", "a b", "ä", "s" * 65, "a.b", "%41"])
def test_a_malformed_slug_is_refused(slug: str) -> None:
    with pytest.raises(BadRequest):
        read(KEY, slug, None)


def test_a_key_needs_a_slug_and_a_uuid_takes_none() -> None:
    with pytest.raises(BadRequest, match="slug"):
        read(KEY, None, None)
    with pytest.raises(BadRequest, match="nothing may follow"):
        read(HEARTBEAT, "start", "0")


def test_upper_case_means_the_same() -> None:
    assert read(HEARTBEAT.upper(), None, None).heartbeat_id == HEARTBEAT
    assert read(KEY.upper(), "Nightly-Backup", "start") == Address("start", ping_key=KEY, slug="nightly-backup")


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Nightly backup", "nightly-backup"),
        ("Überprüfung №1", "uberprufung-no1"),
        ("  DB / dump_2 ", "db-dump_2"),
        ("start", "heartbeat-start"),
        ("42", "heartbeat-42"),
        ("резервная копия", "heartbeat"),
        ("x" * 100, "x" * 64),
    ],
)
def test_a_name_makes_a_slug(name: str, slug: str) -> None:
    assert slug_from(name) == slug


@given(st.text(max_size=120), st.integers(0, 3))
def test_every_name_makes_a_slug_that_is_free(name: str, collisions: int) -> None:
    taken: set[str] = set()
    for _ in range(collisions):
        taken.add(slug_from(name, taken=taken))
    slug = slug_from(name, taken=taken)
    assert is_slug(slug)
    assert len(slug) <= SLUG_LIMIT
    assert len(taken) == collisions
    assert slug not in taken
