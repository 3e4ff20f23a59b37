"""The tasks that keep the house: gauges of shared things, partitions and rollups."""

from collections.abc import Mapping
from datetime import UTC, datetime

from core import metrics
from core.adapters.embedded_metric import CHECK_DELAY, OUTBOX_AGE, QUEUE_LENGTH, SILENCE_DELAY, figures
from core.checker.app import app
from core.checker.runtime import runtime
from core.contracts.tasks import QUEUES
from core.flows import rollups, upkeep
from core.logs import get_logger

log = get_logger(__name__)


@app.task(name="update_prometheus_metrics", autoretry_for=())
def update_prometheus_metrics() -> None:
    """Set the gauges that no loop moves: queue lengths, how far behind we are, bytes on disk, and workspaces that nobody can be told of."""
    lengths = runtime().queue.lengths(QUEUES)
    for queue, length in lengths.items():
        metrics.QUEUE_LENGTH.labels(queue).set(length)
    _tell_cloudwatch("queues.length", {QUEUE_LENGTH: sum(lengths.values())})
    with runtime().pool.connection() as connection:
        behind = upkeep.measure_delays(connection, datetime.now(UTC))
        for data_type, size in upkeep.storage_sizes(connection).items():
            metrics.STORAGE_USAGE.labels(data_type).set(size)
        metrics.SILENT_WORKSPACES.set(upkeep.silent_workspaces(connection))
    metrics.CHECK_DELAY.set(behind.checks_s)
    metrics.SILENCE_DELAY.set(behind.silence_s)
    metrics.OUTBOX_AGE.set(behind.outbox_s)
    _tell_cloudwatch(
        "delays.measured",
        {CHECK_DELAY: behind.checks_s, SILENCE_DELAY: behind.silence_s, OUTBOX_AGE: behind.outbox_s},
    )


def _tell_cloudwatch(event: str, values: Mapping[str, float]) -> None:
    settings = runtime().settings
    if settings.metrics_namespace:
        log.info(event, **figures(settings.metrics_namespace, settings.uptime_env, values, datetime.now(UTC)))


@app.task(name="cleanup_old_logs")
def cleanup_old_logs() -> None:
    """Make the partitions of the coming days and drop those past their retention."""
    with runtime().pool.connection() as connection:
        kept = upkeep.keep_partitions(connection, datetime.now(UTC), runtime().settings.retention)
    log.info("upkeep.partitions", made=kept.made, dropped=kept.dropped, archived=kept.archived)


@app.task(name="aggregate_metrics")
def aggregate_metrics() -> None:
    """Roll facts up into hours, and hours into days."""
    with runtime().pool.connection() as connection:
        done = rollups.aggregate(connection, datetime.now(UTC))
    if done.hours or done.mended:
        log.info("upkeep.rolled_up", hours=done.hours, mended=done.mended)
