"""The tasks of the Celery fleet: names and queues, for those who run them and those who only send them."""

from typing import Final

CHECKS: Final = "checks"
SCHEDULE: Final = "schedule"
ALERTS: Final = "alerts"
DEFAULT: Final = "default"

QUEUES: Final = (CHECKS, SCHEDULE, ALERTS, DEFAULT)

QUEUE_OF: Final[dict[str, str]] = {
    "check_due_websites": SCHEDULE,
    "check_websites": CHECKS,
    "check_single_website": CHECKS,
    "check_due_heartbeats": SCHEDULE,
    "check_single_heartbeat": DEFAULT,
    "process_ping": DEFAULT,
    "handle_alert": ALERTS,
    "sweep_outbox": ALERTS,
    "sweep_pending_pings": DEFAULT,
    "watch_edge": DEFAULT,
    "reconcile_edge": DEFAULT,
    "update_prometheus_metrics": DEFAULT,
    "cleanup_old_logs": DEFAULT,
    "aggregate_metrics": DEFAULT,
    "notify_expiries": DEFAULT,
    "notify_slowness": DEFAULT,
    "look_up_domains": DEFAULT,
}
"""Which queue each task is sent to."""
