"""Who has an account on this box."""

import psycopg


def count(url: str) -> int:
    """The number of users."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM account").fetchone()
    return int(row[0]) if row else 0


def exists(url: str, email: str) -> bool:
    """Whether somebody is registered with this address."""
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1 FROM account WHERE email = %s", (email,)).fetchone() is not None
