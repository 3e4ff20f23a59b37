"""Domains whose end is watched, in SQL: one row for each, however many websites watch it. Inside the caller's transaction."""

from datetime import datetime, timedelta
from typing import Final

from core.adapters.database import Connection

ADD: Final = """
    INSERT INTO domain (name, next_at)
    SELECT DISTINCT w.domain, %(now)s::timestamptz FROM website w JOIN monitor m ON m.id = w.monitor_id
    WHERE w.domain IS NOT NULL AND m.paused_at IS NULL
    ON CONFLICT (name) DO NOTHING
"""

DROP: Final = "DELETE FROM domain d WHERE NOT EXISTS (SELECT FROM website w WHERE w.domain = d.name)"

CLAIM: Final = """
    UPDATE domain d SET next_at = %(now)s::timestamptz + %(lease)s::interval
    WHERE d.name = (
        SELECT name FROM domain c
        WHERE c.next_at <= %(now)s::timestamptz AND EXISTS (
            SELECT FROM website w JOIN monitor m ON m.id = w.monitor_id WHERE w.domain = c.name AND m.paused_at IS NULL
        )
        ORDER BY c.next_at LIMIT 1 FOR UPDATE SKIP LOCKED
    )
    RETURNING d.name, d.failures
"""

ANSWERED: Final = """
    UPDATE domain SET ends_at = %(ends_at)s::timestamptz, registrar = %(registrar)s::text, server = %(server)s::text, failure = '',
        failures = 0, answered_at = %(now)s::timestamptz, asked_at = %(now)s::timestamptz, next_at = %(next_at)s::timestamptz,
        paused_until = NULL
    WHERE name = %(name)s::text
"""

FAILED: Final = """
    UPDATE domain SET failure = %(failure)s::text, failures = failures + 1, server = %(server)s::text, asked_at = %(now)s::timestamptz,
        next_at = %(next_at)s::timestamptz, paused_until = coalesce(%(paused_until)s::timestamptz, paused_until)
    WHERE name = %(name)s::text
"""

POSTPONE: Final = "UPDATE domain SET next_at = %(next_at)s::timestamptz WHERE name = %(name)s::text"

PAUSED: Final = """
    SELECT server, max(paused_until) FROM domain WHERE paused_until > %(now)s::timestamptz GROUP BY server
"""


def keep_in_step(connection: Connection, now: datetime) -> None:
    """Add domains that somebody has begun to watch, drop those that nobody watches any more."""
    connection.execute(DROP)
    connection.execute(ADD, {"now": now})


def claim(connection: Connection, now: datetime, lease: timedelta) -> tuple[str, int] | None:
    """Take the domain that is due the longest: its name and its failures in a row. Nobody else gets it within `lease`."""
    row = connection.execute(CLAIM, {"now": now, "lease": lease}).fetchone()
    return (row[0], row[1]) if row else None


def answered(
    connection: Connection, name: str, *, server: str, ends_at: datetime, registrar: str, now: datetime, next_at: datetime
) -> None:
    """The registry said when the registration ends."""
    values = {"name": name, "server": server, "ends_at": ends_at, "registrar": registrar, "now": now, "next_at": next_at}
    connection.execute(ANSWERED, values)


def failed(
    connection: Connection,
    name: str,
    *,
    server: str,
    failure: str,
    now: datetime,
    next_at: datetime,
    paused_until: datetime | None = None,
) -> None:
    """It did not; what it said before stays. `paused_until`: it wants to be left alone until then."""
    values = {"name": name, "server": server, "failure": failure, "now": now, "next_at": next_at, "paused_until": paused_until}
    connection.execute(FAILED, values)


def postpone(connection: Connection, name: str, next_at: datetime) -> None:
    """Ask later, which is nobody's failure."""
    connection.execute(POSTPONE, {"name": name, "next_at": next_at})


def paused_servers(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Servers that want to be left alone, and until when."""
    return {row[0]: row[1] for row in connection.execute(PAUSED, {"now": now})}
