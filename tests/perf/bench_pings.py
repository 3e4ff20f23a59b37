"""CPU of a ping: the Lambda handler with the real SDK, the core from the queue to the stored state, and the detector of silence.

The core runs in this process (inbox and detector), against a real PostgreSQL and Valkey; the queue and the heartbeat table are in memory.
What the SDKs add is measured by itself, against a server with canned answers.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg

from core.adapters.database import Pool, open_pool
from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.queues import SqsQueue, sqs_client
from core.adapters.task_queue import TaskQueue
from core.contracts.events import encode
from core.contracts.names import EVENT_SOURCE, Names
from core.domain.heartbeat_watch import EdgeStamp, EdgeState
from core.flows.heartbeat_metrics import HeartbeatSeries
from core.flows.silence import Detector
from core.inbox.consumer import BATCH, LINGER_S, Consumer
from core.inbox.handlers import PingHandler
from tests.fakes import FakeEvents, FakeHeartbeatTable, FakeQueue, FakeSqs
from tests.heartbeats import GRACE_S, PERIOD_S, make_heartbeat, pinged
from tests.perf.machine import Meter, canned_aws, invoke, logging_to, postgres_server, valkey_server, work_folder
from tests.perf.settings import SETTINGS
from tests.perf.stand_in import stand_in
from tests.waiting import until

NAMES = Names(SETTINGS["UPTIME_ENV"])
REGION = SETTINGS["AWS_REGION"]
FAIL_EVERY = 50
"""One ping in so many says that the job failed; the next one of its heartbeat is the recovery."""

DRAIN_TIMEOUT_S = 300.0
HEALTHCHECKS_CPU_MS = (4.3, 17.6)
"""CPU of a ping in Healthchecks (web and PostgreSQL) on a like machine, at its best and as it is shipped."""

OTHERS = """
WITH home AS (INSERT INTO workspace (id, name, created_at) VALUES (gen_random_uuid(), 'others', now()) RETURNING id),
made AS (
    INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at)
    SELECT gen_random_uuid(), home.id, 'heartbeat', 'other ' || n, '{}', now() FROM home, generate_series(1, %s) AS n RETURNING id
), settings AS (
    INSERT INTO heartbeat (monitor_id, period_s, grace_s, config_version) SELECT id, 3600, 300, 1 FROM made
)
INSERT INTO heartbeat_state (monitor_id, state, last_sequence, deadline_at)
SELECT id, 'up', 1, now() + make_interval(secs => 3600 + id %% 3600) FROM made
"""
STAND_IN_PINGS = 30


@dataclass(frozen=True)
class Load:
    """How much of everything."""

    heartbeats: int
    pings: int
    alone: int
    handler_calls: int
    due: int
    others: int


FULL = Load(heartbeats=2000, pings=20_000, alone=2000, handler_calls=2000, due=10_000, others=90_000)
QUICK = Load(heartbeats=500, pings=4000, alone=300, handler_calls=300, due=10_000, others=90_000)


@dataclass(frozen=True)
class Core:
    """What the core's side works with; `pids` are its servers."""

    dsn: str
    pool: Pool
    tasks: TaskQueue
    pids: Mapping[str, int]


def run(quick: bool) -> dict[str, float]:
    """Milliseconds of CPU per ping by what takes them, pings a second, and how long 10,000 silent heartbeats take."""
    load = QUICK if quick else FULL
    with ExitStack() as stack:
        folder = stack.enter_context(work_folder())
        endpoint = stack.enter_context(canned_aws())
        core = stack.enter_context(_core(folder))
        uids = _heartbeats(core.dsn, load.heartbeats)
        handler = invoke("ping", endpoint, load.handler_calls, str(uids[0]))
        figures = {
            "ping_handler_cpu_ms": handler["cpu_ms"],
            "ping_handler_wall_ms": handler["wall_ms"],
            "sdk_call_cpu_ms": handler["sdk_cpu_ms"],
            **_inbox(core, uids, load.pings),
            "ping_core_alone_cpu_ms": _inbox_alone(core, uids, load),
            "ping_core_sdk_cpu_ms": _core_sdk(endpoint, load.pings),
        }
        with stand_in(folder, {**os.environ, **SETTINGS, "DATABASE_URL": core.dsn}) as slow:
            figures["stand_in_pings_per_s"] = 1000 / invoke("ping", slow, STAND_IN_PINGS, str(uids[0]))["wall_ms"]
        # Only now are there 100,000: a stand-in opens when it knows them all.
        figures |= _among(core.dsn, load.others)
        return {**figures, **_beside_healthchecks(figures["ping_core_cpu_ms"]), **_detector(core, endpoint, load.due)}


def _beside_healthchecks(core_cpu_ms: float) -> dict[str, float]:
    """How many times the CPU of a ping a ping costs there."""
    best, shipped = HEALTHCHECKS_CPU_MS
    return {
        "healthchecks_best_cpu_ms": best,
        "healthchecks_shipped_cpu_ms": shipped,
        "healthchecks_best_over_ours": best / core_cpu_ms,
        "healthchecks_shipped_over_ours": shipped / core_cpu_ms,
    }


@contextmanager
def _core(folder: Path) -> Iterator[Core]:
    with ExitStack() as stack:
        dsn, database = stack.enter_context(postgres_server(folder))
        broker_url, broker = stack.enter_context(valkey_server())
        stack.enter_context(logging_to(folder / "core.log"))
        pool = stack.enter_context(open_pool(dsn, application="bench", size=4))
        tasks = TaskQueue(broker_url)
        stack.callback(tasks.close)
        yield Core(dsn, pool, tasks, {"postgres": database, "valkey": broker})


def _heartbeats(dsn: str, count: int) -> list[UUID]:
    with psycopg.connect(dsn) as connection:
        return [make_heartbeat(connection, datetime.now(UTC), f"job {number}") for number in range(count)]


def _among(dsn: str, others: int) -> dict[str, float]:
    """Heartbeats that are not due, among which the detector has to find the others."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(OTHERS, (others,))
        connection.execute("ANALYZE monitor, heartbeat, heartbeat_state")
    return {"detector_among_heartbeats": others}


def _inbox(core: Core, uids: Sequence[UUID], count: int) -> dict[str, float]:
    """A backlog through the consumer of the inbox, in the batches that it makes of it."""
    queue = _queue_of_pings(uids, count, sequence=0)
    stopping = threading.Event()
    consumer = Consumer(_sqs(queue), _handler(core), stopping)
    thread = threading.Thread(target=consumer.run, name="inbox")
    meter = Meter(core.pids)
    thread.start()
    until(lambda: len(queue) == 0, DRAIN_TIMEOUT_S)
    spent, wall_s = meter.spent(), meter.wall_s()
    stopping.set()
    thread.join()
    return {
        "ping_core_cpu_ms": 1000 * sum(spent.values()) / count,
        "ping_core_cpu_inbox_ms": 1000 * spent["this"] / count,
        "ping_core_cpu_postgres_ms": 1000 * spent["postgres"] / count,
        "ping_core_cpu_valkey_ms": 1000 * spent["valkey"] / count,
        "pings_per_s": count / wall_s,
        "pings": count,
        "heartbeats": len(uids),
    }


def _inbox_alone(core: Core, uids: Sequence[UUID], load: Load) -> float:
    """CPU of a ping that comes alone: a transaction of its own."""
    queue = _queue_of_pings(uids, load.alone, sequence=load.pings)
    messages, handle = _sqs(queue), _handler(core)
    meter = Meter(core.pids)
    while batch := messages.receive(limit=1, wait_s=0, linger_s=0):
        handle(batch)
        messages.delete(batch)
    return 1000 * sum(meter.spent().values()) / load.alone


def _core_sdk(endpoint: str, count: int) -> float:
    """What receiving, deleting and settling a ping costs in the SDKs, in full batches."""
    batches = count // BATCH
    with patch.dict(os.environ, AWS_ENDPOINT_URL=endpoint):
        messages, table = SqsQueue(sqs_client(REGION), NAMES.pings_queue), HeartbeatTable(NAMES, REGION)

        def turn() -> None:
            batch = messages.receive(limit=BATCH, wait_s=0, linger_s=10 * LINGER_S)
            messages.delete(batch)
            table.settle(uuid4() for _ in batch)

        turn()  # makes the clients
        meter = Meter({})
        for _ in range(batches):
            turn()
    return 1000 * meter.spent()["this"] / (batches * BATCH)


def _detector(core: Core, endpoint: str, count: int) -> dict[str, float]:
    """A tick that finds so many heartbeats due: first each has a newer ping at the edge, then all of them are silent."""
    uids = _heartbeats(core.dsn, count)
    due_at, now = datetime.now(UTC) - timedelta(minutes=1), datetime.now(UTC)
    pinged_now, silent = EdgeState(2, success=EdgeStamp(now, 2)), EdgeState(1)
    postponing = _tick(core, uids, due_at, now, pinged_now)
    missing = _tick(core, uids, due_at, now, silent)
    with patch.dict(os.environ, AWS_ENDPOINT_URL=endpoint):
        table = HeartbeatTable(NAMES, REGION)
        table.latest(uids[:1])  # makes the client
        reading = Meter({})
        table.latest(uids)
    return {
        "detector_10k_due_s": missing.wall_s,
        "detector_10k_due_cpu_s": missing.cpu_s,
        "detector_10k_kick_s": missing.kick_s,
        "detector_10k_postponed_s": postponing.wall_s,
        "detector_10k_postponed_cpu_s": postponing.cpu_s,
        "detector_10k_edge_read_cpu_s": reading.spent()["this"],
    }


@dataclass(frozen=True)
class Tick:
    """What a tick of the detector took. `kick_s`: the part that told the workers about the alerts."""

    wall_s: float
    cpu_s: float
    kick_s: float


def _tick(core: Core, uids: Sequence[UUID], due_at: datetime, now: datetime, edge: EdgeState) -> Tick:
    with psycopg.connect(core.dsn) as connection:
        connection.execute(
            "UPDATE heartbeat_state SET state = 'up', last_sequence = 1, deadline_at = %s, anchor_at = %s FROM monitor "
            "WHERE id = monitor_id AND uid = ANY(%s)",
            (due_at, due_at - timedelta(seconds=PERIOD_S + GRACE_S), list(uids)),
        )
    table = FakeHeartbeatTable()
    table.states = dict.fromkeys(uids, edge)
    meter = Meter(core.pids)
    applied = Detector(core.pool, table).judge_due(now)
    judged_s = meter.wall_s()
    core.tasks.kick_alerts(applied.alert_ids)
    tick = Tick(meter.wall_s(), sum(meter.spent().values()), meter.wall_s() - judged_s)
    expected = len(uids) if edge.success is None else 0
    if (applied.judged, len(applied.transitions)) != (len(uids), expected):
        raise RuntimeError(f"judged {applied.judged} of {len(uids)}, {len(applied.transitions)} changed")
    return tick


def _queue_of_pings(uids: Sequence[UUID], count: int, sequence: int) -> FakeQueue:
    """A queue with pings of these heartbeats in turn; their sequences start after `sequence`."""
    queue = FakeQueue(visibility_s=DRAIN_TIMEOUT_S)
    bus = FakeEvents({"HeartbeatPinged": queue})
    for number in range(count):
        kind: Literal["fail", "success"] = "fail" if number % FAIL_EVERY == 0 else "success"
        ping = pinged(uids[number % len(uids)], sequence + number // len(uids) + 1, datetime.now(UTC), kind)
        detail = encode(ping.metadata, ping.data)
        bus.put_events(Entries=[{"Source": EVENT_SOURCE, "DetailType": "HeartbeatPinged", "Detail": detail}])
    return queue


def _sqs(queue: FakeQueue) -> SqsQueue:
    return SqsQueue(FakeSqs({NAMES.pings_queue: queue}), NAMES.pings_queue)  # type: ignore[arg-type]  # the calls that are made


def _handler(core: Core) -> PingHandler:
    return PingHandler(core.pool, FakeHeartbeatTable(), core.tasks, HeartbeatSeries())
