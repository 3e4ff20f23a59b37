"""The Celery broker, for those who only send tasks: no backend, no task code, and a lost broker costs a bounded moment.

Whatever is sent here is also found by a sweep or by the next tick, so sending never raises for a lost broker: it says False.
"""

from collections.abc import Iterable
from itertools import batched
from typing import Any, Final
from uuid import UUID

import structlog
from celery import Celery

from core.adapters.brokers import CONNECT_TIMEOUT_S, open_broker
from core.contracts.tasks import QUEUE_OF

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

KICK_BATCH: Final = 50
"""Alerts in one task: a task costs Celery 3 ms of CPU, and all of them are routed in one transaction of some hundredths of a second."""

LOOK_EXPIRES_S: Final = 4.0
"""By then the next regular look has been taken."""


class TaskQueue:
    """Sends tasks by name and counts what waits. Safe to share between threads."""

    def __init__(self, broker_url: str) -> None:
        self._broker = open_broker(broker_url)
        self._app = Celery("sender", broker=self._broker.url, backend=None, set_as_current=False)
        self._app.conf.update(
            broker_transport_options=self._broker.options,
            broker_connection_timeout=CONNECT_TIMEOUT_S,
            task_default_queue=QUEUE_OF["process_ping"],
            task_routes={name: {"queue": queue} for name, queue in QUEUE_OF.items()},
            task_ignore_result=True,
            task_publish_retry=True,
            task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1},
        )

    def send(self, task_name: str, *args: Any, expires_s: float | None = None) -> bool:
        """Queue a task with JSON arguments; False, and a line in the log, when the broker did not take it.

        Raises:
            KeyError: no such task in `core.contracts.tasks`.
        """
        queue = QUEUE_OF[task_name]
        try:
            self._app.send_task(task_name, args, queue=queue, expires=expires_s)
        except self._broker.lost as error:
            log.warning("task_queue.broker_lost", task=task_name, error=str(error))
            return False
        return True

    def kick_alerts(self, alert_ids: Iterable[UUID]) -> None:
        """Have alerts routed now, `KICK_BATCH` in a task; the sweep routes those that get lost here."""
        for batch in batched(alert_ids, KICK_BATCH, strict=False):
            if not self.send("handle_alert", *map(str, batch)):
                return

    def look_soon(self) -> bool:
        """Have due websites looked for now: some are due before the next regular look, which finds them if this is lost."""
        return self.send("check_due_websites", expires_s=LOOK_EXPIRES_S)

    def lengths(self, queues: Iterable[str]) -> dict[str, int]:
        """Messages waiting in each queue (not those that a worker has fetched).

        Raises:
            Exception: one of those that the broker raises while it is away.
        """
        return dict(self._broker.lengths(list(queues)))

    def close(self) -> None:
        """Drop the connections."""
        self._app.close()
        self._broker.close()
