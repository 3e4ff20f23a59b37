"""Uptime as users see it: explained, of any range, of their own monitors."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.api.incidents.models import Incident
from core.api.monitors.models import Heartbeat, HeartbeatState, Monitor
from core.domain.outcomes import Reason
from core.flows.rollups import aggregate
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller
from tests.integration.api.test_incidents import incident_of, monitor_of

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def at_noon() -> Iterator[None]:
    """Before any account is made: tokens live for minutes."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def shop(alice: Caller) -> Monitor:
    """Checked every minute for three hours, down for ten minutes of them, paused for twenty, with a hole of one hour."""
    monitor = monitor_of(alice.workspace)
    Monitor.objects.filter(pk=monitor.pk).update(created_at=NOW - 4 * HOUR)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO check_result (monitor_id, checked_at, outcome, reason, total_us)
            SELECT %s, at, 1, 0, 100000 FROM generate_series(%s, %s, interval '1 minute') AS at
            WHERE at < %s OR at >= %s""",
            [monitor.pk, NOW - 3 * HOUR, NOW - timedelta(seconds=1), NOW - 2 * HOUR, NOW - HOUR],
        )
    down = incident_of(monitor, NOW - timedelta(minutes=30) + timedelta(seconds=20))
    Incident.objects.filter(pk=down.pk).update(resolved_at=NOW - timedelta(minutes=20))
    for paused_at, updated_at in ((NOW - timedelta(minutes=150), None), (None, NOW - timedelta(minutes=130))):
        Monitor.objects.filter(pk=monitor.pk).update(paused_at=paused_at, updated_at=updated_at or paused_at)
    return monitor


def uptime(caller: Caller, monitor: Monitor, **parameters: str) -> Any:
    return caller.client.get(f"/api/v1/{monitor.kind}s/{monitor.uid}/uptime/", parameters)


def rolled_up(now: datetime = NOW) -> None:
    aggregate(connection.connection, now)


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("window", ["24h", "7d", "30d", "90d", "365d"])
def test_every_second_of_a_window_is_explained(alice: Caller, shop: Monitor, window: str, rolled: bool) -> None:
    if rolled:
        rolled_up()
    answer = uptime(alice, shop, window=window).json()
    # The last check before the hole held for interval + retry interval + time-out.
    unknown = 3600 - (60 + 10 + 10 - 60)
    seconds = answer["seconds"]
    assert seconds["down"] == 600
    assert seconds["unknown"] == unknown
    assert seconds["maintenance"] == 0
    assert seconds["up"] == 3 * 3600 - 600 - 1200 - unknown
    assert answer["uptime_percent"] == pytest.approx(100 * seconds["up"] / (seconds["up"] + 600))
    begin, end = datetime.fromisoformat(answer["from"]), datetime.fromisoformat(answer["to"])
    assert end == NOW
    assert sum(seconds.values()) == (end - begin).total_seconds()
    assert answer["checks"] == 120
    assert answer["monitor"] == str(shop.uid)
    assert answer["response_ms"] == {"min": 100, "mean": 100, "max": 100, "p50": 100, "p95": 100, "p99": 100}
    [incident] = answer["incidents"]
    assert (incident["reason"], answer["incident_count"]) == (Reason.CONNECT_REFUSED.label, 1)


def test_any_range(alice: Caller, shop: Monitor) -> None:
    rolled_up()
    answer = uptime(alice, shop, **{"from": "2026-11-23T11:55:00+00:00", "to": "2026-11-23T12:05:00Z"}).json()
    assert answer["seconds"] == {"up": 300, "down": 300, "unknown": 0, "maintenance": 0, "not_counted": 0}
    assert (answer["from"], answer["to"]) == ("2026-11-23T11:55:00Z", "2026-11-23T12:05:00Z")
    before = uptime(alice, shop, **{"from": "2026-11-23T11:40:00Z", "to": "2026-11-23T11:50:00Z"}).json()
    assert (before["seconds"]["up"], before["incidents"]) == (600, [])


def test_before_the_first_check_there_is_no_uptime(alice: Caller) -> None:
    answer = uptime(alice, monitor_of(alice.workspace)).json()
    assert (answer["uptime_percent"], answer["response_ms"], answer["checks"]) == (None, None, 0)
    assert answer["seconds"] == {"up": 0, "down": 0, "unknown": 0, "maintenance": 0, "not_counted": 86_400}


def test_a_heartbeat_has_uptime_too(alice: Caller) -> None:
    beat = Monitor.objects.create(workspace=alice.workspace, kind="heartbeat", name="Backup", created_at=NOW - 4 * HOUR)
    Heartbeat.objects.create(monitor=beat)
    HeartbeatState.objects.create(monitor=beat)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, method, source_ip, user_agent, body_size, body_truncated)
            VALUES (gen_random_uuid(), %s, 1, %s, 'success', 'GET', '', '', 0, false)""",
            [beat.pk, NOW - 2 * HOUR],
        )
    answer = uptime(alice, beat).json()
    assert (answer["uptime_percent"], answer["seconds"]["up"], answer["checks"]) == (100, 7200, 1)


@pytest.mark.parametrize(
    ("parameters", "field", "code"),
    [
        ({"window": "1y"}, "window", "invalid_choice"),
        ({"window": ""}, "window", "blank"),
        ({"windows": "24h"}, "windows", "unknown_field"),
        ({"window": "24h", "from": "2026-11-01T00:00:00Z"}, "window", "contradiction"),
        ({"to": "2026-11-01T00:00:00Z"}, "from", "required"),
        ({"from": "yesterday"}, "from", "invalid"),
        ({"from": "2026-11-01T00:00:00"}, "from", "invalid"),
        ({"from": "9999-12-31T23:59:59Z"}, "from", "invalid"),
        ({"from": "2027-01-01T00:00:00Z"}, "from", "in_the_future"),
        ({"from": "2026-11-02T00:00:00Z", "to": "2026-11-02T00:00:00Z"}, "to", "too_early"),
    ],
)
def test_what_makes_no_range_is_refused(alice: Caller, parameters: dict[str, str], field: str, code: str) -> None:
    assert fields(uptime(alice, monitor_of(alice.workspace), **parameters)) == {field: code}


def test_others_monitors_are_not_found(alice: Caller, bob: Caller, shop: Monitor) -> None:
    problem(uptime(bob, shop), "not-found")
    problem(alice.client.get(f"/api/v1/heartbeats/{shop.uid}/uptime/"), "not-found")


def test_it_takes_few_queries(alice: Caller, shop: Monitor) -> None:
    rolled_up()
    with CaptureQueriesContext(connection) as queries:
        assert uptime(alice, shop, window="365d").status_code == 200
    assert len(queries) <= 5, "those of REST framework; the measuring itself is not seen here"
