"""Checks of one host begin a few at a time; every other host is as free as it was."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from core.checker.lines import OPEN_AT_ONCE, STEPS, HostLines, Waiting, host_of
from core.domain.probes import ProbeRequest
from core.domain.transitions import MonitorRef
from core.domain.website import Policy
from core.flows.websites import Job

THEN = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(number: int, url: str = "http://shop.test/") -> Waiting:
    job = Job(
        monitor=MonitorRef(number, UUID(int=number), UUID(int=0), "website", "shop", url),
        policy=Policy(60, 10, 3, 1),
        request=ProbeRequest(number, url, "GET", 1000, (range(200, 300),), True, 5, True),
        lease_id=UUID(int=9),
        due_at=THEN,
        leased_until=THEN,
    )
    return job, 0.0


def numbers(items: list[Waiting]) -> list[int]:
    return [job.monitor.id for job, _ in items]


def full(lines: HostLines, more: int) -> list[Waiting]:
    """As many as may begin, and `more` in line."""
    items = [waiting(n) for n in range(OPEN_AT_ONCE + more)]
    assert [lines.enter(item) for item in items] == [True] * OPEN_AT_ONCE + [False] * more
    assert len(lines) == more
    return items


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://shop.test/cart?a=https://other.test/", "shop.test"),
        ("http://shop.test:8080/", "shop.test:8080"),
        ("tcp://[::1]:25", "[::1]:25"),
    ],
)
def test_a_host_is_what_a_connection_is_made_to(url: str, host: str) -> None:
    assert host_of(waiting(1, url)[0]) == host


def test_another_host_or_port_waits_for_nobody() -> None:
    lines = HostLines()
    full(lines, 1)
    assert lines.enter(waiting(90, "http://other.test/"))
    assert lines.enter(waiting(91, "http://shop.test:8080/"))


def test_each_that_ends_is_followed_by_the_next_in_line() -> None:
    lines = HostLines()
    items = full(lines, 3)
    assert [lines.leave(job) for job, _ in items] == [*items[OPEN_AT_ONCE:], *[None] * OPEN_AT_ONCE]
    assert not len(lines)
    full(lines, 0)  # everybody has left: as many as before may begin


def test_a_host_that_does_not_answer_holds_up_each_of_few_for_a_step() -> None:
    lines = HostLines()
    full(lines, 3)
    assert [numbers(lines.step()) for _ in range(4)] == [[OPEN_AT_ONCE], [OPEN_AT_ONCE + 1], [OPEN_AT_ONCE + 2], []]


def test_of_many_a_part_begins_at_each_step() -> None:
    lines = HostLines()
    full(lines, 20 * STEPS)
    assert [len(lines.step()) for _ in range(3)] == [20, 18, 16]


def test_who_began_at_a_step_counts_among_the_open_ones() -> None:
    lines = HostLines()
    items = full(lines, 2)
    lines.step()
    assert lines.leave(items[0][0]) is None  # as many as may be open still are
    assert lines.leave(items[1][0]) == items[-1]


def test_who_is_in_a_hurry_passes_the_line_and_is_counted() -> None:
    lines = HostLines()
    hurried = waiting(90)[0]
    lines.hurry(hurried)
    items = [waiting(n) for n in range(OPEN_AT_ONCE)]
    assert [lines.enter(item) for item in items] == [True] * (OPEN_AT_ONCE - 1) + [False]
    assert lines.leave(hurried) == items[-1]


def test_who_never_began_comes_back() -> None:
    lines = HostLines()
    items = full(lines, 3)
    assert lines.clear() == items[OPEN_AT_ONCE:]
    assert not len(lines)
    assert [lines.leave(job) for job, _ in items[:OPEN_AT_ONCE]] == [None] * OPEN_AT_ONCE
