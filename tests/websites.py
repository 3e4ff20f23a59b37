"""Websites for tests: rows as the API writes them, and results as the probe gives them."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.flows.websites import Finished, Job

SETTINGS: dict[str, Any] = {
    "url": "http://127.0.0.1:1/",
    "method": "GET",
    "interval_s": 60,
    "retry_interval_s": 10,
    "timeout_ms": 5000,
    "failure_threshold": 2,
    "recovery_threshold": 1,
    "accepted_status": "200-299",
    "follow_redirects": True,
    "max_redirects": 5,
    "verify_tls": True,
    "config_version": 1,
}


def make_workspace(connection: psycopg.Connection, now: datetime) -> UUID:
    """A workspace of its own."""
    workspace = uuid4()
    connection.execute("INSERT INTO workspace (id, name, created_at) VALUES (%s, 'w', %s)", (workspace, now))
    return workspace


def make_website(connection: psycopg.Connection, workspace: UUID, now: datetime, **settings: Any) -> int:
    """A website that is due at `now`; returns its bigint id."""
    row = connection.execute(
        "INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at) VALUES (%s, %s, 'website', 'shop', '{}', %s) RETURNING id",
        (uuid4(), workspace, now),
    ).fetchone()
    assert row
    values = {"monitor_id": row[0], **SETTINGS, **settings}
    columns = ", ".join(values)
    places = ", ".join(f"%({name})s" for name in values)
    connection.execute(f"INSERT INTO website ({columns}) VALUES ({places})", values)
    connection.execute("INSERT INTO website_state (monitor_id, next_check_at) VALUES (%s, %s)", (row[0], now))
    monitor_id: int = row[0]
    return monitor_id


def finished(job: Job, at: datetime, outcome: Outcome = Outcome.UP, reason: Reason | None = None, **found: Any) -> Finished:
    """A job with a result of `outcome`."""
    natural = {Outcome.UP: Reason.OK, Outcome.DOWN: Reason.CONNECT_REFUSED, Outcome.UNKNOWN: Reason.LOCAL_NETWORK}
    return Finished(job, ProbeResult(outcome=outcome, reason=reason or natural[outcome], started_at=at, **found))
