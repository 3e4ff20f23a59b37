"""Partitions are made ahead, dropped whole, and never in the way of a row."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from core.adapters.store import partitions
from core.contracts.tasks import QUEUE_OF
from core.domain.retention import Retention
from core.flows.certificates import record_chains
from core.flows.upkeep import DAYS_AHEAD, Kept, keep_partitions, make_ahead, storage_sizes
from tests.certificates import seen_chain
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = NOW.date()


def insert_result(connection: psycopg.Connection, at: datetime) -> None:
    connection.execute("INSERT INTO check_result (monitor_id, checked_at, outcome, reason) VALUES (1, %s, 1, 0)", (at,))


def home_of(connection: psycopg.Connection, at: datetime) -> str:
    row = connection.execute("SELECT tableoid::regclass::text FROM check_result WHERE checked_at = %s", (at,)).fetchone()
    assert row
    return str(row[0])


def test_days_from_yesterday_to_two_weeks_ahead_exist_after_one_run(connection: psycopg.Connection) -> None:
    made = make_ahead(connection, NOW)
    expected = [TODAY + timedelta(days=n) for n in range(-1, DAYS_AHEAD + 1)]
    for parent in partitions.DAY_TABLES:
        assert partitions.existing_days(connection, parent)[: len(expected)] == expected
    assert made == len(partitions.DAY_TABLES) * len(expected)
    assert make_ahead(connection, NOW) == 0


def test_days_meet_without_gap_or_overlap(connection: psycopg.Connection) -> None:
    make_ahead(connection, NOW)
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    last_moment = midnight - timedelta(microseconds=1)
    insert_result(connection, midnight)
    insert_result(connection, last_moment)
    assert home_of(connection, midnight) == "check_result_20261124"
    assert home_of(connection, last_moment) == "check_result_20261123"


def test_only_days_past_their_retention_are_dropped(connection: psycopg.Connection) -> None:
    for age in (89, 90, 91, 400, 401):
        for parent in partitions.DAY_TABLES:
            partitions.ensure_day(connection, parent, TODAY - timedelta(days=age))
    kept = keep_partitions(connection, NOW, Retention(days=90, rollup_days=400))
    assert kept == Kept(made=4 * (DAYS_AHEAD + 2), dropped=2 * 3 + 2 * 1, archived=0)
    oldest = {parent: TODAY - partitions.existing_days(connection, parent)[0] for parent in partitions.DAY_TABLES}
    assert {parent: age.days for parent, age in oldest.items()} == {
        "check_result": 90,
        "ping": 90,
        "rollup_hourly": 400,
        "run_hourly": 400,
    }


@pytest.mark.parametrize("parent", partitions.FACT_TABLES)
def test_rows_that_came_before_their_day_was_made_move_into_it(connection: psycopg.Connection, parent: str) -> None:
    insert_result(connection, NOW)
    connection.execute(
        """INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, method, source_ip, user_agent, body_size, body_truncated)
        VALUES (gen_random_uuid(), 1, 1, %s, 'success', 'GET', '', '', 0, false)""",
        (NOW,),
    )
    assert partitions.ensure_day(connection, parent, TODAY)
    rows = connection.execute(f"SELECT tableoid::regclass::text FROM {parent}").fetchall()
    assert rows == [(f"{parent}_20261123",)]
    indexes = connection.execute("SELECT count(*) FROM pg_indexes WHERE tablename = %s", (f"{parent}_20261123",)).fetchone()
    assert indexes
    assert indexes[0] >= 1
    assert not partitions.ensure_day(connection, parent, TODAY)


def test_the_day_of_a_leap_year_has_its_own_partition(connection: psycopg.Connection) -> None:
    assert partitions.ensure_day(connection, "ping", date(2028, 2, 29))
    assert partitions.existing_days(connection, "ping") == [date(2028, 2, 29)]


def test_sizes_are_told_by_kind_of_data(connection: psycopg.Connection) -> None:
    sizes = storage_sizes(connection)
    assert set(sizes) == {"check_results", "pings", "rollups", "database"}
    assert sizes["database"] > sizes["check_results"] > 0


def test_the_tasks_do_it_and_beat_sends_each_of_them(database_url: str) -> None:
    """In a process of their own, as in a worker; the broker is not needed to do the work."""
    program = """
import core.checker.runtime as runtime
from core.checker.app import app
from core.checker.tasks.expiry import look_up_domains, notify_expiries
from core.checker.tasks.slowness import notify_slowness
from core.checker.tasks.upkeep import aggregate_metrics, cleanup_old_logs
print(",".join(sorted(entry["task"] for entry in app.conf.beat_schedule.values())))
cleanup_old_logs()
aggregate_metrics()
look_up_domains()
notify_expiries()
notify_slowness()
runtime.shut_down()
"""
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("INSERT INTO workspace (id, name, created_at) VALUES (gen_random_uuid(), 'w', now())")
        admin.execute(
            """INSERT INTO monitor (uid, workspace_id, kind, name, tags, created_at, updated_at)
            SELECT gen_random_uuid(), id, 'heartbeat', 'm', '{}', now() - interval '3 hours', now() FROM workspace"""
        )
        now = datetime.now(UTC)
        website = make_website(admin, make_workspace(admin, now), now, domain="example.de")
        record_chains(admin, {website: seen_chain("example.de", now.replace(microsecond=0) + timedelta(days=7))}, now)
        environ = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "RDAP_BOOTSTRAP_URL": "http://127.0.0.1:1/",
        }
        done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        rolled = admin.execute("SELECT count(*) FROM rolled_hour").fetchone()
        assert rolled
        assert rolled[0] >= 1
        assert admin.execute("SELECT alert_type FROM alert").fetchall() == [("certificate_expiring",)]
        assert admin.execute("SELECT name, failures FROM domain").fetchall() == [("example.de", 1)]
    scheduled = done.stdout.splitlines()[0].split(",")
    looks = {"look_up_domains", "notify_expiries", "notify_slowness"}
    assert looks | {"aggregate_metrics", "cleanup_old_logs"} <= set(scheduled) <= set(QUEUE_OF)
