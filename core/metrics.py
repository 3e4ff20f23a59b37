"""The catalogue of every Prometheus metric. Names and labels are fixed: dashboards and alert rules of users depend on them.

Each process exposes its own part on `/metrics/`; those without a registry are exposed by `core.checker.website_series`. Some gauges end
in `_total`: their names were given so.
"""

from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

CHECK_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DELIVERY_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
TASK_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
DOWNTIME_SECONDS: Final = (10.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)

_MONITOR: Final = ("monitor_id", "monitor_name")
_HEARTBEAT: Final = ("heartbeat_id", "heartbeat_name")

# --- websites -------------------------------------------------------------------------------------------------------
WEBSITE_CHECKS = Counter("uptime_website_checks_total", "Checks by outcome.", (*_MONITOR, "status"), registry=None)
WEBSITE_CHECK_DURATION = Histogram(
    "uptime_website_check_duration_seconds",
    "Duration of a whole check, redirects included.",
    _MONITOR,
    buckets=CHECK_SECONDS,
    registry=None,
)
WEBSITE_RESPONSE_TIME = Histogram(
    "uptime_website_response_time_seconds",
    "Time to the last byte of the answer.",
    (*_MONITOR, "status_code"),
    buckets=CHECK_SECONDS,
    registry=None,
)
WEBSITE_STATUS = Gauge("uptime_website_status", "1 up, 0 down.", (*_MONITOR, "url"))
WEBSITE_CONSECUTIVE_FAILURES = Gauge("uptime_website_consecutive_failures", "Failed checks in a row.", _MONITOR)
WEBSITE_UPTIME_PERCENTAGE = Gauge("uptime_website_uptime_percentage", "Time-weighted uptime of the last 24 hours.", _MONITOR)
WEBSITE_SSL_EXPIRY_DAYS = Gauge("uptime_website_ssl_expiry_days", "Days until the certificate ends.", _MONITOR)
WEBSITE_LAST_CHECK = Gauge("uptime_website_last_check_timestamp", "Unix time of the last check.", _MONITOR)
WEBSITE_DNS_TIME = Gauge(
    "uptime_website_dns_resolution_time", "Seconds to resolve the name, last check.", _MONITOR, registry=None
)
WEBSITE_TCP_TIME = Gauge("uptime_website_tcp_connection_time", "Seconds to connect, last check.", _MONITOR, registry=None)

# --- heartbeats -----------------------------------------------------------------------------------------------------
HEARTBEAT_PINGS = Counter("uptime_heartbeat_pings_total", "Pings by kind.", (*_HEARTBEAT, "status"))
HEARTBEAT_MISSED = Counter("uptime_heartbeat_missed_total", "Deadlines that passed without a ping.", _HEARTBEAT)
HEARTBEAT_STATUS = Gauge("uptime_heartbeat_status", "1 healthy, 0 missed.", _HEARTBEAT)
HEARTBEAT_LAST_PING = Gauge("uptime_heartbeat_last_ping_timestamp", "Unix time of the last ping.", _HEARTBEAT)
HEARTBEAT_SINCE_LAST_PING = Gauge("uptime_heartbeat_time_since_last_ping_seconds", "Seconds since the last ping.", _HEARTBEAT)
HEARTBEAT_GRACE = Gauge("uptime_heartbeat_grace_period_seconds", "Grace period.", _HEARTBEAT)

# --- alerts ---------------------------------------------------------------------------------------------------------
ALERTS_SENT = Counter("uptime_alerts_sent_total", "Messages that reached their end.", ("alert_type", "channel", "status"))
ALERTS_FAILED = Counter("uptime_alerts_failed_total", "Attempts that failed.", ("alert_type", "channel", "error_type"))
ALERT_DELIVERY_DURATION = Histogram(
    "uptime_alert_delivery_duration_seconds",
    "From the change of state to the channel's answer.",
    ("alert_type", "channel"),
    buckets=DELIVERY_SECONDS,
)
ALERT_RETRIES = Counter("uptime_alert_retry_attempts_total", "Attempts after the first.", ("alert_type", "channel"))
DOWNTIME_EVENTS = Counter("uptime_downtime_events_total", "Incidents opened.", (*_MONITOR, "monitor_type", "reason"))
RECOVERY_EVENTS = Counter("uptime_recovery_events_total", "Incidents resolved.", (*_MONITOR, "monitor_type"))
DOWNTIME_DURATION = Histogram(
    "uptime_downtime_duration_seconds", "Length of resolved incidents.", _MONITOR, buckets=DOWNTIME_SECONDS
)
ALERT_THROTTLE_HITS = Counter(
    "uptime_alert_throttle_hits_total", "Alerts that were held or dropped.", ("monitor_id", "alert_type")
)
SILENT_WORKSPACES = Gauge("uptime_silent_workspaces", "Workspaces that watch something and have lost their last channel.")

# --- celery ---------------------------------------------------------------------------------------------------------
TASK_DURATION = Histogram(
    "uptime_celery_task_duration_seconds", "Run time of tasks.", ("task_name", "status"), buckets=TASK_SECONDS
)
TASKS = Counter("uptime_celery_task_total", "Tasks that ended.", ("task_name", "status"))
QUEUE_LENGTH = Gauge("uptime_celery_queue_length", "Messages waiting in a broker queue.", ("queue_name",))
ACTIVE_TASKS = Gauge("uptime_celery_active_tasks", "Tasks running now.", ("queue_name",))
POOL_SIZE = Gauge("uptime_celery_worker_pool_size", "Slots of a worker's pool.", ("worker_name",))
TASK_RETRIES = Counter("uptime_celery_task_retries_total", "Retries of tasks.", ("task_name",))
TASK_FAILURES = Counter("uptime_celery_task_failures_total", "Tasks that raised.", ("task_name", "exception_type"))
SCHEDULE_DRIFT = Gauge("uptime_celery_beat_schedule_drift_seconds", "How late a periodic task started, last run.", ("task_name",))
BEAT_LEADS = Gauge("uptime_celery_beat_leads", "1 for the beat that ticks, 0 for one that stands by.")
BEAT_TURN = Gauge("uptime_celery_beat_turn_timestamp", "Unix time of the last turn of beat's loop.")

# --- business -------------------------------------------------------------------------------------------------------
ACTIVE_MONITORS = Gauge("uptime_active_monitors_total", "Monitors that are not paused.", ("monitor_type",))
ACTIVE_USERS = Gauge("uptime_active_users_total", "Users that may log in.")
MONITORS_PER_USER = Gauge("uptime_monitors_per_user", "Monitors in the workspaces of a user.", ("user_id", "username"))
USER_REGISTRATIONS = Counter("uptime_user_registrations_total", "Registrations.")
API_REQUESTS = Counter("uptime_api_requests_total", "API requests.", ("endpoint", "method", "status_code"))
API_AUTH_ATTEMPTS = Counter("uptime_api_auth_attempts_total", "Attempts to authenticate.", ("status",))
SUBSCRIPTION_TIER = Gauge("uptime_subscription_tier", "1 for the tier that a user has.", ("user_id", "tier"))
STORAGE_USAGE = Gauge("uptime_storage_usage_bytes", "Bytes on disk.", ("data_type",))

# --- our own edge ---------------------------------------------------------------------------------------------------
HEARTBEAT_UNKNOWN = Counter("uptime_heartbeat_unknown_total", "Deadlines that passed while our own edge had a gap.")
EDGE_PROVED = Gauge("uptime_edge_proved_timestamp", "Unix time of the last ping of our own that our public address took.")
EDGE_GAP_SECONDS = Counter("uptime_edge_gap_seconds_total", "Seconds in which pings may not have come in because of us.")
EDGE_RECONCILED = Counter("uptime_edge_reconciled_total", "Items at the edge that were missing or left over.", ("action",))

# --- how far behind we are ------------------------------------------------------------------------------------------
CHECK_DELAY = Gauge("uptime_check_delay_seconds", "Since the check that has waited longest was due.")
SILENCE_DELAY = Gauge("uptime_silence_delay_seconds", "Since the first deadline that nobody has decided about.")
OUTBOX_AGE = Gauge("uptime_outbox_age_seconds", "Age of the oldest event that the bus does not have.")


def catalogue() -> dict[str, tuple[str, ...]]:
    """Every metric of this project, by its exposed name, with its labels in order."""
    found: dict[str, tuple[str, ...]] = {}
    for value in globals().values():
        if isinstance(value, Counter | Gauge | Histogram):
            name = value._name + ("_total" if isinstance(value, Counter) else "")
            found[name] = tuple(value._labelnames)
    return found


__all__ = ["REGISTRY", "catalogue"]
