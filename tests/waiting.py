"""Waiting for a condition with a deadline, never for luck."""

import time
from collections.abc import Callable

import psycopg

GIVE_UP_S = 20.0


def until[T](condition: Callable[[], T], timeout_s: float = 15.0, every_s: float = 0.02) -> T:
    """The first truthy value of `condition`; fails when there is none in time."""
    give_up = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < give_up, f"nothing happened within {timeout_s:.0f} s"
        time.sleep(every_s)


def blocked_backends(dsn: str, at_least: int = 1) -> None:
    """Return once `at_least` sessions of the database wait for a lock."""
    give_up = time.monotonic() + GIVE_UP_S
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            row = connection.execute(query).fetchone()
            if row and row[0] >= at_least:
                return
            assert time.monotonic() < give_up, "nobody waits for a lock"
            time.sleep(0.01)
