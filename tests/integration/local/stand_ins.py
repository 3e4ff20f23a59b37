"""A running AWS stand-in for tests, and what they put into PostgreSQL before it starts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import psycopg
from botocore.config import Config

from core.contracts.names import Names
from core.local.postgres import PostgresServer
from tests.conftest import TEMPLATE, free_port
from tests.processes import module_process, wait_for_port

REGION = "eu-west-1"
NAMES = Names("standin")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StandIn:
    """A running stand-in."""

    url: str
    pid: int

    def client(self, service: str, **config: Any) -> Any:
        return boto3.client(  # type: ignore[call-overload]  # the stubs tell services apart by literals
            service, region_name=REGION, endpoint_url=self.url, config=Config(retries={"total_max_attempts": 1}, **config)
        )


@contextmanager
def stand_in(database_url: str, journal: Path, port: int | None = None) -> Iterator[StandIn]:
    """Start `python -m core.local.aws` and wait until its port opens."""
    port = port or free_port()
    environ = {
        "UPTIME_ENV": NAMES.env,
        "DATABASE_URL": database_url,
        "EMAIL_FROM": "Monitor <monitor@example.com>",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    with module_process("core.local.aws", ["--port", str(port), "--journal", str(journal)], environ) as process:
        wait_for_port(port, process=process)
        yield StandIn(f"http://127.0.0.1:{port}", process.pid)


def fresh_database(server: PostgresServer) -> str:
    """A migrated database for the tests of a module; it goes with the server."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    return server.dsn(name)


def insert_heartbeat(database_url: str, last_sequence: int = 0, last_success_at: datetime | None = None) -> UUID:
    """Insert a heartbeat; returns its id."""
    uid, workspace = uuid4(), uuid4()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO workspace (id, name, created_at) VALUES (%s, 'w', %s)", (workspace, NOW))
        row = connection.execute(
            "INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at) "
            "VALUES (%s, %s, 'heartbeat', 'h', '{}', %s) RETURNING id",
            (uid, workspace, NOW),
        ).fetchone()
        assert row
        connection.execute("INSERT INTO heartbeat (monitor_id, period_s, grace_s, config_version) VALUES (%s, 60, 60, 1)", row)
        connection.execute(
            "INSERT INTO heartbeat_state (monitor_id, last_sequence, verdict_sequence, last_success_at) VALUES (%s, %s, %s, %s)",
            (row[0], last_sequence, last_sequence, last_success_at),
        )
    return uid


def state_of(aws: StandIn, heartbeat: UUID) -> dict[str, Any] | None:
    """The heartbeat's item at the edge."""
    found = aws.client("dynamodb").get_item(
        TableName=NAMES.heartbeats_table, Key={"pk": {"S": str(heartbeat)}, "sk": {"S": "state"}}, ConsistentRead=True
    )
    item: dict[str, Any] | None = found.get("Item")
    return item
