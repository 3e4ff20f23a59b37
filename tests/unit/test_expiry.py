"""Ends are told at 30, 14, 7, 3 and 1 days, each once, however often and however late one looks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.expiry import DAY, STEPS, days_left, due_step, ending_text, steps_of

END = datetime(2026, 6, 1, 12, tzinfo=UTC)
looks = st.lists(st.integers(min_value=-5 * 24 * 60, max_value=60 * 24 * 60), min_size=1, max_size=60).map(
    lambda minutes: sorted({END - timedelta(minutes=m) for m in minutes})
)
lives = st.none() | st.integers(min_value=1, max_value=800).map(lambda days: days * DAY)


def told_at(moments: list[datetime], steps: tuple[int, ...] = STEPS) -> list[tuple[datetime, int]]:
    """What people are told when somebody looks at these moments."""
    found: list[tuple[datetime, int]] = []
    for now in moments:
        step = due_step(END, now, found[-1][1] if found else None, steps)
        if step is not None:
            found.append((now, step))
    return found


@given(looks, lives)
def test_each_step_is_told_once_and_never_early_nor_after_the_end(moments: list[datetime], life: timedelta | None) -> None:
    told = told_at(moments, steps_of(life))
    steps = [step for _, step in told]
    assert steps == sorted(set(steps), reverse=True)
    assert set(steps) <= set(STEPS)
    for now, step in told:
        assert timedelta(0) < END - now <= step * DAY
        assert 0 <= days_left(END, now) <= step


@given(looks)
def test_whoever_looks_knows_of_the_nearest_step(moments: list[datetime]) -> None:
    """After each look the least step told is the one that the time left calls for: nothing is missed, nothing is made up for."""
    for count in range(1, len(moments) + 1):
        told, now = told_at(moments[:count]), moments[count - 1]
        before = [moment for moment in moments[:count] if moment < END]
        if now >= END or not before or END - now > 30 * DAY:
            continue
        assert told[-1][1] == min(step for step in STEPS if step * DAY >= END - now)


@given(looks)
def test_looking_again_changes_nothing(moments: list[datetime]) -> None:
    assert told_at([moment for moment in moments for _ in range(3)]) == told_at(moments)


def test_looking_every_hour_tells_all_five() -> None:
    told = told_at([END - timedelta(minutes=11) - n * timedelta(hours=1) for n in range(40 * 24, -30, -1)])
    assert [step for _, step in told] == list(STEPS)
    assert [days_left(END, now) for now, _ in told] == list(STEPS)


def test_what_was_missed_is_told_once_with_the_days_that_are_left() -> None:
    now = END - timedelta(days=2, hours=5)
    assert told_at([END - 40 * DAY, now, now + timedelta(hours=1)]) == [(now, 3)]
    assert days_left(END, now) == 2


def test_what_has_ended_is_not_ending() -> None:
    assert due_step(END, END, None) is None
    assert due_step(END, END + DAY, 7) is None
    assert due_step(END, END - timedelta(microseconds=1), None) == 1


@pytest.mark.parametrize(
    ("days", "steps"), [(398, STEPS), (90, STEPS), (60, STEPS), (47, (14, 7, 3, 1)), (10, (3, 1)), (6, (3, 1)), (1, ())]
)
def test_no_step_lies_in_the_first_half_of_a_life(days: int, steps: tuple[int, ...]) -> None:
    assert steps_of(days * DAY) == steps


def test_the_text_says_what_ends_when_and_whom_it_is_about() -> None:
    names = [f"site {n}" for n in range(1, 8)]
    assert ending_text("The certificate of a.test", END, END - 14 * DAY, names) == (
        "The certificate of a.test ends in 14 days, at 2026-06-01 12:00 UTC. "
        "It is about site 1, site 2, site 3, site 4, site 5 and 2 more."
    )
    assert "ends in 1 day, at" in ending_text("It", END, END - timedelta(hours=25), names[:1])
    assert "ends in less than a day, at" in ending_text("It", END, END - timedelta(hours=7), names[:1])
    assert ending_text("It", END, END - DAY, names[:1]).endswith("It is about site 1.")
