"""How runs went: noted with each ping, rolled up by the hour, and the same figures from pings, from rollups and from both."""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Literal
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.adapters.store import run_rollups as store
from core.contracts.events import Detail, HeartbeatPinged
from core.domain.run_statistics import RunStatistics
from core.domain.uptime import SKETCH_ERROR, Span
from core.flows.heartbeat_statistics import measure, roll
from core.flows.heartbeats import apply_pings
from core.flows.rollups import aggregate
from tests.heartbeats import PERIOD_S, make_heartbeat, minutes, pinged

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PERIOD = timedelta(seconds=PERIOD_S)
HOUR = timedelta(hours=1)


@pytest.fixture
def uid(connection: psycopg.Connection) -> UUID:
    made = make_heartbeat(connection, NOON - HOUR)
    connection.execute("UPDATE monitor SET created_at = %s", (NOON - HOUR,))
    connection.commit()
    return made


def ended(
    uid: UUID, sequence: int, at: datetime, took_s: float | None = None, kind: Literal["success", "fail"] = "success"
) -> Detail[HeartbeatPinged]:
    """A ping that ends a run."""
    ping = pinged(uid, sequence, at, kind)
    started_at = None if took_s is None else at - timedelta(seconds=took_s)
    return msgspec.structs.replace(ping, data=msgspec.structs.replace(ping.data, started_at=started_at, rid=uuid4()))


def stored(connection: psycopg.Connection) -> list[tuple[datetime, datetime | None, datetime | None]]:
    """Each ping: when it came, when its run started, when it was due."""
    return connection.execute("SELECT pinged_at, started_at, due_at FROM ping ORDER BY sequence").fetchall()


def whole(connection: psycopg.Connection, start: datetime = NOON, end: datetime = NOON + 24 * HOUR) -> RunStatistics:
    row = connection.execute("SELECT id FROM monitor").fetchone()
    assert row
    [found] = measure(connection, row[0], NOON - HOUR, [Span(start, end)])
    return found


def test_a_success_remembers_its_start_and_when_it_was_due(connection: psycopg.Connection, uid: UUID) -> None:
    late = NOON + PERIOD + minutes(2)
    apply_pings(connection, [ended(uid, 1, NOON)], NOON)
    apply_pings(connection, [ended(uid, 2, late, took_s=90)], late)

    assert stored(connection) == [(NOON, None, None), (late, late - timedelta(seconds=90), NOON + PERIOD)]


def test_pings_of_one_batch_are_due_one_after_the_other(connection: psycopg.Connection, uid: UUID) -> None:
    times = [NOON, NOON + PERIOD + minutes(1), NOON + 2 * PERIOD - minutes(1)]
    batch = [ended(uid, number, at) for number, at in enumerate(times, 1)]
    apply_pings(connection, [batch[2], batch[0], batch[1]], NOON + 3 * PERIOD)

    assert [due for _, _, due in stored(connection)] == [None, times[0] + PERIOD, times[1] + PERIOD]


def test_after_a_miss_the_next_success_is_not_late_by_days(connection: psycopg.Connection, uid: UUID) -> None:
    very_late = NOON + 2 * PERIOD - timedelta(milliseconds=1)
    apply_pings(connection, [ended(uid, 1, NOON)], NOON)
    apply_pings(connection, [ended(uid, 2, very_late), ended(uid, 3, very_late + 2 * PERIOD)], NOON + 5 * PERIOD)

    assert [due for _, _, due in stored(connection)] == [None, NOON + PERIOD, None]


def test_failures_starts_and_logs_are_never_due(connection: psycopg.Connection, uid: UUID) -> None:
    at = NOON + minutes(5)
    apply_pings(connection, [ended(uid, 1, NOON), ended(uid, 2, at, kind="fail"), pinged(uid, 3, at, "log")], at)

    assert [due for _, _, due in stored(connection)] == [None, None, None]


def test_a_success_after_a_pause_or_after_a_later_one_is_not_due(connection: psycopg.Connection, uid: UUID) -> None:
    apply_pings(connection, [ended(uid, 1, NOON)], NOON)
    apply_pings(connection, [ended(uid, 3, NOON + PERIOD)], NOON + PERIOD)
    apply_pings(connection, [ended(uid, 2, NOON + minutes(1))], NOON + PERIOD)
    connection.execute("UPDATE monitor SET paused_at = %s, updated_at = %s", (NOON + PERIOD, NOON + PERIOD))
    apply_pings(connection, [ended(uid, 4, NOON + 5 * PERIOD), ended(uid, 5, NOON + 6 * PERIOD)], NOON + 6 * PERIOD)

    assert [due for _, _, due in stored(connection)] == [None, None, NOON + PERIOD, None, NOON + 6 * PERIOD]


def test_figures_are_those_of_the_runs_that_succeeded(connection: psycopg.Connection, uid: UUID) -> None:
    pings = [ended(uid, 1, NOON, 10), ended(uid, 2, NOON + PERIOD + minutes(2), 20), ended(uid, 3, NOON + 2 * PERIOD, 60)]
    pings.append(ended(uid, 4, NOON + 2 * PERIOD + minutes(1), 1, "fail"))
    apply_pings(connection, pings, NOON + 3 * PERIOD)
    found = whole(connection)

    assert (found.successes, found.failures, found.durations.count) == (3, 1, 3)
    assert (found.durations.min_us, found.durations.mean_us, found.durations.max_us) == (10_000_000, 30_000_000, 60_000_000)
    assert found.durations.percentile_us(0.5) == pytest.approx(20_000_000, rel=SKETCH_ERROR)
    # two minutes late, then two minutes early
    assert (found.distances.count, found.distances.mean_us, found.mean_drift_us) == (2, 120_000_000, 0)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    runs=st.lists(st.tuples(st.integers(0, 13 * 3600), st.none() | st.floats(0, 90_000), st.booleans()), min_size=1, max_size=40),
    rolled=st.integers(0, 14),
)
def test_pings_rollups_and_both_together_give_the_same(
    connection: psycopg.Connection, uid: UUID, runs: Sequence[tuple[int, float | None, bool]], rolled: int
) -> None:
    """Against the list of what happened; hours that are rolled up are read from the rollups alone."""
    with connection.transaction(force_rollback=True):
        ordered = sorted(runs, key=lambda run: run[0])
        pings = [
            ended(uid, number, NOON + timedelta(seconds=second), took, "success" if good else "fail")
            for number, (second, took, good) in enumerate(ordered, 1)
        ]
        apply_pings(connection, pings, NOON + 14 * HOUR)
        for hour in range(rolled):
            roll(connection, NOON + hour * HOUR)
            connection.execute("INSERT INTO rolled_hour VALUES (%s, 0, %s)", (NOON + hour * HOUR, NOON))
        connection.execute("DELETE FROM ping WHERE pinged_at < %s", (NOON + rolled * HOUR,))
        found = whole(connection)

    durations = [round(took * 1_000_000) for _, took, good in ordered if good and took is not None]
    assert (found.successes, found.failures) == (sum(good for *_, good in ordered), sum(not good for *_, good in ordered))
    assert found.durations.count == len(durations)
    if durations:
        assert found.durations.mean_us == pytest.approx(statistics.fmean(durations), abs=1)
        assert (found.durations.min_us, found.durations.max_us) == (min(durations), max(durations))
        median = sorted(durations)[(len(durations) + 1) // 2 - 1]
        assert found.durations.percentile_us(0.5) == pytest.approx(median, rel=SKETCH_ERROR + 1e-6, abs=2)
    good_at = [second for second, _, good in ordered if good]
    drifts = [later - earlier - PERIOD_S for earlier, later in pairwise(good_at) if later - earlier < 2 * PERIOD_S]
    assert found.distances.count == len(drifts)
    assert found.drift_sum_us == sum(drifts) * 1_000_000


def test_an_hour_is_rolled_up_with_its_uptime_and_again_when_a_ping_comes_late(connection: psycopg.Connection, uid: UUID) -> None:
    apply_pings(connection, [ended(uid, 1, NOON + minutes(5), 10)], NOON + minutes(5))
    aggregate(connection, NOON + HOUR + minutes(3))
    assert connection.execute("SELECT hour, successes FROM run_hourly").fetchall() == [(NOON, 1)]
    apply_pings(connection, [ended(uid, 2, NOON + minutes(50), 30)], NOON + 2 * HOUR)
    aggregate(connection, NOON + HOUR + minutes(20))

    assert connection.execute("SELECT hour, successes, duration_sum_us FROM run_hourly").fetchall() == [(NOON, 2, 40_000_000)]


def test_a_clock_that_went_back_makes_no_negative_duration(connection: psycopg.Connection, uid: UUID) -> None:
    apply_pings(connection, [ended(uid, 1, NOON, -5)], NOON)

    assert whole(connection).durations.min_us == 0


def test_statements_fit_the_schema(connection: psycopg.Connection) -> None:
    bounds = {"start": NOON, "end": NOON + HOUR, "monitor_id": 1}
    store.roll_day(connection, NOON.replace(hour=0))
    for statement in (store.ROLL_HOUR, store.FROM_PINGS):
        assert connection.execute(statement, bounds) is not None
    assert store.from_rollups(connection, 1, [], []) == RunStatistics()
