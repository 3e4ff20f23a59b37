"""People are told of ends that come near: once for each step, website and certificate, together where they share it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.contracts import events
from core.flows.certificates import record_chains
from core.flows.expiry import notify
from core.flows.routing import route_alert
from lambdas.alert_dispatch.message import compose
from tests.certificates import seen_chain
from tests.integration.test_alert_flow import make_channel
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def workspace(connection: psycopg.Connection) -> UUID:
    return make_workspace(connection, NOW)


@pytest.fixture
def monitor_id(connection: psycopg.Connection, workspace: UUID) -> int:
    return make_website(connection, workspace, NOW, url="https://shop.test/")


def show(connection: psycopg.Connection, monitor_id: int, ends: datetime, now: datetime, host: str = "shop.test") -> None:
    """A check of the website read a certificate that ends then."""
    record_chains(connection, {monitor_id: seen_chain(host, ends)}, now)


def days_told(connection: psycopg.Connection, ends: datetime, monitor_id: int, looks: list[datetime]) -> list[int]:
    """The days left in each alert, of a certificate that is seen and looked at then."""
    for now in looks:
        show(connection, monitor_id, ends, now)
        notify(connection, now)
    return [row["expiry"]["days_left"] for row in alert_facts(connection)]


def alert_facts(connection: psycopg.Connection) -> list[dict[str, Any]]:
    return [row[0] for row in connection.execute("SELECT facts FROM alert ORDER BY created_at, id")]


def published(connection: psycopg.Connection) -> list[tuple[str, dict[str, Any]]]:
    return [(row[0], json.loads(row[1])) for row in connection.execute("SELECT detail_type, detail FROM outbox ORDER BY id")]


def watch_domain(connection: psycopg.Connection, monitor_id: int, name: str, ends: datetime, answered: datetime) -> None:
    connection.execute("UPDATE website SET domain = %s WHERE monitor_id = %s", (name, monitor_id))
    connection.execute(
        "INSERT INTO domain (name, ends_at, answered_at, next_at, registrar) VALUES (%s, %s, %s, %s, 'Registrar Inc.')"
        " ON CONFLICT (name) DO UPDATE SET ends_at = EXCLUDED.ends_at, answered_at = EXCLUDED.answered_at",
        (name, ends, answered, answered),
    )


def test_a_certificate_is_told_of_at_each_step_and_once(connection: psycopg.Connection, monitor_id: int) -> None:
    ends = NOW + 31 * DAY
    hours = [NOW + timedelta(hours=n) for n in range(0, 32 * 24, 6)]
    assert days_told(connection, ends, monitor_id, hours) == [30, 14, 7, 3, 1]


def test_steps_that_were_missed_are_told_as_one_with_the_true_number_of_days(
    connection: psycopg.Connection, monitor_id: int
) -> None:
    ends = NOW + 40 * DAY
    assert days_told(connection, ends, monitor_id, [NOW, NOW + 38 * DAY, NOW + 38 * DAY + timedelta(hours=1)]) == [2]


def test_an_alert_and_a_public_event_say_the_same(connection: psycopg.Connection, monitor_id: int, workspace: UUID) -> None:
    ends = NOW + 14 * DAY
    show(connection, monitor_id, ends, NOW)
    [alert_id] = notify(connection, NOW)
    [row] = connection.execute("SELECT id, workspace_id, monitor_id, incident_id, alert_type, routed_at FROM alert").fetchall()
    assert row == (alert_id, workspace, monitor_id, None, "certificate_expiring", None)
    [facts] = alert_facts(connection)
    assert facts["monitor"]["target"] == "https://shop.test/"
    assert facts["text"] == (
        "The certificate of shop.test, issued by CN=Test Authority, ends in 14 days, at 2026-03-15 12:00 UTC. It is about shop."
    )
    [(detail_type, detail)] = published(connection)
    assert detail_type == "CertificateExpiring"
    event = events.decode(events.CertificateExpiring, json.dumps(detail))
    assert (event.metadata.workspace_id, event.metadata.correlation_id) == (workspace, alert_id)
    assert (event.data.days_left, event.data.not_after) == (14, ends)
    assert event.data.fingerprint_sha256 == seen_chain("shop.test", ends).fingerprint


def test_the_request_to_a_channel_carries_the_end(connection: psycopg.Connection, monitor_id: int, workspace: UUID) -> None:
    make_channel(connection, workspace)
    show(connection, monitor_id, NOW + 14 * DAY, NOW)
    for alert_id in notify(connection, NOW):
        route_alert(connection, alert_id, NOW)
    [request] = [detail for name, detail in published(connection) if name == "AlertRequested"]
    data = events.decode(events.AlertRequested, json.dumps(request)).data
    assert data.alert_type == "certificate_expiring"
    assert data.expiry == events.ExpiryFacts(name="shop.test", ends_at=NOW + 14 * DAY, days_left=14)
    assert compose(data).subject == "CERTIFICATE ENDS IN 14 DAYS: shop - shop.test"


def test_a_renewed_certificate_starts_anew_and_an_alternating_one_does_not(
    connection: psycopg.Connection, monitor_id: int
) -> None:
    old, new = NOW + 6 * DAY, NOW + 7 * DAY - timedelta(hours=1)
    told = []
    for hours, ends in enumerate([old, new, old, new, old, new]):
        now = NOW + timedelta(hours=hours)
        show(connection, monitor_id, ends, now)
        told.append(len(notify(connection, now)))
    assert told == [1, 1, 0, 0, 0, 0]
    show(connection, monitor_id, NOW + 90 * DAY, NOW + DAY)
    assert notify(connection, NOW + DAY) == []


def test_websites_that_share_a_certificate_share_the_alert(connection: psycopg.Connection, workspace: UUID) -> None:
    ends = NOW + 7 * DAY
    ids = [make_website(connection, workspace, NOW) for _ in range(7)]
    stranger = make_website(connection, make_workspace(connection, NOW), NOW)
    for one in [*ids, stranger]:
        show(connection, one, ends, NOW)
    assert len(notify(connection, NOW)) == 2
    shared, alone = sorted(alert_facts(connection), key=lambda facts: "monitor" in facts)
    assert shared.get("monitor") is None
    assert shared["expiry"]["websites"] == 7
    assert "It is about shop, shop, shop, shop, shop and 2 more." in shared["text"]
    assert alone["expiry"]["websites"] == 1
    assert len(published(connection)) == 8


@pytest.mark.parametrize(
    "setting", ["UPDATE website SET certificate_notices = false", "UPDATE monitor SET paused_at = '2026-03-01T12:00:00Z'"]
)
def test_nobody_is_told_who_does_not_want_it(connection: psycopg.Connection, monitor_id: int, setting: str) -> None:
    show(connection, monitor_id, NOW + 7 * DAY, NOW)
    connection.execute(setting)
    assert notify(connection, NOW) == []


def test_a_website_that_is_down_is_told_of_all_the_same(connection: psycopg.Connection, monitor_id: int) -> None:
    show(connection, monitor_id, NOW + 7 * DAY, NOW)
    connection.execute("UPDATE website_state SET state = 'down'")
    assert len(notify(connection, NOW + timedelta(hours=1))) == 1


def test_a_certificate_that_no_check_meets_any_more_is_none(connection: psycopg.Connection, monitor_id: int) -> None:
    show(connection, monitor_id, NOW + 10 * DAY, NOW)
    assert notify(connection, NOW + 8 * DAY) == []


def test_two_at_once_tell_once(database_url: str) -> None:
    with psycopg.connect(database_url) as first, psycopg.connect(database_url) as second:
        show(first, make_website(first, make_workspace(first, NOW), NOW), NOW + 7 * DAY, NOW)
        first.commit()
        assert len(notify(first, NOW)) == 1
        first.commit()
        assert notify(second, NOW) == []


def test_the_end_of_a_domain_is_told_of_by_its_date(connection: psycopg.Connection, monitor_id: int, workspace: UUID) -> None:
    other = make_website(connection, workspace, NOW)
    ends = NOW + 7 * DAY
    for one in (monitor_id, other):
        watch_domain(connection, one, "shop.test", ends, NOW)
    [alert_id] = notify(connection, NOW)
    assert connection.execute("SELECT alert_type FROM alert").fetchall() == [("domain_expiring",)]
    [facts] = alert_facts(connection)
    assert facts["text"].startswith("The registration of shop.test with Registrar Inc. ends in 7 days, at 2026-03-08 12:00 UTC.")
    [(name, detail), _] = published(connection)
    assert (name, detail["data"]["domain"], detail["data"]["days_left"]) == ("DomainExpiring", "shop.test", 7)
    assert detail["metadata"]["correlation_id"] == str(alert_id)
    watch_domain(connection, other, "shop.test", ends + timedelta(seconds=3), NOW)
    assert notify(connection, NOW + timedelta(hours=1)) == []
    watch_domain(connection, other, "shop.test", NOW + 400 * DAY, NOW)
    assert notify(connection, NOW + 5 * DAY) == []


def test_a_domain_whose_registry_is_silent_is_not_told_of(connection: psycopg.Connection, monitor_id: int) -> None:
    watch_domain(connection, monitor_id, "shop.test", NOW + 7 * DAY, NOW - 8 * DAY)
    assert notify(connection, NOW) == []


def test_notices_are_forgotten_long_after_the_end(connection: psycopg.Connection, monitor_id: int) -> None:
    show(connection, monitor_id, NOW + 7 * DAY, NOW)
    notify(connection, NOW)
    notify(connection, NOW + 36 * DAY)
    assert connection.execute("SELECT count(*) FROM expiry_notice").fetchone() == (1,)
    notify(connection, NOW + 38 * DAY)
    assert connection.execute("SELECT count(*) FROM expiry_notice").fetchone() == (0,)
