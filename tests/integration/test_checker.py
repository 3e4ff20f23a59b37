"""The website loop as it runs: beat, schedule worker, worker, Valkey, PostgreSQL, and a target over HTTP."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from core.adapters.task_queue import TaskQueue
from core.domain.outcomes import Reason
from tests.fleet import Fleet, Target
from tests.waiting import until
from tests.websites import make_website, make_workspace

INTERVAL_S, RETRY_S = 3, 1


@pytest.fixture
def target() -> Iterator[Target]:
    served = Target()
    yield served
    served.close()


@pytest.fixture
def fleet(database_url: str, valkey_url: str, tmp_path: Path) -> Iterator[Fleet]:
    running = Fleet(
        tmp_path,
        {"DATABASE_URL": database_url, "REDIS_URL": valkey_url, "PRIVATE_TARGETS": "true", "METRICS_NAMESPACE": "Ours"},
    )
    yield running
    running.close()


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


def checks(database: psycopg.Connection) -> int:
    """Checks that were made; a window that was missed is a result without a check."""
    row = database.execute("SELECT count(*) FROM check_result WHERE reason <> %s", (Reason.MISSED_WINDOW,)).fetchone()
    assert row
    return int(row[0])


def column(database: psycopg.Connection, query: str) -> list[object]:
    return [row[0] for row in database.execute(query)]


def told(fleet: Fleet, event: str) -> list[dict[str, Any]]:
    """Lines of the worker's log with this message."""
    return [json.loads(line) for line in fleet.log("worker").splitlines() if f'"message": "{event}"' in line]


def test_an_outage_and_its_end_are_found(fleet: Fleet, target: Target, database: psycopg.Connection, valkey_url: str) -> None:
    now = datetime.now(UTC)
    settings = {
        "url": target.url,
        "interval_s": INTERVAL_S,
        "retry_interval_s": RETRY_S,
        "failure_threshold": 2,
        "timeout_ms": 2000,
    }
    make_website(database, make_workspace(database, now), now, **settings)
    fleet.start()
    until(lambda: column(database, "SELECT state FROM website_state") == ["up"], 40)

    [uid] = column(database, "SELECT uid FROM monitor")
    sender = TaskQueue(valkey_url)
    assert sender.send("check_single_website", str(uid))
    assert sender.send("update_prometheus_metrics")
    sender.close()
    until(lambda: column(database, "SELECT to_regclass('celery_taskmeta') IS NOT NULL") == [True])
    until(lambda: column(database, "SELECT status FROM celery_taskmeta") == ["SUCCESS"])

    until(lambda: bool(told(fleet, "delays.measured")))
    assert {"CheckDelay", "SilenceDelay", "OutboxAge"} <= told(fleet, "delays.measured")[0].keys()
    assert "QueueLength" in told(fleet, "queues.length")[0]
    assert told(fleet, "disk.used")[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Ours"

    target.status = 500
    until(lambda: column(database, "SELECT alert_type FROM alert") == ["down"])
    assert column(database, "SELECT detail_type FROM outbox WHERE detail_type LIKE 'Incident%'") == ["IncidentOpened"]
    [(reason, began_at)] = database.execute("SELECT reason, began_at FROM incident").fetchall()
    assert reason == 41
    assert began_at >= now

    target.status = 200
    until(lambda: column(database, "SELECT alert_type FROM alert ORDER BY sequence") == ["down", "recovered"])
    assert column(database, "SELECT count(*) FROM incident WHERE resolved_at IS NULL") == [0]
    assert checks(database) == target.requests

    exposed = httpx.get(f"http://127.0.0.1:{fleet.metrics['worker']}/metrics/").text
    assert 'uptime_celery_task_total{status="success",task_name="check_websites"}' in exposed
    assert 'uptime_downtime_events_total{monitor_id="' in exposed
    assert 'uptime_celery_worker_pool_size{worker_name="worker@' in exposed
    scheduled = httpx.get(f"http://127.0.0.1:{fleet.metrics['schedule']}/metrics/").text
    assert 'uptime_celery_beat_schedule_drift_seconds{task_name="check_due_websites"}' in scheduled
    assert len(column(database, "SELECT relid FROM pg_partition_tree('check_result')")) > 14
    assert [fleet.stop(name) for name in ("beat", "schedule", "worker")] == [0, 0, 0]
    assert column(database, "SELECT count(*) FROM website_state WHERE lease_id IS NOT NULL") == [0]
