"""Old pings: whole days end, failures and the newest few of each heartbeat stay, and all of them are found in one table."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from core.adapters.store import partitions, ping_archive
from core.domain.retention import Retention
from core.flows.upkeep import archive_pings, keep_partitions, make_ahead
from tests.heartbeats import make_heartbeat

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEEP = Retention(days=90, failure_days=365, pings=3)


def make(connection: psycopg.Connection, name: str) -> int:
    """A heartbeat; returns its monitor id."""
    uid: UUID = make_heartbeat(connection, NOW, name)
    row = connection.execute("SELECT id FROM monitor WHERE uid = %s", (uid,)).fetchone()
    assert row
    return int(row[0])


def ping(connection: psycopg.Connection, monitor_id: int, days_ago: float, kind: str = "success") -> None:
    at = NOW - timedelta(days=days_ago)
    partitions.ensure_day(connection, "ping", at.date())
    connection.execute(
        """INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, method, source_ip, user_agent, body_size, body_truncated, rid,
            started_at, due_at)
        VALUES (gen_random_uuid(), %s, %s, %s, %s, 'GET', '', '', 0, false, gen_random_uuid(), %s, %s)""",
        (monitor_id, 100_000 - int(days_ago * 10), at, kind, at, at),
    )


def ages(connection: psycopg.Connection, monitor_id: int) -> list[tuple[int, str]]:
    """The pings that are there: days ago, and kind, newest first."""
    rows = connection.execute(
        "SELECT pinged_at, kind FROM ping WHERE monitor_id = %s ORDER BY pinged_at DESC", (monitor_id,)
    ).fetchall()
    return [((NOW - at).days, kind) for at, kind in rows]


def homes(connection: psycopg.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT DISTINCT tableoid::regclass::text FROM ping").fetchall()}


def test_of_days_that_end_failures_and_the_newest_of_each_heartbeat_stay(connection: psycopg.Connection) -> None:
    busy, monthly = make(connection, "busy"), make(connection, "monthly")
    for day in (1, 2, 3, 91, 95):
        ping(connection, busy, day)
    ping(connection, busy, 92, "fail")
    for day in (20, 120, 150, 180, 400):
        ping(connection, monthly, day)
    ping(connection, monthly, 364, "fail")
    ping(connection, monthly, 380, "fail")

    assert archive_pings(connection, NOW, KEEP) == (9, 4)
    assert ages(connection, busy) == [(1, "success"), (2, "success"), (3, "success"), (92, "fail")]
    assert ages(connection, monthly) == [(20, "success"), (120, "success"), (150, "success"), (364, "fail")]
    assert min(partitions.existing_days(connection, "ping")) >= (NOW - timedelta(days=90)).date()


def test_the_archive_ages_with_the_days_that_join_it(connection: psycopg.Connection) -> None:
    one = make(connection, "one")
    for day in (91, 92, 93):
        ping(connection, one, day)
    ping(connection, one, 100, "fail")
    assert archive_pings(connection, NOW, KEEP)[1] == 4
    for day in (1, 2):
        ping(connection, one, day)
    ping(connection, one, 89)

    later = NOW + timedelta(days=2)
    assert archive_pings(connection, later, KEEP) == (1, 2)
    assert ages(connection, one) == [(1, "success"), (2, "success"), (89, "success"), (100, "fail")]
    assert archive_pings(connection, later + timedelta(days=300), KEEP)[1] == 3
    assert [kind for _, kind in ages(connection, one)] == ["success"] * 3


def test_what_is_kept_is_kept_whole(connection: psycopg.Connection) -> None:
    one = make(connection, "one")
    ping(connection, one, 91, "fail")
    before = connection.execute("SELECT * FROM ping").fetchall()
    archive_pings(connection, NOW, KEEP)

    assert connection.execute("SELECT * FROM ping").fetchall() == before
    assert homes(connection) == {"ping_archive"}


def test_nothing_is_rebuilt_until_a_day_ends_and_a_second_run_changes_nothing(connection: psycopg.Connection) -> None:
    one = make(connection, "one")
    ping(connection, one, 90)
    assert archive_pings(connection, NOW, KEEP) == (0, None)
    ping(connection, one, 91)
    assert archive_pings(connection, NOW, KEEP) == (1, 1)
    assert archive_pings(connection, NOW, KEEP) == (0, None)
    assert len(ages(connection, one)) == 2


def test_pings_of_deleted_heartbeats_end_with_their_day(connection: psycopg.Connection) -> None:
    gone = make(connection, "gone")
    ping(connection, gone, 91, "fail")
    for table in ("heartbeat_state", "heartbeat"):
        connection.execute(f"DELETE FROM {table} WHERE monitor_id = %s", (gone,))
    connection.execute("DELETE FROM monitor WHERE id = %s", (gone,))

    assert archive_pings(connection, NOW, KEEP) == (1, 0)
    assert ages(connection, gone) == []


def test_strays_that_are_older_than_every_day_join_the_archive(connection: psycopg.Connection) -> None:
    """A ping whose day had no partition is in the DEFAULT one, which an archive with the same range must not meet."""
    one = make(connection, "one")
    ping(connection, one, 91)
    connection.execute(
        """INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, method, source_ip, user_agent, body_size, body_truncated)
        VALUES (gen_random_uuid(), %s, 1, %s, 'fail', 'GET', '', '', 0, false)""",
        (one, NOW - timedelta(days=200)),
    )
    assert archive_pings(connection, NOW, KEEP) == (1, 2)
    assert homes(connection) == {"ping_archive"}


def test_a_ping_that_comes_after_its_day_has_ended_is_taken(connection: psycopg.Connection) -> None:
    one = make(connection, "one")
    ping(connection, one, 95)
    archive_pings(connection, NOW, KEEP)
    connection.execute(
        """INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, method, source_ip, user_agent, body_size, body_truncated)
        VALUES (gen_random_uuid(), %s, 1, %s, 'success', 'GET', '', '', 0, false)""",
        (one, NOW - timedelta(days=92)),
    )
    assert homes(connection) == {"ping_archive"}


def test_the_archive_has_the_indexes_of_pings(connection: psycopg.Connection) -> None:
    """Day after day: names of indexes must not run out."""
    one = make(connection, "one")
    for day in range(4):
        ping(connection, one, 91 - day)
        archive_pings(connection, NOW + timedelta(days=day), KEEP)
    rows = connection.execute(
        """SELECT count(*) FROM pg_index i JOIN pg_inherits p ON p.inhrelid = i.indexrelid
        WHERE i.indrelid = 'ping_archive'::regclass AND i.indisvalid"""
    ).fetchone()
    assert rows == (3,)
    assert len(ages(connection, one)) == 3


def test_a_run_that_fails_keeps_everything(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make(connection, "one")
    ping(connection, one, 91)
    connection.commit()

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    with monkeypatch.context() as patched:
        patched.setattr(partitions, "drop_day", fail)
        with pytest.raises(RuntimeError):
            keep_partitions(connection, NOW, KEEP)
    assert ages(connection, one) == [(91, "success")]
    assert archive_pings(connection, NOW, KEEP) == (1, 1)


def test_what_is_worth_keeping_is_found_in_the_migrated_schema(connection: psycopg.Connection) -> None:
    make_ahead(connection, NOW)
    parameters = {"horizon": NOW, "failures_since": NOW, "newest": 3}
    plan = connection.execute(f"EXPLAIN {ping_archive.WORTH_KEEPING}", parameters).fetchall()
    assert plan
