"""Celery's signals: task metrics, the metrics port, upkeep at start, and a clean stop."""

import time
from typing import Any, Final

from celery import Task
from celery.signals import (
    beat_init,
    task_failure,
    task_postrun,
    task_prerun,
    task_retry,
    worker_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)

from core import metrics
from core.adapters import host_disk
from core.adapters.metrics_server import serve_metrics
from core.checker.beat import DUE_AT_HEADER
from core.checker.runtime import shut_down
from core.checker.settings import process_settings
from core.contracts.tasks import DEFAULT
from core.logs import get_logger

log = get_logger(__name__)

STARTED_AT: Final = "uptime_started_at"


@worker_init.connect
@beat_init.connect
def expose_metrics(**_: Any) -> None:
    """Serve `/metrics/` for this process."""
    settings = process_settings()
    if settings.metrics_port:
        serve_metrics(settings.metrics_port, settings.metrics_bind)


@beat_init.connect
def beat_started(**_: Any) -> None:
    """Say that beat takes turns, for who reads its log."""
    log.info("beat.ready")


@worker_ready.connect
def announce(sender: Any, **_: Any) -> None:
    """Publish the size of the pool, tell CloudWatch of the disk, and have upkeep done once at every start of a worker that does it."""
    metrics.POOL_SIZE.labels(sender.hostname).set(sender.pool.limit or 0)
    settings = process_settings()
    if settings.metrics_namespace:
        host_disk.tell_regularly(settings.metrics_namespace, settings.uptime_env)
    if DEFAULT in sender.app.amqp.queues.consume_from:
        sender.app.send_task("cleanup_old_logs", expires=3600)


@task_prerun.connect
def started(task: Task[Any, Any], **_: Any) -> None:
    """Note when a task started, and how late a periodic one was."""
    setattr(task.request, STARTED_AT, time.perf_counter())
    metrics.ACTIVE_TASKS.labels(_queue(task)).inc()
    due_at = (task.request.headers or {}).get(DUE_AT_HEADER)
    if due_at is not None:
        metrics.SCHEDULE_DRIFT.labels(task.name).set(max(time.time() - due_at, 0.0))


@task_postrun.connect
def ended(task: Task[Any, Any], state: str | None = None, **_: Any) -> None:
    """Count a task by how it ended."""
    status = (state or "unknown").lower()
    metrics.ACTIVE_TASKS.labels(_queue(task)).dec()
    metrics.TASKS.labels(task.name, status).inc()
    began = getattr(task.request, STARTED_AT, None)
    if began is not None:
        metrics.TASK_DURATION.labels(task.name, status).observe(time.perf_counter() - began)


@task_retry.connect
def retried(sender: Task[Any, Any], **_: Any) -> None:
    """Count a retry."""
    metrics.TASK_RETRIES.labels(sender.name).inc()


@task_failure.connect
def failed(sender: Task[Any, Any], exception: BaseException, **_: Any) -> None:
    """Count a failure by its exception."""
    metrics.TASK_FAILURES.labels(sender.name, type(exception).__name__).inc()


@worker_shutdown.connect
def stop_worker(**_: Any) -> None:
    """The pool has ended: no task will need the runtime any more."""
    shut_down()


@worker_process_shutdown.connect
def stop_child(**_: Any) -> None:
    """The same in a child of the prefork pool."""
    shut_down()


def _queue(task: Task[Any, Any]) -> str:
    return str((task.request.delivery_info or {}).get("routing_key") or DEFAULT)
