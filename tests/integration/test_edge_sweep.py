"""Orphans between PostgreSQL and the edge, both ways."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.heartbeat_table import EdgeUnreachable
from core.flows import edge_sweep
from core.flows.edge_sweep import GRACE, Swept, sweep
from tests.fake_dynamodb import FakeDynamoDb, FakeEdgeTable
from tests.heartbeats import make_heartbeat, minutes
from tests.waiting import blocked_backends

WORKSPACE = uuid4()


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    with open_pool(database_url, application="test", size=4) as opened:
        yield opened


@pytest.fixture
def table() -> FakeEdgeTable:
    return FakeEdgeTable(FakeDynamoDb())


def made(connection: psycopg.Connection, table: FakeEdgeTable, *, at_edge: bool = True) -> UUID:
    uid = make_heartbeat(connection, datetime.now(UTC), f"job {uuid4()}")
    connection.commit()
    if at_edge:
        table.provision(uid, WORKSPACE)
    return uid


def later() -> datetime:
    return datetime.now(UTC) + GRACE + minutes(1)


def test_a_row_without_an_item_gets_one(
    pool: Pool, table: FakeEdgeTable, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_sweep, "AT_A_TIME", 2)
    uids = [made(connection, table, at_edge=number % 2 == 0) for number in range(5)]
    assert sweep(pool, table, datetime.now(UTC)) == Swept(made=2, removed=0)
    assert set(table.latest(uids)) == set(uids)
    assert sweep(pool, table, datetime.now(UTC)) == Swept(0, 0)


@pytest.mark.parametrize("with_workspace", [False, True])
def test_an_item_whose_heartbeat_or_workspace_was_deleted_goes(
    pool: Pool, table: FakeEdgeTable, connection: psycopg.Connection, with_workspace: bool
) -> None:
    kept, gone = made(connection, table), made(connection, table)
    for name in ("heartbeat", "heartbeat_state"):  # Django deletes what refers to a monitor by itself, in this order
        connection.execute(f"DELETE FROM {name} WHERE monitor_id = (SELECT id FROM monitor WHERE uid = %s)", (gone,))
    workspace = connection.execute("DELETE FROM monitor WHERE uid = %s RETURNING workspace_id", (gone,)).fetchone()
    if with_workspace:
        connection.execute("DELETE FROM workspace WHERE id = %s", workspace)
    connection.commit()
    assert sweep(pool, table, datetime.now(UTC)) == Swept(0, 0), "not before its time"
    assert sweep(pool, table, later()) == Swept(made=0, removed=1)
    assert set(table.latest([kept, gone])) == {kept}
    assert sweep(pool, table, later()) == Swept(0, 0)


def test_a_note_of_a_heartbeat_that_was_created_removes_nothing(
    pool: Pool, table: FakeEdgeTable, connection: psycopg.Connection
) -> None:
    uid = made(connection, table)
    connection.execute("INSERT INTO edge_orphan VALUES (%s, %s)", (uid, datetime.now(UTC)))
    connection.commit()
    assert sweep(pool, table, later()) == Swept(0, 0)
    assert set(table.latest([uid])) == {uid}


def test_an_edge_that_is_away_is_for_the_next_run(pool: Pool, table: FakeEdgeTable, connection: psycopg.Connection) -> None:
    uid = uuid4()
    connection.execute("INSERT INTO edge_orphan VALUES (%s, %s)", (uid, datetime.now(UTC)))
    connection.commit()
    table.away = True
    with pytest.raises(EdgeUnreachable):
        sweep(pool, table, later())
    table.away = False
    assert sweep(pool, table, later()).removed == 1


def test_an_item_is_not_made_for_a_heartbeat_that_is_being_deleted(
    database_url: str, pool: Pool, table: FakeEdgeTable, connection: psycopg.Connection
) -> None:
    """The sweep has seen the row; its deletion commits before the sweep can lock it."""
    uid = made(connection, table, at_edge=False)
    for name in ("heartbeat_state", "heartbeat"):
        connection.execute(f"DELETE FROM {name} WHERE monitor_id = (SELECT id FROM monitor WHERE uid = %s)", (uid,))
    connection.execute("DELETE FROM monitor WHERE uid = %s", (uid,))
    swept: list[Swept] = []
    thread = threading.Thread(target=lambda: swept.append(sweep(pool, table, datetime.now(UTC))))
    thread.start()
    blocked_backends(database_url)
    connection.commit()
    thread.join(20)
    assert (swept, table.latest([uid])) == ([Swept(0, 0)], {})
