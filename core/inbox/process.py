"""The inbox process: a thread for each consumer, and a main thread that watches them and drains on SIGTERM."""

import signal
import threading
from collections.abc import Sequence
from typing import Any, Final

from core.adapters import host_disk
from core.adapters.database import open_pool
from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.metrics_server import serve_metrics
from core.adapters.queues import SqsQueue, sqs_client
from core.adapters.task_queue import TaskQueue
from core.contracts.names import Names
from core.flows.heartbeat_metrics import HeartbeatSeries
from core.inbox.consumer import RECEIPTS_REST_S, Consumer
from core.inbox.handlers import Handler, MailEventHandler, PingHandler, ReceiptHandler
from core.inbox.settings import InboxSettings
from core.logs import get_logger

log = get_logger(__name__)

QUEUES: Final = 3
WATCH_S: Final = 1.0
DRAIN_S: Final = 10.0


def run(settings: InboxSettings) -> int:
    """Consume until SIGTERM or SIGINT; returns the exit status, 1 if a consumer died."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if settings.metrics_port:
        serve_metrics(settings.metrics_port, settings.metrics_bind)
    if settings.metrics_namespace:
        host_disk.tell_regularly(settings.metrics_namespace, settings.uptime_env)
    pool = open_pool(settings.database_url.reveal(), application="inbox", size=QUEUES * settings.threads + 1)
    tasks = TaskQueue(settings.broker_url.reveal())
    try:
        consumers = _consumers(settings, stopping, pool, tasks)
        log.info("inbox.started", consumers=len(consumers))
        status = _watch(consumers, stopping)
    finally:
        tasks.close()
        pool.close(timeout=1.0)
    log.info("inbox.stopped", status=status)
    return status


def _consumers(settings: InboxSettings, stopping: threading.Event, pool: Any, tasks: TaskQueue) -> list[threading.Thread]:
    names = Names(settings.uptime_env)
    client = sqs_client(settings.region)
    pings = PingHandler(pool, HeartbeatTable(names, settings.region), tasks, HeartbeatSeries())
    receipts = ReceiptHandler(pool, settings.receipt_timeout, tasks)
    threads = []
    queues: list[tuple[str, Handler, float]] = [
        (names.pings_queue, pings, 0.0),
        (names.receipts_queue, receipts, RECEIPTS_REST_S),
    ]
    if settings.mail_events:
        queues.append((names.mail_events_queue, MailEventHandler(pool, tasks), 0.0))
    for queue, handle, rest_s in queues:
        for number in range(settings.threads):
            consumer = Consumer(SqsQueue(client, queue), handle, stopping, rest_s=rest_s)
            threads.append(threading.Thread(target=consumer.run, name=f"{queue}-{number}", daemon=True))
    for thread in threads:
        thread.start()
    return threads


def _watch(consumers: Sequence[threading.Thread], stopping: threading.Event) -> int:
    """Wait for the stop, then for what is in hand. A consumer that died ends the process, which its supervisor starts again."""
    while not stopping.wait(WATCH_S):
        if dead := [consumer.name for consumer in consumers if not consumer.is_alive()]:
            log.error("inbox.consumer_died", consumers=dead)
            return 1
    for consumer in consumers:
        consumer.join(DRAIN_S)
    return 0
