"""From a committed incident to its message: one alone, storms with a receiver that hangs, and the CPU of a delivery.

A Celery worker as on one box routes and relays through the real SDK; its endpoint is a server in this process that puts the events into
queues in memory. Here, too, are the Lambda runner of one box with the handler of alert_dispatch, whose tables are in memory, and the
inbox's consumer of receipts. Receivers are in another process, PostgreSQL and Valkey are real.
"""

import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg

from core.adapters.database import open_pool
from core.adapters.queues import SqsQueue
from core.adapters.task_queue import TaskQueue
from core.contracts.channels.registry import parse_config
from core.contracts.names import Names
from core.domain.outcomes import Reason
from core.domain.transitions import MonitorRef, WentDown
from core.flows.incidents import record_transitions
from core.flows.requests import RECEIPT_TIMEOUT
from core.inbox.consumer import RECEIPTS_REST_S, Consumer
from core.inbox.handlers import ReceiptHandler
from core.local.lambda_runner import LambdaRunner
from lambdas.alert_dispatch.dispatch import FIRST_TRY_TIMEOUT_S
from tests.dispatch_in_memory import MemoryWiring
from tests.fakes import FakeEvents, FakeKicks, FakeQueue, FakeSqs
from tests.fleet import Fleet
from tests.perf.canned_aws import CannedAws, in_thread
from tests.perf.machine import (
    Meter,
    announcing,
    canned_aws,
    invoke,
    logging_to,
    postgres_server,
    valkey_server,
    work_folder,
)
from tests.perf.settings import SETTINGS
from tests.perf.stand_in import events_per_s, stand_in
from tests.waiting import until
from tests.websites import make_workspace

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NAMES = Names(SETTINGS["UPTIME_ENV"])
REGION = SETTINGS["AWS_REGION"]
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CHANNELS = 10
"""Workspaces with one webhook each; a storm falls on them in turn, and the last one's receiver hangs for 30 s."""

WARM_UP = 20
ARRIVAL_TIMEOUT_S = 240.0
POLL_S = 0.05
STORM_POLL_S = 0.5
"""Arrivals carry their times, so asking for them seldom changes no figure and leaves the processor to what is measured."""

NAME_OF = {"this": "dispatch_and_receipts"}
STAND_IN_EVENTS = 30


@dataclass(frozen=True)
class Load:
    """How much of everything."""

    singles: int
    calm_storms: int
    storm: int
    large_storm: int
    handler_calls: int


FULL = Load(singles=200, calm_storms=9, storm=300, large_storm=5000, handler_calls=1000)
QUICK = Load(singles=40, calm_storms=3, storm=300, large_storm=1000, handler_calls=150)


@dataclass(frozen=True)
class Receivers:
    """Webhook endpoints in a process of their own (`tests.perf.webhooks`)."""

    process: subprocess.Popen[str]
    urls: Sequence[str]

    def arrived(self) -> dict[UUID, float]:
        """When messages have arrived since the last question, in epoch seconds, by alert."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return {UUID(alert_id): at for _, alert_id, at in json.loads(self.process.stdout.readline())}


@dataclass(frozen=True)
class Target:
    """Receivers and their workspaces; `healthy` are those whose receiver answers."""

    receivers: Receivers
    workspaces: Sequence[UUID]
    healthy: Sequence[UUID]


@dataclass(frozen=True)
class System:
    """What a storm is started with; `pids` are the processes that work on it besides this one."""

    connection: psycopg.Connection
    tasks: TaskQueue
    wiring: MemoryWiring
    queues: Mapping[str, FakeQueue]
    pids: Mapping[str, int]


@dataclass(frozen=True)
class Storm:
    """Seconds from the commit to each arrival at a healthy receiver."""

    delays: Sequence[float]


@dataclass(frozen=True)
class Committed:
    """Alerts that nobody has been told of yet, and when they were committed, in epoch seconds."""

    alert_ids: Sequence[UUID]
    at: float


def run(quick: bool) -> dict[str, float]:
    """Seconds from commit to arrival, and milliseconds of CPU per delivery by what takes them."""
    load = QUICK if quick else FULL
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        figures = _handler_with_sdk(load.handler_calls)
        dsn, database = stack.enter_context(postgres_server(folder))
        with stand_in(folder, {**os.environ, **SETTINGS, "DATABASE_URL": dsn}) as slow:
            figures["stand_in_events_per_s"] = events_per_s(slow, NAMES, REGION, STAND_IN_EVENTS)
        broker_url, broker = stack.enter_context(valkey_server())
        stack.enter_context(logging_to(folder / "core.log"))
        queues = {NAMES.alerts_queue: FakeQueue(), NAMES.receipts_queue: FakeQueue()}
        wiring = stack.enter_context(_edge(queues, dsn))
        endpoint = stack.enter_context(in_thread(CannedAws(lambda asked: wiring.events.put_events(**asked))))
        settings = {**SETTINGS, "DATABASE_URL": dsn, "REDIS_URL": broker_url, "AWS_ENDPOINT_URL": endpoint}
        fleet = Fleet(folder, settings)
        stack.callback(fleet.close)
        fleet.start("worker")
        tasks = TaskQueue(broker_url)
        stack.callback(tasks.close)
        pids = {"worker": fleet.processes["worker"].pid, "postgres": database, "valkey": broker}
        system = System(stack.enter_context(psycopg.connect(dsn)), tasks, wiring, queues, pids)
        return {
            **figures,
            **_singles(system, load.singles),
            **_calm(system, load.calm_storms, load.storm),
            **_storms(system, load),
        }


def _handler_with_sdk(count: int) -> dict[str, float]:
    with canned_aws() as endpoint, _receivers(1, hanging=0) as receivers:
        figures = invoke("alert", endpoint, count, receivers.urls[0])
        if not receivers.arrived():
            raise RuntimeError("the handler sent nothing")
    return {"delivery_handler_cpu_ms": figures["cpu_ms"], "sdk_call_cpu_ms": figures["sdk_cpu_ms"]}


def _singles(system: System, count: int) -> dict[str, float]:
    """One incident at a time, at rest."""
    with _target(system, hanging=0) as target:
        _storm(system, target, WARM_UP)
        storms = [_storm(system, target, 1) for _ in range(count)]
    delays = [delay for storm in storms for delay in storm.delays]
    return {"single_p99_s": _p99(delays), "single_p50_s": statistics.median(delays)}


def _calm(system: System, storms: int, count: int) -> dict[str, float]:
    """Storms in which all receivers are well, until the last receipt is booked: medians, and the range of a delivery's CPU.

    The first one warms up what grows with a storm: threads, connections, statements that are prepared. It is not counted.
    """
    with _target(system, hanging=0) as target:
        calm = [_calm_storm(system, target, count) for _ in range(storms + 1)][1:]
    figures = {key: statistics.median(figures[key] for figures in calm) for key in calm[0]}
    cpu_ms = [figures["delivery_cpu_ms"] for figures in calm]
    return {**figures, "delivery_cpu_least_ms": min(cpu_ms), "delivery_cpu_most_ms": max(cpu_ms)}


def _calm_storm(system: System, target: Target, count: int) -> dict[str, float]:
    booked = _booked(system, target)
    committed = _commit(system, target, count)
    meter = Meter(system.pids)
    storm = _tell(system, target, committed)
    until(lambda: _booked(system, target) == booked + count, ARRIVAL_TIMEOUT_S, 0.1)
    spent = meter.spent()
    return {
        "delivery_cpu_ms": 1000 * sum(spent.values()) / count,
        **{f"delivery_cpu_{NAME_OF.get(name, name)}_ms": 1000 * value / count for name, value in spent.items()},
        "storm_300_calm_s": max(storm.delays),
        "healthy_channel_calm_delay_s": _p99(storm.delays),
    }


def _storms(system: System, load: Load) -> dict[str, float]:
    """Storms while one receiver in ten hangs: what counts is when the messages of the others arrive."""
    with _target(system, hanging=1) as target:
        small = _storm(system, target, load.storm)
    with _target(system, hanging=1) as target:
        large = _storm(system, target, load.large_storm)
    return {
        "storm_300_s": max(small.delays),
        "healthy_channel_delay_s": _p99(small.delays),
        "storm_5000_s": max(large.delays),
        "storm_5000_median_s": statistics.median(large.delays),
        "storm_5000_alerts": load.large_storm,
    }


def _storm(system: System, target: Target, count: int) -> Storm:
    """Commit incidents of so many monitors in one transaction, kick, and wait for the messages to the healthy receivers."""
    return _tell(system, target, _commit(system, target, count))


def _commit(system: System, target: Target, count: int) -> Committed:
    monitors = _monitors(system.connection, target, count)
    now = datetime.now(UTC)
    downs = [WentDown(m, now - timedelta(seconds=20), Reason.CONNECT_REFUSED, "connection refused") for m in monitors]
    alert_ids = record_transitions(system.connection, downs, now)
    system.connection.commit()
    return Committed(alert_ids, time.time())


def _tell(system: System, target: Target, committed: Committed) -> Storm:
    system.tasks.kick_alerts(committed.alert_ids)
    rows = system.connection.execute(
        "SELECT id FROM alert WHERE id = ANY(%s) AND workspace_id = ANY(%s)", (committed.alert_ids, target.healthy)
    ).fetchall()
    system.connection.commit()
    expected = {row[0] for row in rows}
    arrived: dict[UUID, float] = {}

    def all_arrived() -> bool:
        arrived.update(target.receivers.arrived())
        return expected <= arrived.keys()

    until(all_arrived, ARRIVAL_TIMEOUT_S, POLL_S if len(committed.alert_ids) == 1 else STORM_POLL_S)
    return Storm([arrived[alert_id] - committed.at for alert_id in expected])


def _booked(system: System, target: Target) -> int:
    query = "SELECT count(*) FROM delivery WHERE workspace_id = ANY(%s) AND state = 'delivered'"
    row = system.connection.execute(query, (target.healthy,)).fetchone()
    system.connection.commit()
    return int(row[0]) if row else 0


def _monitors(connection: psycopg.Connection, target: Target, count: int) -> list[MonitorRef]:
    """New monitors, of the target's workspaces in turn."""
    workspaces = [target.workspaces[number % len(target.workspaces)] for number in range(count)]
    rows = connection.execute(
        "INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at) "
        "SELECT gen_random_uuid(), workspace_id, 'website', 'shop', '{}', now() FROM unnest(%s::uuid[]) workspace_id "
        "RETURNING id, uid, workspace_id",
        (workspaces,),
    ).fetchall()
    connection.commit()
    return [MonitorRef(row[0], row[1], row[2], "website", "shop", "https://shop.example.com/") for row in rows]


@contextmanager
def _target(system: System, hanging: int) -> Iterator[Target]:
    """Ten receivers, each with a workspace and a channel. What is left for them at the end is thrown away."""
    with _receivers(CHANNELS, hanging) as receivers:
        workspaces = [_workspace(system, url) for url in receivers.urls]
        system.connection.commit()
        yield Target(receivers, workspaces, workspaces[: CHANNELS - hanging])
        system.queues[NAMES.alerts_queue].purge()
        time.sleep(FIRST_TRY_TIMEOUT_S if hanging else 0)  # what is in flight to the one that hangs ends by then


def _workspace(system: System, url: str) -> UUID:
    workspace, channel, now = make_workspace(system.connection, datetime.now(UTC)), uuid4(), datetime.now(UTC)
    system.connection.execute(
        "INSERT INTO channel (id, workspace_id, name, kind, config_version, config_ciphertext, summary, disabled_reason, created_at, "
        "updated_at) VALUES (%s, %s, 'c', 'webhook', 1, '', '', '', %s, %s)",
        (channel, workspace, now, now),
    )
    config = parse_config("webhook", {"url": url, "secret": SECRET}, private_targets=True)
    system.wiring.vault.known[channel, 1] = config
    return workspace


@contextmanager
def _receivers(count: int, hanging: int) -> Iterator[Receivers]:
    with announcing("tests.perf.webhooks", str(count), str(hanging)) as process:
        assert process.stdout
        yield Receivers(process, json.loads(process.stdout.readline()))


@contextmanager
def _edge(queues: Mapping[str, FakeQueue], dsn: str) -> Iterator[MemoryWiring]:
    """The Lambda runner of one box and the inbox's consumer of receipts, on queues in memory."""
    from lambdas.alert_dispatch import handler  # noqa: PLC0415  (its logger takes the standard output of this moment)

    sqs, receipts = FakeSqs(queues), queues[NAMES.receipts_queue]
    routes = {"AlertRequested": queues[NAMES.alerts_queue], "AlertDelivered": receipts, "AlertFailed": receipts}
    wiring = MemoryWiring(NAMES, sqs, FakeEvents(routes))
    runner = LambdaRunner(handler.handler, cast("SQSClient", sqs), NAMES.alerts_queue, REGION)
    stopping = threading.Event()
    with open_pool(dsn, application="bench", size=2) as pool, patch.object(handler, "wiring", lambda: wiring):
        queue = SqsQueue(cast("SQSClient", sqs), NAMES.receipts_queue)
        consumer = Consumer(queue, ReceiptHandler(pool, RECEIPT_TIMEOUT, FakeKicks()), stopping, rest_s=RECEIPTS_REST_S)
        threads = [
            threading.Thread(target=runner.run_until, args=(stopping,), name="runner"),
            threading.Thread(target=consumer.run, name="inbox"),
        ]
        for thread in threads:
            thread.start()
        try:
            yield wiring
        finally:
            stopping.set()
            for thread in threads:
                thread.join()


def _p99(delays: Sequence[float]) -> float:
    return statistics.quantiles(delays, n=100, method="inclusive")[98]
