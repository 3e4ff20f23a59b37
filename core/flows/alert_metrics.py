"""Counts what routing, receipts and sweeps report, after their transaction has been committed."""

from collections.abc import Iterable
from uuid import UUID

from core import metrics
from core.domain.delivery import Count


def count(change: Count) -> None:
    """Move the metrics of alerts."""
    labels = {"alert_type": change.alert_type, "channel": change.channel_kind}
    if change.sent:
        metrics.ALERTS_SENT.labels(**labels, status=change.sent).inc()
    if change.failed:
        metrics.ALERTS_FAILED.labels(**labels, error_type=change.failed).inc()
    if change.retries:
        metrics.ALERT_RETRIES.labels(**labels).inc(change.retries)
    if change.duration_s is not None:
        metrics.ALERT_DELIVERY_DURATION.labels(**labels).observe(change.duration_s)


def count_held(kept: Iterable[tuple[UUID, str]]) -> None:
    """Count alerts that were held or dropped, by monitor (public id) and type."""
    for monitor_id, alert_type in kept:
        metrics.ALERT_THROTTLE_HITS.labels(str(monitor_id), alert_type).inc()
