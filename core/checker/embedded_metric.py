"""Figures for CloudWatch as lines of the log: the embedded metric format, which CloudWatch Logs reads without an agent or a call."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

QUEUE_LENGTH: Final = "QueueLength"


def queue_length(namespace: str, env: str, lengths: Mapping[str, int], now: datetime) -> Mapping[str, Any]:
    """The fields of a log line that says how many messages wait in all queues together."""
    about = {"Namespace": namespace, "Dimensions": [["Environment"]], "Metrics": [{"Name": QUEUE_LENGTH, "Unit": "Count"}]}
    stamp = int(now.timestamp() * 1000)
    return {"_aws": {"Timestamp": stamp, "CloudWatchMetrics": [about]}, "Environment": env, QUEUE_LENGTH: sum(lengths.values())}
