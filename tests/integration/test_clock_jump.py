"""The wall clock is set by an hour: neither a burst of checks nor an hour of silence follows, and no job is called late."""

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from core.checker.clocks import SKEW_S, ClockWatch
from core.checker.deadlines import DeadlineClock
from core.checker.dispatch import follow_clock
from core.flows import heartbeats
from core.flows.websites import claim_due, realign
from tests.heartbeats import GRACE_S, PERIOD_S, make_heartbeat
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(seconds=1.5)


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
    claims = [len(claim_due(connection, NOW + jump + n * TICK, horizon=TICK, limit=1000).ids) for n in range(6)]
    assert max(claims) <= 3
    assert sum(claims) >= 8, "nobody holds what nobody had claimed"


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


def test_what_is_flushed_by_the_old_clock_after_it_was_set_back_does_not_wait_for_an_hour(database_url: str) -> None:
    wall, steady = [NOW.timestamp()], [500.0]
    clock = ClockWatch(lambda: wall[0], lambda: steady[0])
    with ConnectionPool(database_url, min_size=1, kwargs={"options": "-c timezone=UTC"}) as pool:

        def tick(seconds: float = 0.0) -> datetime:
            wall[0] += seconds
            steady[0] += seconds
            now = datetime.fromtimestamp(wall[0], UTC)
            follow_clock(pool, clock, now)
            return now

        with pool.connection() as connection:
            make_website(connection, make_workspace(connection, NOW), NOW)
        tick()
        wall[0] -= 3600.0
        tick()
        with pool.connection() as connection:
            connection.execute("UPDATE website_state SET next_check_at = %s", (NOW + timedelta(minutes=1),))
        now = tick(SKEW_S)
        with pool.connection() as connection:
            assert due_times(connection)[0] <= now + timedelta(minutes=1)


def test_a_database_that_is_away_leaves_the_jump_for_the_next_tick() -> None:
    clock = FakeClock(3600.0)
    with (
        ConnectionPool("postgresql://nobody@127.0.0.1:1/none", min_size=0, max_size=1, timeout=0.2) as pool,
        pytest.raises(psycopg.OperationalError),
    ):
        follow_clock(pool, clock, NOW)
    assert clock.jump() == 3600.0


PERIOD, GRACE = timedelta(seconds=PERIOD_S), timedelta(seconds=GRACE_S)


def beating(connection: psycopg.Connection, deadline_at: datetime, state: str = "up") -> UUID:
    """A heartbeat with a deadline."""
    uid = make_heartbeat(connection, NOW)
    connection.execute(
        "UPDATE heartbeat_state s SET state = %s, deadline_at = %s FROM monitor m WHERE m.id = s.monitor_id AND m.uid = %s",
        (state, deadline_at, uid),
    )
    return uid


def deadline_of(connection: psycopg.Connection, uid: UUID) -> datetime:
    query = "SELECT deadline_at FROM heartbeat_state s JOIN monitor m ON m.id = s.monitor_id WHERE m.uid = %s"
    row = connection.execute(query, (uid,)).fetchone()
    assert row
    return datetime.fromisoformat(str(row[0]))


def test_what_passed_only_because_of_a_jump_keeps_the_time_that_it_had(connection: psycopg.Connection) -> None:
    overdue, soon, last, later = (beating(connection, NOW + timedelta(minutes=n)) for n in (-1, 1, 60, 61))
    down = beating(connection, NOW + timedelta(minutes=1), "down")
    assert heartbeats.realign(connection, NOW + HOUR, 3600.0) == 2
    moved = [deadline_of(connection, uid) - NOW for uid in (overdue, soon, last, later, down)]
    assert moved == [timedelta(minutes=n) for n in (-1, 61, 120, 61, 1)]
    assert heartbeats.realign(connection, NOW + HOUR, 3600.0) == 0, "another process that saw the jump moves nothing twice"


def test_after_a_jump_back_no_deadline_is_later_than_its_schedule_allows(connection: psycopg.Connection) -> None:
    far, near = beating(connection, NOW + PERIOD + GRACE), beating(connection, NOW + timedelta(minutes=5))
    assert heartbeats.realign(connection, NOW - HOUR, -3600.0) == 1
    assert deadline_of(connection, far) == NOW - HOUR + PERIOD + 2 * GRACE
    assert deadline_of(connection, near) == NOW + timedelta(minutes=5)


def test_the_detector_waits_for_pings_under_way_and_then_moves_deadlines_once(database_url: str) -> None:
    wall, steady = [NOW.timestamp()], [500.0]
    clock = DeadlineClock(ClockWatch(lambda: wall[0], lambda: steady[0]), lambda: steady[0])

    def tick(seconds: float) -> bool:
        wall[0] += seconds
        steady[0] += seconds
        return clock.holds(pool, datetime.fromtimestamp(wall[0], UTC))

    with ConnectionPool(database_url, min_size=1, kwargs={"options": "-c timezone=UTC"}) as pool:
        with pool.connection() as connection:
            uid = beating(connection, NOW + timedelta(minutes=10))
        assert tick(0)
        assert tick(3)
        wall[0] += 3600.0
        assert [tick(3), tick(3), tick(3), tick(2)] == [False] * 4
        with pool.connection() as connection:
            under_way = beating(connection, NOW + timedelta(minutes=12))
        assert [tick(3), tick(3), tick(3)] == [True] * 3
        with pool.connection() as connection:
            assert deadline_of(connection, uid) - NOW == pytest.approx(timedelta(minutes=70), abs=timedelta(seconds=1))
            assert deadline_of(connection, under_way) - NOW == pytest.approx(timedelta(minutes=72), abs=timedelta(seconds=1))
