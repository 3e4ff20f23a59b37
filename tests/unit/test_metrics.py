"""The metrics and their labels are a promise: dashboards and alert rules of users depend on them."""

import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from core import metrics
from core.checker.website_series import WebsiteSeries

DOCUMENT = Path(__file__).parents[2] / "docs/reference/metrics.md"
PROMISED = {
    # websites
    "uptime_website_checks_total": "monitor_id, monitor_name, status",
    "uptime_website_check_duration_seconds": "monitor_id, monitor_name",
    "uptime_website_response_time_seconds": "monitor_id, monitor_name, status_code",
    "uptime_website_status": "monitor_id, monitor_name, url",
    "uptime_website_consecutive_failures": "monitor_id, monitor_name",
    "uptime_website_uptime_percentage": "monitor_id, monitor_name",
    "uptime_website_ssl_expiry_days": "monitor_id, monitor_name",
    "uptime_website_last_check_timestamp": "monitor_id, monitor_name",
    "uptime_website_dns_resolution_time": "monitor_id, monitor_name",
    "uptime_website_tcp_connection_time": "monitor_id, monitor_name",
    # heartbeats
    "uptime_heartbeat_pings_total": "heartbeat_id, heartbeat_name, status",
    "uptime_heartbeat_missed_total": "heartbeat_id, heartbeat_name",
    "uptime_heartbeat_status": "heartbeat_id, heartbeat_name",
    "uptime_heartbeat_last_ping_timestamp": "heartbeat_id, heartbeat_name",
    "uptime_heartbeat_time_since_last_ping_seconds": "heartbeat_id, heartbeat_name",
    "uptime_heartbeat_grace_period_seconds": "heartbeat_id, heartbeat_name",
    # alerts
    "uptime_alerts_sent_total": "alert_type, channel, status",
    "uptime_alerts_failed_total": "alert_type, channel, error_type",
    "uptime_alert_delivery_duration_seconds": "alert_type, channel",
    "uptime_alert_retry_attempts_total": "alert_type, channel",
    "uptime_downtime_events_total": "monitor_id, monitor_name, monitor_type, reason",
    "uptime_recovery_events_total": "monitor_id, monitor_name, monitor_type",
    "uptime_downtime_duration_seconds": "monitor_id, monitor_name",
    "uptime_alert_throttle_hits_total": "monitor_id, alert_type",
    # celery
    "uptime_celery_task_duration_seconds": "task_name, status",
    "uptime_celery_task_total": "task_name, status",
    "uptime_celery_queue_length": "queue_name",
    "uptime_celery_active_tasks": "queue_name",
    "uptime_celery_worker_pool_size": "worker_name",
    "uptime_celery_task_retries_total": "task_name",
    "uptime_celery_task_failures_total": "task_name, exception_type",
    "uptime_celery_beat_schedule_drift_seconds": "task_name",
    # business
    "uptime_active_monitors_total": "monitor_type",
    "uptime_active_users_total": "",
    "uptime_monitors_per_user": "user_id, username",
    "uptime_user_registrations_total": "",
    "uptime_api_requests_total": "endpoint, method, status_code",
    "uptime_api_auth_attempts_total": "status",
    "uptime_subscription_tier": "user_id, tier",
    "uptime_storage_usage_bytes": "data_type",
}
OURS = {
    "uptime_heartbeat_unknown_total": "",
    "uptime_edge_proved_timestamp": "",
    "uptime_edge_gap_seconds_total": "",
    "uptime_edge_reconciled_total": "action",
    "uptime_silent_workspaces": "",
    "uptime_celery_beat_leads": "",
    "uptime_celery_beat_turn_timestamp": "",
    "uptime_check_delay_seconds": "",
    "uptime_silence_delay_seconds": "",
    "uptime_outbox_age_seconds": "",
}
"""What came later: about our own edge, about people who cannot be told, about several beats, and about how far behind we are."""

HISTOGRAMS = {
    "uptime_website_check_duration_seconds",
    "uptime_website_response_time_seconds",
    "uptime_alert_delivery_duration_seconds",
    "uptime_downtime_duration_seconds",
    "uptime_celery_task_duration_seconds",
}
GAUGES_NAMED_TOTAL = {"uptime_active_monitors_total", "uptime_active_users_total"}
ROW = re.compile(r"^\| `(?P<name>uptime_\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*) \| (?P<help>[^|]+) \|", re.MULTILINE)


def described() -> dict[str, tuple[str, str, str]]:
    """Name -> (type, labels, help) of each metric, as its object says."""
    found = {}
    for value in vars(metrics).values():
        if isinstance(value, Counter | Gauge | Histogram):
            name = value._name + ("_total" if isinstance(value, Counter) else "")
            found[name] = (type(value).__name__.lower(), ", ".join(value._labelnames), value._documentation)
    return found


def test_the_catalogue_is_what_was_promised() -> None:
    assert len(PROMISED) == 40
    assert {name: ", ".join(labels) for name, labels in metrics.catalogue().items()} == PROMISED | OURS


@pytest.mark.parametrize("name", PROMISED | OURS)
def test_the_type_follows_the_name(name: str) -> None:
    kind, _, _ = described()[name]
    expected = "histogram" if name in HISTOGRAMS else "counter" if name.endswith("_total") else "gauge"

    assert kind == ("gauge" if name in GAUGES_NAMED_TOTAL else expected)


def test_exposed_names_are_the_promised_ones() -> None:
    """What a scrape shows, not what an object is called: the client library rewrites names that end in `_total`."""
    exposed = {family.name for family in (*metrics.REGISTRY.collect(), *WebsiteSeries(0).collect())}
    bare = {name if kind != "counter" else name.removesuffix("_total") for name, (kind, _, _) in described().items()}

    assert exposed >= bare


def test_every_metric_has_its_row_in_the_reference() -> None:
    rows = {row["name"]: (row["type"], row["labels"].replace("`", ""), row["help"]) for row in ROW.finditer(DOCUMENT.read_text())}

    assert rows == described()
