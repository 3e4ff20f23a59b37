"""The heartbeat tasks in a real worker: called through the broker, with PostgreSQL and the edge behind them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.task_queue import TaskQueue
from core.contracts import events
from core.contracts.heartbeat_keys import pending_partition
from core.contracts.heartbeat_table import PendingItem
from core.flows.heartbeats import apply_pings
from tests.aws_stand_in import REGION, AwsStandIn
from tests.fleet import Fleet
from tests.heartbeats import make_heartbeat, minutes, pinged
from tests.waiting import until

START_S = 60.0
"""Workers take long to start where all cores are busy."""


@pytest.fixture
def fleet(aws: AwsStandIn, database_url: str, valkey_url: str, tmp_path: Path) -> Iterator[Fleet]:
    running = Fleet(tmp_path, {"DATABASE_URL": database_url, "REDIS_URL": valkey_url, "AWS_ENDPOINT_URL": aws.endpoint_url})
    yield running
    running.close()


def row(connection: psycopg.Connection, query: str) -> Any:
    found = connection.execute(query).fetchone()
    connection.commit()
    return found


def test_the_tasks_judge_process_and_sweep(
    aws: AwsStandIn, fleet: Fleet, connection: psycopg.Connection, valkey_url: str
) -> None:
    now = datetime.now(UTC)
    silent, single, pinging = (make_heartbeat(connection, now, name) for name in ("silent", "single", "pinging"))
    apply_pings(connection, [pinged(silent, 1, now - minutes(66)), pinged(single, 1, now - minutes(66))], now)
    connection.commit()
    table = HeartbeatTable(aws.names, REGION)
    for uid in (silent, single, pinging):
        table.provision(uid, uuid4())
    queue = TaskQueue(valkey_url)
    fleet.start("worker", "schedule")
    state = "SELECT h.state FROM heartbeat_state h JOIN monitor m ON m.id = h.monitor_id WHERE m.name = '{}'"

    assert queue.send("check_single_heartbeat", str(single))
    until(lambda: row(connection, state.format("single")) == ("down",), START_S)
    assert row(connection, state.format("silent")) == ("up",)
    assert queue.send("check_due_heartbeats")
    until(lambda: row(connection, state.format("silent")) == ("down",))
    until(lambda: row(connection, "SELECT count(*) FROM alert WHERE routed_at IS NOT NULL") == (2,))

    ping = pinged(pinging, 1, now)
    assert queue.send("process_ping", events.encode(ping.metadata, ping.data))
    until(lambda: row(connection, state.format("pinging")) == ("up",))

    late = pinged(pinging, 2, now - minutes(2), "log")
    ping_id, expires_at = str(late.data.ping_id), int(now.timestamp()) + 999
    PendingItem(
        pending_partition(ping_id),
        ping_id,
        pinged_at=int(late.data.pinged_at.timestamp() * 1000),
        detail=events.encode(late.metadata, late.data),
        expires_at=expires_at,
    ).save()
    assert queue.send("sweep_pending_pings")
    sqs = aws.client("sqs")
    [message] = until(lambda: sqs.receive_message(QueueUrl=aws.queue_urls["pings"]).get("Messages"))
    assert ping_id in message["Body"]
    queue.close()
