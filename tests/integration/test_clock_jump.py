"""The wall clock is set by an hour: neither a burst of checks nor an hour of silence follows."""

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from core.checker.dispatch import follow_clock
from core.flows.websites import claim_due, realign
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def workspace(connection: psycopg.Connection) -> UUID:
    return make_workspace(connection, NOW)


def spread(connection: psycopg.Connection, workspace: UUID, interval_s: int = 60) -> list[int]:
    """A website for each second of the interval."""
    return [
        make_website(connection, workspace, NOW + timedelta(seconds=second), interval_s=interval_s)
        for second in range(interval_s)
    ]


def due_times(connection: psycopg.Connection) -> list[datetime]:
    return [row[0] for row in connection.execute("SELECT next_check_at FROM website_state ORDER BY monitor_id")]


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_keeps_the_spread_of_the_checks(connection: psycopg.Connection, workspace: UUID, jump: timedelta) -> None:
    spread(connection, workspace)
    before = due_times(connection)
    assert realign(connection, NOW + jump, jump.total_seconds()) >= 59
    after = due_times(connection)
    assert all(timedelta() <= at - (NOW + jump) <= timedelta(seconds=60) for at in after)
    assert all((moved - was) % timedelta(seconds=60) == timedelta() for was, moved in zip(before, after, strict=True))
    assert len(claim_due(connection, NOW + jump, horizon=timedelta(seconds=1.5), limit=1000).ids) <= 3


def test_without_it_an_hour_forward_is_a_burst_and_an_hour_back_is_silence(
    connection: psycopg.Connection, workspace: UUID
) -> None:
    spread(connection, workspace)
    assert claim_due(connection, NOW - HOUR, horizon=timedelta(minutes=2), limit=1000).ids == []
    assert len(claim_due(connection, NOW + HOUR, horizon=timedelta(seconds=1.5), limit=1000).ids) == 60


def test_long_intervals_do_not_wait_for_another_round(connection: psycopg.Connection, workspace: UUID) -> None:
    daily = make_website(connection, workspace, NOW + timedelta(minutes=30), interval_s=86_400)
    realign(connection, NOW + HOUR, HOUR.total_seconds())
    assert claim_due(connection, NOW + HOUR, horizon=timedelta(), limit=10).ids == [daily]


def test_a_lease_from_the_future_ends(connection: psycopg.Connection, workspace: UUID) -> None:
    monitor_id = make_website(connection, workspace, NOW)
    assert claim_due(connection, NOW, horizon=timedelta(), limit=10).ids == [monitor_id]
    then = NOW - HOUR
    realign(connection, then, -3600.0)
    assert claim_due(connection, then + timedelta(minutes=2), horizon=timedelta(), limit=10).ids == [monitor_id]


def test_paused_websites_stay_paused(connection: psycopg.Connection, workspace: UUID) -> None:
    make_website(connection, workspace, NOW)
    connection.execute("UPDATE website_state SET next_check_at = NULL")
    assert [realign(connection, NOW + HOUR, 3600.0), realign(connection, NOW - HOUR, -3600.0)] == [0, 0]


class FakeClock:
    """Says what it is told to until it is settled."""

    def __init__(self, jump: float) -> None:
        self._jump = jump

    def jump(self) -> float:
        return self._jump

    def settle(self) -> None:
        self._jump = 0.0


@pytest.mark.parametrize("jump", [-3600.0, -math.inf])
def test_the_tick_follows_the_clock_once_and_also_a_clock_set_while_nobody_looked(database_url: str, jump: float) -> None:
    now = datetime.now(UTC)
    with ConnectionPool(database_url, min_size=1, kwargs={"options": "-c timezone=UTC"}) as pool:
        with pool.connection() as connection:
            workspace = make_workspace(connection, now)
            late = make_website(connection, workspace, now + HOUR)
        clock = FakeClock(jump)
        follow_clock(pool, clock, now)
        assert clock.jump() == 0
        with pool.connection() as connection:
            row = connection.execute("SELECT next_check_at FROM website_state WHERE monitor_id = %s", (late,)).fetchone()
            assert row
            assert row[0] <= now + timedelta(seconds=60)


def test_a_database_that_is_away_leaves_the_jump_for_the_next_tick() -> None:
    clock = FakeClock(3600.0)
    with (
        ConnectionPool("postgresql://nobody@127.0.0.1:1/none", min_size=0, max_size=1, timeout=0.2) as pool,
        pytest.raises(psycopg.OperationalError),
    ):
        follow_clock(pool, clock, NOW)
    assert clock.jump() == 3600.0
