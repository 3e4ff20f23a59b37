"""PostgreSQL connections for everything outside Django.

Every session runs with UTC, a statement timeout of 30 s and a lock timeout below it: a stuck statement must not hold a lease for ever.
"""

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

STATEMENT_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 10_000
RECONNECT_TIMEOUT_S = 10.0
"""A pool's delay between attempts doubles until it gives up; giving up early bounds how long it sleeps while PostgreSQL is back."""

type Connection = psycopg.Connection[TupleRow]
type Pool = ConnectionPool[psycopg.Connection[TupleRow]]


def open_pool(dsn: str, *, application: str, size: int) -> Pool:
    """A pool that keeps one connection and grows to `size`. `application` shows up in `pg_stat_activity`."""
    return ConnectionPool(
        dsn,
        kwargs={
            "application_name": application,
            "options": f"-c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS}",
        },
        min_size=1,
        max_size=size,
        open=True,
        reconnect_timeout=RECONNECT_TIMEOUT_S,
        check=ConnectionPool.check_connection,
        name=application,
    )
