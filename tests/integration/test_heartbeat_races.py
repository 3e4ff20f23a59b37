"""The detector against pings, people, its own death and other detectors: forced interleavings of real transactions."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.adapters.database import Connection, Pool, open_pool
from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.store import heartbeats as store
from core.contracts.heartbeat_keys import STATE_SORT_KEY
from core.contracts.heartbeat_table import HeartbeatItem
from core.domain.heartbeat import Heartbeat, HeartbeatState, expecting
from core.domain.heartbeat_runs import Run
from core.domain.transitions import CameUp, WentDown
from core.flows import heartbeats, silence
from core.flows.heartbeats import Applied, apply_pings
from core.flows.silence import Detector
from tests.aws_stand_in import REGION, AwsStandIn
from tests.heartbeats import make_heartbeat, minutes, pinged
from tests.waiting import blocked_backends

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WAITED_S = 20.0


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=6)
    yield opened
    opened.close()


@pytest.fixture
def table(aws: AwsStandIn) -> HeartbeatTable:
    return HeartbeatTable(aws.names, REGION)


@pytest.fixture
def uid(connection: psycopg.Connection) -> UUID:
    """A heartbeat whose only ping came an hour and six minutes before it is looked at: a minute too long ago."""
    made = make_heartbeat(connection, NOON)
    apply_pings(connection, [pinged(made, 1, NOON)], NOON)
    connection.commit()
    return made


@pytest.fixture(autouse=True)
def at_edge(uid: UUID, table: HeartbeatTable) -> None:
    item = HeartbeatItem(str(uid), STATE_SORT_KEY, workspace_id=str(uid), sequence=1)
    item.last_success_at, item.last_success_sequence = int(NOON.timestamp() * 1000), 1
    item.save()


NOW = NOON + minutes(66)


class Thread(threading.Thread):
    """Keeps what its function returned or raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._result: Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # noqa: BLE001  (raised again by whoever waits)
            self._error = error

    def result(self) -> Any:
        self.join(WAITED_S)
        assert not self.is_alive()
        if self._error:
            raise self._error
        return self._result


def counts(connection: psycopg.Connection) -> tuple[int, int, int, int]:
    """Incidents, open incidents, alerts, outbox events."""
    row = connection.execute(
        """
        SELECT (SELECT count(*) FROM incident), (SELECT count(*) FROM incident WHERE resolved_at IS NULL),
               (SELECT count(*) FROM alert), (SELECT count(*) FROM outbox)
        """
    ).fetchone()
    connection.commit()
    assert row
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def test_a_ping_that_commits_while_the_detector_waits_for_its_row_wins(
    pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, database_url: str, uid: UUID
) -> None:
    """The detector has seen the old deadline; the guard is on the deadline itself."""
    with pool.connection() as own, own.transaction():
        apply_pings(own, [pinged(uid, 2, NOON + minutes(65.5))], NOW)
        detector = Thread(lambda: Detector(pool, table).judge_due(NOW))
        blocked_backends(database_url)
    applied: Applied = detector.result()
    assert (applied.transitions, counts(connection)) == ([], (0, 0, 0, 0))
    state = connection.execute("SELECT state, deadline_at FROM heartbeat_state").fetchone()
    assert state == ("up", NOON + minutes(130.5))


def test_a_ping_that_waits_for_the_verdict_ends_the_outage(
    pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, uid: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged, go_on = threading.Event(), threading.Event()
    record: Any = vars(heartbeats)["record_transitions"]

    def hold(own: Connection, transitions: Any, now: datetime) -> Any:
        if any(isinstance(transition, WentDown) for transition in transitions):
            judged.set()
            assert go_on.wait(WAITED_S)
        return record(own, transitions, now)

    def ping() -> Applied:
        with pool.connection() as own:
            return apply_pings(own, [pinged(uid, 2, NOON + minutes(66))], NOW)

    monkeypatch.setattr(silence, "record_transitions", hold)
    detector = Thread(lambda: Detector(pool, table).judge_due(NOW))
    assert judged.wait(WAITED_S)
    late = Thread(ping)
    blocked_backends(str(pool.conninfo))
    go_on.set()
    assert [type(transition) for transition in detector.result().transitions] == [WentDown]
    assert [type(transition) for transition in late.result().transitions] == [CameUp]
    assert counts(connection) == (1, 0, 2, 2)


@pytest.mark.parametrize("killed_after", ["save", "record_transitions"])
def test_a_detector_that_dies_in_the_middle_has_changed_nothing_and_the_next_one_tells(
    pool: Pool,
    table: HeartbeatTable,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    killed_after: str,
) -> None:
    """State, incident, alert and event are one transaction: its connection is killed after each step of it."""
    module: Any = store if killed_after == "save" else silence
    step = getattr(module, killed_after)

    def die(own: Connection, *rest: Any) -> Any:
        done = step(own, *rest)
        connection.execute("SELECT pg_terminate_backend(%s)", (own.info.backend_pid,))
        connection.commit()
        return done

    with monkeypatch.context() as dying:
        dying.setattr(module, killed_after, die)
        with pytest.raises(psycopg.OperationalError):
            Detector(pool, table).judge_due(NOW)
    assert counts(connection) == (0, 0, 0, 0)
    assert connection.execute("SELECT state, deadline_at FROM heartbeat_state").fetchone() == ("up", NOON + minutes(65))
    connection.commit()
    assert len(Detector(pool, table).judge_due(NOW).alert_ids) == 1
    assert counts(connection) == (1, 1, 1, 1)
    assert Detector(pool, table).judge_due(NOW + minutes(9)).alert_ids == []


def test_many_detectors_at_once_tell_once(pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, uid: UUID) -> None:
    barrier = threading.Barrier(4)

    def judge() -> Applied:
        barrier.wait(WAITED_S)
        return Detector(pool, table).judge_due(NOW)

    told = [detector.result().alert_ids for detector in [Thread(judge) for _ in range(4)]]
    assert sum(len(alerts) for alerts in told) == 1
    assert counts(connection) == (1, 1, 1, 1)


def test_settings_that_change_while_the_detector_waits_are_the_ones_that_count(
    pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, database_url: str
) -> None:
    """An edit that does not move the deadline."""
    with pool.connection() as own, own.transaction():
        own.execute("SELECT FROM heartbeat_state FOR UPDATE")
        own.execute("UPDATE heartbeat SET failure_threshold = 2, config_version = 2")
        detector = Thread(lambda: Detector(pool, table).judge_due(NOW))
        blocked_backends(database_url)
    assert detector.result().transitions == []
    row = connection.execute("SELECT state, due_at, jsonb_array_length(failures) FROM heartbeat_state").fetchone()
    assert row == ("up", NOON + minutes(120), 1)
    connection.commit()
    assert len(Detector(pool, table).judge_due(NOON + minutes(126)).alert_ids) == 1
    began = connection.execute("SELECT began_at FROM incident").fetchone()
    assert began == (NOON + minutes(65),), "an outage begins with its first failure"


def test_what_is_stored_comes_back_as_it_was(pool: Pool, connection: psycopg.Connection, uid: UUID) -> None:
    run, other = UUID(int=1), UUID(int=2)
    connection.execute(
        "UPDATE heartbeat SET failure_threshold = 3, max_run_s = 7200, schedule_kind = 'cron', schedule = '*/5 * * * *'"
    )
    pings = [
        pinged(uid, 2, NOON + minutes(1), "start", rid=run),
        pinged(uid, 3, NOON + minutes(2), "start"),
        pinged(uid, 4, NOON + minutes(3), "success", rid=other),
        pinged(uid, 5, NOON + minutes(4), "fail", rid=other),
    ]
    apply_pings(connection, pings, NOON + minutes(5))
    [before] = store.lock(connection, [uid])
    assert set(before.state.runs.open) == {"", str(run)}
    assert before.state.runs.ended == {str(other): 5}
    assert [failure.rank for failure in before.state.failures] == [10]
    assert before.schedule.words == "cron */5 * * * * UTC, grace 5 min"
    store.save(connection, [before])
    [again] = store.lock(connection, [uid])
    assert again == before
    moved = moved_by_a_clock_set_back(connection, before)
    assert (moved.state.anchor_at, moved.state.due_at) == (NOON - minutes(57), NOON - minutes(55))
    assert moved.state.runs == before.state.runs


def test_what_was_stored_before_schedules_stays_as_it_was_judged(connection: psycopg.Connection) -> None:
    """The migration's own statement, on rows as they were before it: period 1 h, grace 5 min."""
    connection.execute("DELETE FROM heartbeat_state")
    up, resumed, started, down, new = (make_heartbeat(connection, NOON) for _ in range(5))
    before = """
        UPDATE heartbeat_state s SET state = %s, verdict_sequence = %s, start_sequence = %s, last_success_at = %s, last_start_at = %s,
               deadline_at = %s
        FROM monitor m WHERE m.id = s.monitor_id AND m.uid = %s
    """
    connection.execute(before, ("up", 5, 3, NOON, NOON - minutes(1), NOON + minutes(65), up))
    connection.execute(before, ("new", 5, 3, NOON, None, NOON + minutes(125), resumed))
    connection.execute(before, ("new", 0, 2, None, NOON, NOON + minutes(5), started))
    connection.execute(before, ("down", 7, 0, NOON, None, None, down))
    connection.execute(import_module("core.api.migrations.0006_schedules").FILL)
    states = {heartbeat.monitor.uid: heartbeat for heartbeat in store.lock(connection, [up, resumed, started, down, new])}
    for uid in (up, resumed, started, down, new):
        state, schedule = states[uid].state, states[uid].schedule
        assert expecting(state, schedule) == state
    assert (states[up].state.anchor_at, states[up].state.success_sequence, states[up].state.running) == (NOON, 5, False)
    assert states[resumed].state.anchor_at == NOON + minutes(60)
    assert states[started].state.runs.open == {"": Run(2, NOON)}
    back = apply_pings(connection, [pinged(down, 8, NOON + minutes(9))], NOON + minutes(9))
    assert [type(transition) for transition in back.transitions] == [CameUp]
    assert expecting(HeartbeatState(), states[new].schedule) == states[new].state


def moved_by_a_clock_set_back(connection: psycopg.Connection, heartbeat: Heartbeat) -> Heartbeat:
    """The heartbeat after its wall clock was set back by an hour, three minutes after noon."""
    connection.execute("UPDATE heartbeat_state SET deadline_at = %s", (NOON + minutes(10),))
    assert heartbeats.realign(connection, NOON - minutes(57), -3600) == 1
    [moved] = store.lock(connection, [heartbeat.monitor.uid])
    assert replace(moved, state=heartbeat.state) == heartbeat
    return moved
