"""Alerts of many monitors in one transaction: nobody waits for a row that another holds, and one bad alert spoils nothing."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import psycopg
import pytest

from core.adapters.database import Connection, Pool, open_pool
from core.adapters.store import alerts as store
from core.domain.transitions import CameUp, MonitorRef
from core.flows import routing
from core.flows.incidents import record_transitions
from tests.integration.test_alert_flow import make_channel
from tests.integration.test_incidents import make_monitor, went_down
from tests.waiting import until

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


def outages(connection: psycopg.Connection, count: int) -> tuple[list[MonitorRef], list[UUID]]:
    """Monitors that went down, each of a workspace of its own with one channel."""
    monitors = [make_monitor(connection, f"shop {number}") for number in range(count)]
    for monitor in monitors:
        make_channel(connection, monitor.workspace_id)
    alert_ids = record_transitions(connection, [went_down(monitor) for monitor in monitors], NOW)
    connection.commit()
    return monitors, alert_ids


def told(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    """For each delivery its monitor, what it tells, and whether its channel is of the same workspace."""
    rows = connection.execute(
        "SELECT a.monitor_id, a.alert_type, d.workspace_id = c.workspace_id FROM delivery d JOIN alert a ON a.id = d.alert_id "
        "JOIN channel c ON c.id = d.channel_id ORDER BY a.monitor_id, d.id"
    ).fetchall()
    connection.commit()
    return rows


def test_alerts_of_many_workspaces_go_to_their_own_channels(connection: psycopg.Connection, pool: Pool) -> None:
    monitors, alert_ids = outages(connection, 7)
    with pool.connection() as router:
        assert routing.route_alerts(router, alert_ids, NOW) == 7
        assert routing.route_alerts(router, alert_ids, NOW) == 7
    assert told(connection) == [(monitor.id, "down", True) for monitor in monitors]


def test_many_alerts_cost_as_many_statements_as_few(connection: psycopg.Connection, pool: Pool) -> None:
    _, few = outages(connection, 2)
    _, many = outages(connection, 40)
    executed: list[str] = []
    execute = psycopg.Connection.execute

    def counted(self: Connection, query: Any, *args: Any, **kwargs: Any) -> Any:
        executed.append(str(query))
        return execute(self, query, *args, **kwargs)

    def statements(alert_ids: list[UUID]) -> int:
        executed.clear()
        with patch.object(psycopg.Connection, "execute", counted):
            assert routing.route_alerts(router, alert_ids, NOW) == len(alert_ids)
        return len(executed)

    with pool.connection() as router:
        assert statements(few) == statements(many) > 0


def test_a_monitor_that_another_holds_keeps_nobody_waiting(connection: psycopg.Connection, pool: Pool) -> None:
    monitors, alert_ids = outages(connection, 3)
    held = monitors[1]
    with pool.connection() as holder, pool.connection() as router:
        holder.execute("SELECT FROM monitor WHERE id = %s FOR NO KEY UPDATE", (held.id,))
        routed: list[int] = []
        routing_thread = threading.Thread(target=lambda: routed.append(routing.route_alerts(router, alert_ids, NOW)))
        routing_thread.start()
        until(lambda: len(told(connection)) == 2)
        assert held.id not in {row[0] for row in told(connection)}
        holder.commit()
        routing_thread.join()
    assert routed == [3]
    assert len(told(connection)) == 3


def test_an_alert_that_cannot_be_routed_leaves_the_others_of_its_batch_alone(connection: psycopg.Connection, pool: Pool) -> None:
    monitors, alert_ids = outages(connection, 5)
    connection.execute("UPDATE alert SET facts = '{\"monitor\": 5}' WHERE id = %s", (alert_ids[2],))
    connection.commit()
    with pool.connection() as router:
        assert routing.route_alerts(router, alert_ids, NOW) == 4
    assert [row[0] for row in told(connection)] == [monitor.id for monitor in monitors if monitor is not monitors[2]]


def test_both_changes_of_a_monitor_are_told_in_their_order(connection: psycopg.Connection, pool: Pool) -> None:
    monitors, downs = outages(connection, 3)
    ups = record_transitions(connection, [CameUp(monitor, NOW + MINUTE) for monitor in monitors], NOW + MINUTE)
    connection.commit()
    with pool.connection() as router:
        routing.route_alerts(router, [*ups, *downs], NOW + MINUTE)
    assert [row[1] for row in told(connection)] == ["down", "recovered"] * 3


@pytest.mark.parametrize("written", ["due_at = due_at", "due_at = created_at"], ids=["undecided", "hold over"])
def test_what_is_due_at_one_moment_comes_in_the_order_in_which_it_was_made(connection: psycopg.Connection, written: str) -> None:
    """However it lies in the table: whoever ends many holds at once rewrites them all."""
    _, alert_ids = outages(connection, 7)
    for alert_id in reversed(alert_ids):
        connection.execute(f"UPDATE alert SET {written} WHERE id = %s", (alert_id,))
    assert store.due(connection, NOW + MINUTE, NOW + MINUTE, 500) == alert_ids
