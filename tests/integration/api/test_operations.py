"""What operators see: health, metrics, log lines, headers."""

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rest_framework.test import APIClient

from core import metrics
from core.api.health import selectors
from core.api.middleware import shown, tracebacks_only
from core.api.monitors.models import Heartbeat, HeartbeatState, Monitor, Website, WebsiteState
from core.checker.website_series import WebsiteSeries
from core.env import Secret
from core.flows.rollups import aggregate
from tests.integration.api.calls import count, problem
from tests.integration.api.conftest import Caller
from tests.integration.api.test_incidents import incident_of

LOOPBACK = {"Host": "127.0.0.1:8000"}


def test_ready_when_all_parts_answer(database: None, valkey_url: str, settings_change: pytest.MonkeyPatch) -> None:
    settings_change.setattr(settings, "REDIS_URL", valkey_url)
    answer = APIClient().get("/health/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "parts": {"database": "ok", "broker": "ok"}})


def test_not_ready_without_the_broker_and_alive_all_the_same(database: None) -> None:
    answer = APIClient().get("/health/")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {"database": "ok", "broker": "unreachable"}
    assert APIClient().get("/health/live/").json() == {"status": "ok"}


def test_not_ready_without_the_database(committed_database: str) -> None:
    wrapper = connections["default"]
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # of the PostgreSQL backend
    wrapper.settings_dict["PORT"] = "1"
    pool = wrapper.settings_dict["OPTIONS"]["pool"]
    wrapper.settings_dict["OPTIONS"]["pool"] = pool | {"timeout": 0.2}
    try:
        assert selectors.database_answers() is False
        assert APIClient().get("/health/").json()["parts"]["database"] == "unreachable"
    finally:
        wrapper.settings_dict["OPTIONS"]["pool"] = pool


def samples(answer: Any) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by metric and by label values in the order of the catalogue."""
    assert answer.status_code == 200
    text = answer.content.decode()
    families = list(text_string_to_metric_families(text))
    names = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(names) == len(set(names)), "a family twice is refused by Prometheus"
    labels = metrics.catalogue()
    return {
        family.name: {tuple(s.labels[name] for name in labels.get(s.name, ())): s.value for s in family.samples}
        for family in families
    }


def test_metrics_show_every_monitor_from_a_few_queries(alice: Caller) -> None:
    now = timezone.now()
    names = ['Shop "1"', "back\\slash", "new\nline", "fresh"]
    for n, (name, state) in enumerate(zip(names, ["up", "down", "up", "new"], strict=True)):
        monitor = Monitor.objects.create(workspace=alice.workspace, kind="website", name=name, created_at=now)
        Website.objects.create(monitor=monitor, url="http://192.0.2.1/")
        checked = None if state == "new" else now - timedelta(seconds=10)
        ends = now + timedelta(days=30) if n == 0 else None
        WebsiteState.objects.create(monitor=monitor, state=state, failures=n, last_checked_at=checked, certificate_not_after=ends)
    beat = Monitor.objects.create(workspace=alice.workspace, kind="heartbeat", name="Backup", created_at=now)
    Heartbeat.objects.create(monitor=beat, grace_s=60)
    HeartbeatState.objects.create(monitor=beat, state="up", last_ping_at=now - timedelta(seconds=30))
    paused = Monitor.objects.create(workspace=alice.workspace, kind="heartbeat", name="Off", created_at=now, paused_at=now)
    Heartbeat.objects.create(monitor=paused)
    HeartbeatState.objects.create(monitor=paused)

    with CaptureQueriesContext(connection) as queries:
        found = samples(APIClient().get("/metrics/", headers=LOOPBACK))
    assert len(queries) <= 4

    uids = {monitor.name: str(monitor.uid) for monitor in Monitor.objects.all()}
    status = {labels[1]: value for labels, value in found["uptime_website_status"].items()}
    assert status == {'Shop "1"': 1, "back\\slash": 0, "new\nline": 1}, "what was never judged has no status"
    assert found["uptime_website_consecutive_failures"][uids["back\\slash"], "back\\slash"] == 1
    [days] = found["uptime_website_ssl_expiry_days"].values()
    assert days == pytest.approx(30, abs=0.01)
    assert len(found["uptime_website_last_check_timestamp"]) == 3
    assert found["uptime_heartbeat_status"] == {(uids["Backup"], "Backup"): 1}
    assert found["uptime_heartbeat_grace_period_seconds"] == {(uids["Backup"], "Backup"): 60}
    [since] = found["uptime_heartbeat_time_since_last_ping_seconds"].values()
    assert 29 < since < 60
    assert found["uptime_active_monitors_total"] == {("website",): 4, ("heartbeat",): 1}
    assert found["uptime_active_users_total"] == {(): 1}
    assert found["uptime_monitors_per_user"] == {(str(alice.user.id), "alice@example.com"): 6}
    assert found["uptime_subscription_tier"] == {(str(alice.user.id), "free"): 1}


def test_uptime_is_weighted_by_time_over_a_day(alice: Caller) -> None:
    now = timezone.now()

    def site(name: str, age: timedelta, *outages: tuple[timedelta, timedelta | None]) -> None:
        monitor = Monitor.objects.create(workspace=alice.workspace, kind="website", name=name, created_at=now - age)
        Website.objects.create(monitor=monitor, url="http://192.0.2.1/")
        WebsiteState.objects.create(monitor=monitor, state="up")
        for began, resolved in outages:
            incident = incident_of(monitor, now - began + timedelta(seconds=20))
            incident.resolved_at = None if resolved is None else now - resolved
            incident.save()

    hours = [timedelta(hours=n) for n in range(49)]
    site("well", hours[48])
    site("young", hours[4], (hours[2], hours[1]))
    site("twice", hours[48], (hours[20], hours[17]), (hours[3], None))
    site("since yesterday", hours[48], (hours[30], hours[12]))
    site("long ago", hours[48], (hours[40], hours[30]))
    found = samples(APIClient().get("/metrics/", headers=LOOPBACK))["uptime_website_uptime_percentage"]
    assert {labels[1]: round(value, 1) for labels, value in found.items()} == {
        "well": 100,
        "young": 75,
        "twice": 75,
        "since yesterday": 50,
        "long ago": 100,
    }


def test_the_days_uptime_is_that_of_the_uptime_endpoint(alice: Caller) -> None:
    """Checked every minute since ten hours ago but for two hours, down for one; for half an hour now nobody can tell."""
    now = timezone.now()
    monitor = Monitor.objects.create(workspace=alice.workspace, kind="website", name="Shop", created_at=now - timedelta(hours=10))
    Website.objects.create(monitor=monitor, url="http://192.0.2.1/")
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO check_result (monitor_id, checked_at, outcome, reason)
            SELECT %s, at, CASE WHEN at < %s THEN 1 ELSE 3 END, 0 FROM generate_series(%s, %s, interval '1 minute') AS at
            WHERE at < %s OR at >= %s""",
            [
                monitor.pk,
                now - timedelta(minutes=30),
                now - timedelta(hours=10),
                now,
                now - timedelta(hours=7),
                now - timedelta(hours=5),
            ],
        )
    incident = incident_of(monitor, now - timedelta(hours=4) + timedelta(seconds=20))
    incident.resolved_at = now - timedelta(hours=3)
    incident.save()
    unknown_since = now - timedelta(minutes=30)
    WebsiteState.objects.create(monitor=monitor, state="up", unknown_since=unknown_since, last_checked_at=now)
    aggregate(connection.connection, now)
    [exposed] = samples(APIClient().get("/metrics/", headers=LOOPBACK))["uptime_website_uptime_percentage"].values()
    answer = alice.client.get(f"/api/v1/websites/{monitor.uid}/uptime/").json()
    assert answer["seconds"]["unknown"] == pytest.approx(2 * 3600 + 1800, abs=120)
    assert exposed == pytest.approx(answer["uptime_percent"], abs=0.1)
    assert 84 < exposed < 88


def test_every_metric_of_the_catalogue_is_exposed_by_the_web_or_by_workers(database: None) -> None:
    by_web = APIClient().get("/metrics/", headers=LOOPBACK).content.decode()
    by_workers = CollectorRegistry()
    by_workers.register(WebsiteSeries(0))
    lines = (by_web + generate_latest(by_workers).decode()).splitlines()
    assert set(metrics.catalogue()) <= {line.split()[2] for line in lines if "# TYPE" in line}


def test_metrics_are_the_operators_alone(database: None, settings_change: pytest.MonkeyPatch) -> None:
    for headers, address in [
        (LOOPBACK, "192.0.2.1"),
        (LOOPBACK | {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
        ({"Host": "rebound.example"}, "127.0.0.1"),
    ]:
        problem(APIClient().get("/metrics/", headers=headers, REMOTE_ADDR=address), "forbidden")
    settings_change.setattr(settings, "METRICS_TOKEN", Secret("let me in"))
    problem(APIClient().get("/metrics/", headers=LOOPBACK), "forbidden")
    problem(APIClient().get("/metrics/", headers={"Authorization": "Bearer l\u00e9t me in"}), "forbidden")
    allowed = APIClient().get("/metrics/", headers={"Authorization": "Bearer let me in"}, REMOTE_ADDR="192.0.2.1")
    assert allowed.status_code == 200


def test_requests_are_counted_by_route(alice: Caller) -> None:
    labels = {"endpoint": "/api/v1/websites/<uuid:id>/", "method": "GET", "status_code": "404"}
    before = count("uptime_api_requests_total", **labels)
    for uid in ("01a20000-0000-7000-8000-000000000001", "01a20000-0000-7000-8000-000000000002"):
        alice.client.get(f"/api/v1/websites/{uid}/")
    assert count("uptime_api_requests_total", **labels) == before + 2
    APIClient().get("/wp-login.php")
    assert count("uptime_api_requests_total", endpoint="unmatched", method="GET", status_code="404") >= 1
    APIClient().generic("BREW", "/api/v1/me/")
    assert count("uptime_api_requests_total", endpoint="/api/v1/me/", method="OTHER", status_code="401") >= 1


def test_each_request_has_one_line_with_the_fields_of_every_line(alice: Caller) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        alice.client.get("/api/v1/me/", headers={"X-Request-Id": "from-the-caller-1"})
    [line] = [line for line in lines if line["event"] == "request.finished"]
    assert (line["request_id"], line["user_id"], line["status_code"]) == ("from-the-caller-1", str(alice.user.id), 200)
    assert line["duration_ms"] > 0


def test_no_token_of_a_link_stands_in_the_log(database: None) -> None:
    routes = [str(one.pattern) for one in get_resolver().url_patterns if "token" in str(one.pattern)]
    paths = [f"/{route.replace('<str:token>', 'S3CRET')}" for route in routes]
    assert len(paths) == 3
    badly_copied = ["/app//verify//S3CRET", "/unsubscribe/S3CRET/and%0Amore", "/Acknowledge/S3CRET>"]
    with structlog.testing.capture_logs() as lines:
        for path in [*paths, *badly_copied]:
            APIClient().get(path)
    seen = [line["path"] for line in lines if line["event"] == "request.finished"]
    assert len(seen) == len(paths) + len(badly_copied)
    assert all("S3CRET" not in path and path.endswith("/…") for path in seen), seen


def test_django_s_own_lines_hold_no_token_either(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("test.django.request")
    logger.addFilter(tracebacks_only)
    logger.warning("%s: %s", "Not Found", "/verify/S3CRET/")
    logger.error("%s: %s", "Internal Server Error", "/verify/S3CRET/", exc_info=LookupError())
    assert [record.getMessage() for record in caplog.records] == ["Internal Server Error: /verify/…"]


@pytest.mark.parametrize("path", ["/api/v1/incidents/1/acknowledge/", "/api/v1/channels/1/verify/", "/api/v1/websites/"])
def test_other_paths_are_logged_as_they_are(path: str) -> None:
    assert shown(path) == path


def test_well_answers_to_machines_are_not_logged(database: None) -> None:
    with structlog.testing.capture_logs() as lines:
        APIClient().get("/health/live/")
    assert lines == []


def test_request_ids_are_kept_if_harmless(database: None) -> None:
    assert APIClient().get("/health/live/", headers={"X-Request-Id": "abc/1:2"}).headers["X-Request-Id"] == "abc/1:2"
    for hostile in ("", "a" * 129, "a b", "a\u00e9", '"}'):
        given = APIClient().get("/health/live/", headers={"X-Request-Id": hostile}).headers["X-Request-Id"]
        assert re.fullmatch(r"[0-9a-f-]{36}", given)


def test_answers_may_not_be_framed_sniffed_or_kept(database: None) -> None:
    headers = APIClient().get("/health/live/").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_other_origins_need_to_be_listed(database: None, settings_change: pytest.MonkeyPatch) -> None:
    asked = {"Origin": "https://status.example", "Access-Control-Request-Method": "POST"}
    assert "Access-Control-Allow-Origin" not in APIClient().options("/api/v1/websites/", headers=asked).headers
    settings_change.setattr(settings, "CORS_ALLOWED_ORIGINS", ["https://status.example"])
    answer = APIClient().options("/api/v1/websites/", headers=asked)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://status.example"
