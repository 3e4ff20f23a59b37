"""record_transitions against PostgreSQL: incident, alert and event are one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg

from core.contracts import events
from core.domain.outcomes import Reason
from core.domain.transitions import CameUp, MonitorRef, WentDown
from core.flows.incidents import record_transitions

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def make_monitor(connection: psycopg.Connection, name: str = "shop") -> MonitorRef:
    workspace = uuid4()
    connection.execute("INSERT INTO workspace (id, name, created_at) VALUES (%s, 'w', %s)", (workspace, NOW))
    row = connection.execute(
        "INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at) VALUES (%s, %s, 'website', %s, '{}', %s) RETURNING id, uid",
        (uuid4(), workspace, name, NOW),
    ).fetchone()
    assert row
    return MonitorRef(row[0], row[1], workspace, "website", name, "https://example.com/")


def went_down(monitor: MonitorRef) -> WentDown:
    return WentDown(monitor, NOW - timedelta(seconds=20), Reason.CONNECT_REFUSED, "connection refused")


def test_an_outage_opens_one_incident_with_its_alert_and_its_event(connection: psycopg.Connection) -> None:
    monitor = make_monitor(connection)
    [alert_id] = record_transitions(connection, [went_down(monitor)], NOW)
    alert = connection.execute("SELECT id, alert_type, sequence, routed_at FROM alert").fetchall()
    assert alert == [(alert_id, "down", 1, None)]
    [(detail_type, detail)] = connection.execute("SELECT detail_type, detail FROM outbox").fetchall()
    assert detail_type == "IncidentOpened"
    opened = events.decode(events.IncidentOpened, detail)
    assert opened.data.incident.reason == "connect_refused"
    assert opened.metadata.workspace_id == monitor.workspace_id


def test_a_second_outage_of_an_open_incident_follows_nothing(connection: psycopg.Connection) -> None:
    monitor = make_monitor(connection)
    record_transitions(connection, [went_down(monitor)], NOW)
    assert record_transitions(connection, [went_down(monitor)], NOW) == []
    assert connection.execute("SELECT count(*) FROM incident").fetchone() == (1,)


def test_outages_follow_each_other_whatever_the_clocks_say(connection: psycopg.Connection) -> None:
    """Those who opened the first one were two minutes ahead; and what is told of an outage says when the store says it was opened."""
    shop, blog = make_monitor(connection), make_monitor(connection, "blog")
    record_transitions(connection, [went_down(shop)], NOW + timedelta(minutes=2))
    record_transitions(connection, [CameUp(shop, NOW)], NOW)
    record_transitions(connection, [went_down(shop), went_down(blog)], NOW)
    stored = connection.execute("SELECT id, opened_at, monitor_id FROM incident ORDER BY monitor_id, opened_at").fetchall()
    assert [at - NOW for _, at, _ in stored] == [timedelta(minutes=2), timedelta(minutes=2, microseconds=1), timedelta()]
    told = connection.execute("SELECT incident_id, facts FROM alert WHERE alert_type = 'down'").fetchall()
    for incident, facts in told:
        assert datetime.fromisoformat(facts["incident"]["opened_at"]) == {id_: at for id_, at, _ in stored}[incident]
    assert len(told) == 3


def test_recovery_closes_the_incident_and_orders_its_alert_last(connection: psycopg.Connection) -> None:
    monitor = make_monitor(connection)
    record_transitions(connection, [went_down(monitor)], NOW)
    at = NOW + timedelta(minutes=3)
    [alert_id] = record_transitions(connection, [CameUp(monitor, at)], at)
    assert connection.execute("SELECT resolved_at FROM incident").fetchone() == (at,)
    rows = connection.execute("SELECT id, alert_type FROM alert ORDER BY sequence").fetchall()
    assert rows[-1] == (alert_id, "recovered")
    assert [row[0] for row in connection.execute("SELECT detail_type FROM outbox ORDER BY id")] == [
        "IncidentOpened",
        "IncidentResolved",
    ]


def test_recovery_without_an_incident_follows_nothing(connection: psycopg.Connection) -> None:
    assert record_transitions(connection, [CameUp(make_monitor(connection), NOW)], NOW) == []


def test_one_batch_of_many_monitors(connection: psycopg.Connection) -> None:
    monitors = [make_monitor(connection, f"m{n}") for n in range(5)]
    ids: list[UUID] = record_transitions(connection, [went_down(m) for m in reversed(monitors)], NOW)
    assert len(set(ids)) == 5
