"""How far behind we are: zero while all is well, growing while nothing happens, and blind to what nobody waits for."""

from datetime import UTC, datetime, timedelta

import psycopg

from core.adapters.store import delays, outbox
from core.adapters.store.outbox import OutboxEvent
from core.flows.heartbeats import apply_pings
from core.flows.upkeep import Delays, measure_delays
from tests.heartbeats import make_heartbeat, minutes, pinged
from tests.statements import explain_all
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_every_statement_is_one_for_the_schema(connection: psycopg.Connection) -> None:
    assert explain_all(connection, delays) == 2


def test_who_has_nothing_to_do_is_not_behind(connection: psycopg.Connection) -> None:
    assert measure_delays(connection, NOW) == Delays(0, 0, 0)


def test_a_check_that_is_not_made_is_later_and_later(connection: psycopg.Connection) -> None:
    workspace = make_workspace(connection, NOW)
    due, paused = (make_website(connection, workspace, NOW, url=f"http://example.com/{n}") for n in (1, 2))
    connection.execute("UPDATE website_state SET next_check_at = %s", (NOW + timedelta(seconds=20),))
    assert measure_delays(connection, NOW).checks_s == 0

    connection.execute("UPDATE monitor SET paused_at = %s WHERE id = %s", (NOW, paused))
    connection.execute("UPDATE website_state SET next_check_at = %s WHERE monitor_id = %s", (NOW, due))
    assert measure_delays(connection, NOW + minutes(7)).checks_s == 420

    connection.execute("UPDATE monitor SET paused_at = %s", (NOW,))
    assert measure_delays(connection, NOW + minutes(7)).checks_s == 0


def test_a_deadline_counts_until_somebody_has_decided(connection: psycopg.Connection) -> None:
    heartbeat = make_heartbeat(connection, NOW, "job")
    apply_pings(connection, [pinged(heartbeat, 1, NOW)], NOW)
    [(deadline,)] = connection.execute("SELECT deadline_at FROM heartbeat_state").fetchall()
    assert measure_delays(connection, deadline).silence_s == 0
    assert measure_delays(connection, deadline + minutes(11)).silence_s == 660

    connection.execute("UPDATE heartbeat_state SET state = 'down'")
    assert measure_delays(connection, deadline + minutes(11)).silence_s == 0


def test_the_oldest_event_that_waits_counts(connection: psycopg.Connection) -> None:
    outbox.insert(connection, [OutboxEvent("AlertRequested", "{}")], NOW)
    outbox.insert(connection, [OutboxEvent("IncidentOpened", "{}")], NOW + minutes(3))
    assert measure_delays(connection, NOW + minutes(5)).outbox_s == 300
