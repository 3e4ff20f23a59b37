"""So many slow checks in a row are told, and so many fast ones after that; nothing else is."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.outcomes import Outcome, Reason
from core.domain.slowness import Change, Check, News, fast_again_text, judge, slow_text

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KINDS = {
    "s": (Outcome.UP, Reason.DEGRADED),
    "f": (Outcome.UP, Reason.OK),
    "d": (Outcome.DOWN, Reason.HTTP_STATUS),
    "?": (Outcome.UNKNOWN, Reason.LOCAL_NETWORK),
}
STORIES = st.text(alphabet="".join(KINDS), max_size=40)
THRESHOLDS = st.integers(1, 6)


def latest_first(story: str) -> list[Check]:
    """Checks, one a minute, from a story that is told from its beginning."""
    return [Check(NOW + number * MINUTE, *KINDS[kind]) for number, kind in enumerate(story)][::-1]


def news(story: str, threshold: int, *, told: bool = False) -> News | None:
    change = judge(latest_first(story), threshold, told=told)
    return change.news if change else None


def told_in(story: str, threshold: int) -> list[tuple[int, News]]:
    """What is told, and after which check, by looks after each of them."""
    found: list[tuple[int, News]] = []
    for end in range(1, len(story) + 1):
        said = news(story[:end], threshold, told=bool(found) and found[-1][1] == "degraded")
        if said:
            found.append((end, said))
    return found


def counted(story: Iterable[str], threshold: int) -> list[tuple[int, News]]:
    """The same from two counters, as somebody would keep them who sees the checks come."""
    found: list[tuple[int, News]] = []
    slow = fast = 0
    for number, kind in enumerate(story, 1):
        if kind == "?":
            continue
        slow = slow + 1 if kind == "s" else 0
        fast = fast + 1 if kind == "f" else 0
        knows = bool(found) and found[-1][1] == "degraded"
        if not knows and slow >= threshold:
            found.append((number, "degraded"))
        elif knows and fast >= threshold:
            found.append((number, "fast_again"))
    return found


@pytest.mark.parametrize(
    ("story", "told", "expected"),
    [
        ("sss", False, "degraded"),
        ("fsss", False, "degraded"),
        ("s?s?s", False, "degraded"),
        ("ss", False, None),
        ("ssfs", False, None),
        ("sdss", False, None),
        ("???", False, None),
        ("sss", True, None),
        ("sfff", True, "fast_again"),
        ("sff", True, None),
        ("ffdff", True, None),
        ("fff", False, None),
        ("", True, None),
    ],
)
def test_three_in_a_row(story: str, told: bool, expected: str | None) -> None:
    assert news(story, 3, told=told) == expected


def test_off_is_off() -> None:
    assert news("s" * 9, 0) is None
    assert news("f" * 9, 0, told=True) is None


def test_it_is_so_since_the_first_of_the_row() -> None:
    assert judge(latest_first("fss?s"), 3, told=False) == Change("degraded", NOW + MINUTE)


@given(STORIES, THRESHOLDS)
def test_looking_finds_what_counting_would(story: str, threshold: int) -> None:
    assert told_in(story, threshold) == counted(story, threshold)


@given(STORIES, THRESHOLDS)
def test_beginnings_and_ends_take_turns(story: str, threshold: int) -> None:
    said = [what for _, what in told_in(story, threshold)]
    assert said == (["degraded", "fast_again"] * len(said))[: len(said)]


@given(STORIES, THRESHOLDS, st.booleans())
def test_what_is_unknown_or_long_ago_changes_nothing(story: str, threshold: int, told: bool) -> None:
    known = [check for check in latest_first(story) if check.outcome is not Outcome.UNKNOWN]
    assert judge(latest_first(story), threshold, told=told) == judge(known[:threshold], threshold, told=told)


def test_people_read_numbers_and_times() -> None:
    assert slow_text(3, 800, 1240, NOW) == (
        "Each of its last 3 checks took more than 800 ms, the latest 1240 ms. It is up, but slow since 2026-03-01 12:00 UTC."
    )
    assert slow_text(1, 800, 1240, NOW).startswith("Its latest check took more than 800 ms")
    assert fast_again_text(3, NOW, NOW + 5 * MINUTE) == (
        "Its last 3 checks were fast enough. It was slow from 2026-03-01 12:00 to 2026-03-01 12:05 UTC."
    )
