"""Celery's configuration. Celery imports this module when it first needs a value, so the environment is read then."""

from typing import Any, Final

from celery.schedules import crontab
from kombu import Exchange, Queue

from core.adapters.brokers import open_broker
from core.checker.grid import Grid
from core.checker.pace import PROMPT_S
from core.checker.settings import WEBSITE_TASKS, process_settings
from core.contracts.tasks import DEFAULT, QUEUE_OF, QUEUES

_settings = process_settings()
_broker = open_broker(_settings.broker_url.reveal())
_database_rest = _settings.database_url.reveal().split("://", 1)[1]

imports: Final = ("core.checker.signals",)
_WEBSITES: Final = "core.checker.tasks.websites"
_OTHERS: Final = (
    "core.checker.tasks.upkeep",
    "core.checker.tasks.heartbeats",
    "core.checker.tasks.alerts",
    "core.checker.tasks.expiry",
    "core.checker.tasks.slowness",
)
include: Final = (_WEBSITES,) if _settings.tasks == WEBSITE_TASKS else (_WEBSITES, *_OTHERS)
timezone: Final = "UTC"
enable_utc: Final = True

broker_url: Final = _broker.url
broker_transport_options: Final[dict[str, Any]] = _broker.options
broker_connection_retry: Final = True
broker_connection_retry_on_startup: Final = True
broker_connection_max_retries: Final = None
"""For ever: a worker that gives up on its broker is a worker that somebody has to find."""
broker_channel_error_retry: Final = True

override_backends: Final = {"db": "core.checker.results:ForgivingResults"}
result_backend: Final = f"db+postgresql+psycopg://{_database_rest}"
result_expires: Final = 86_400
database_create_tables_at_setup: Final = False
"""The tables are made with the first result: a worker must start while PostgreSQL is away."""

task_queues: Final = tuple(Queue(name, Exchange(name), routing_key=name) for name in QUEUES)
task_default_queue: Final = DEFAULT
task_routes: Final = {name: {"queue": queue} for name, queue in QUEUE_OF.items()}
task_create_missing_queues: Final = False
task_serializer: Final = "json"
accept_content: Final = ("json",)
task_ignore_result: Final = True
task_acks_late: Final = True
task_reject_on_worker_lost: Final = True

worker_prefetch_multiplier: Final = 4
worker_max_tasks_per_child: Final = 1000
worker_cancel_long_running_tasks_on_connection_loss: Final = False
worker_send_task_events: Final = False
worker_hijack_root_logger: Final = False
worker_redirect_stdouts: Final = False
worker_enable_remote_control: Final = _broker.has_fanout
control_queue_expires: Final = 300.0
"""Workers extend it all the time, three times in each term."""

beat_scheduler: Final = "core.checker.beat:PunctualScheduler"
beat_max_loop_interval: Final = 2.0
beat_schedule: Final[dict[str, dict[str, Any]]] = {
    "check_due_websites": {"task": "check_due_websites", "schedule": Grid(PROMPT_S), "options": {"expires": PROMPT_S}},
    "check_due_heartbeats": {"task": "check_due_heartbeats", "schedule": Grid(4), "options": {"expires": 4.0}},
    "sweep_outbox": {"task": "sweep_outbox", "schedule": Grid(4), "options": {"expires": 4.0}},
    "sweep_pending_pings": {"task": "sweep_pending_pings", "schedule": Grid(30), "options": {"expires": 30.0}},
    "reconcile_edge": {"task": "reconcile_edge", "schedule": crontab(hour="*/6", minute="41"), "options": {"expires": 3600}},
    "update_prometheus_metrics": {"task": "update_prometheus_metrics", "schedule": Grid(30), "options": {"expires": 30.0}},
    "notify_slowness": {"task": "notify_slowness", "schedule": Grid(30), "options": {"expires": 30.0}},
    "aggregate_metrics": {
        "task": "aggregate_metrics",
        "schedule": crontab(minute="3,18,33,48"),
        "options": {"expires": 900},
    },
    "notify_expiries": {"task": "notify_expiries", "schedule": crontab(minute="11"), "options": {"expires": 3600}},
    "look_up_domains": {"task": "look_up_domains", "schedule": Grid(300), "options": {"expires": 300}},
    "cleanup_old_logs": {
        "task": "cleanup_old_logs",
        "schedule": crontab(hour="2", minute="0"),
        "options": {"expires": 12 * 3600},
    },
}
if _settings.canary_ping_s and _settings.ping_url:
    _every = _settings.canary_ping_s
    beat_schedule["watch_edge"] = {"task": "watch_edge", "schedule": Grid(_every), "options": {"expires": float(_every)}}
"""Every periodic task expires when its next run is due: after a gap nothing is done twice. How often websites are looked for, the fleet
says itself (`core.checker.pace`); what stands here holds while it says nothing."""
