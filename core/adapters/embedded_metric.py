"""Figures for CloudWatch as lines of the log: the embedded metric format, which CloudWatch Logs reads without an agent or a call."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

QUEUE_LENGTH: Final = "QueueLength"
OUTBOX_AGE: Final = "OutboxAge"
CHECK_DELAY: Final = "CheckDelay"
SILENCE_DELAY: Final = "SilenceDelay"
DISK_USED: Final = "DiskUsed"
UNITS: Final[Mapping[str, str]] = {
    QUEUE_LENGTH: "Count",
    OUTBOX_AGE: "Seconds",
    CHECK_DELAY: "Seconds",
    SILENCE_DELAY: "Seconds",
    DISK_USED: "Percent",
}
"""Every figure that we tell CloudWatch. `docs/reference/metrics.md` says what they mean."""


def figures(namespace: str, env: str, values: Mapping[str, float], now: datetime) -> Mapping[str, Any]:
    """The fields of a log line that CloudWatch reads as these metrics of the environment."""
    metrics = [{"Name": name, "Unit": UNITS[name]} for name in values]
    about = {"Namespace": namespace, "Dimensions": [["Environment"]], "Metrics": metrics}
    stamp = int(now.timestamp() * 1000)
    return {"_aws": {"Timestamp": stamp, "CloudWatchMetrics": [about]}, "Environment": env, **values}
