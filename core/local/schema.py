"""Brings the database to the schema of this code: `python -m core.local.schema [--create]`, once at each start of a box.

When nothing changed since the last start it costs one query: the migrations' fingerprint is kept as the comment of Django's own
table of migrations, so it travels with a dump and goes with the table. Before a database with content is migrated, it is dumped
to `backups/` in the home.
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import sql

from core import logs
from core.env import Env
from core.local import dump
from core.local.settings import CHECKOUT

MIGRATIONS = CHECKOUT / "core" / "api" / "migrations"
WAIT_S = 60.0
DAYS_AHEAD = 14

log = logs.get_logger(__name__)


def main() -> None:
    """Entry point."""
    logs.configure("schema")
    env = Env(os.environ)
    url = env.url("DATABASE_URL", schemes=("postgres", "postgresql"))
    if "--create" in sys.argv:
        create_database(url)
    bring_up_to_date(url, Path(env.text("UPTIME_HOME")) / "backups")


def bring_up_to_date(url: str, backups: Path) -> bool:
    """Migrate if the schema is not that of this code, and make the partitions of the next days; True if it migrated."""
    with psycopg.connect(url, autocommit=True) as connection:
        wanted = fingerprint()
        found = _stored_fingerprint(connection)
        if found != wanted:
            if found is not None:
                _dump_first(url, backups)
            _migrate()
            connection.execute(sql.SQL("COMMENT ON TABLE django_migrations IS {}").format(wanted))
        for parent in ("check_result", "ping"):
            connection.execute(
                "SELECT ensure_day_partitions(%s, (now() AT TIME ZONE 'UTC')::date - 1, %s)", (parent, DAYS_AHEAD + 2)
            )
    log.info("schema.current", migrated=found != wanted)
    return found != wanted


def fingerprint() -> str:
    """Changes whenever a migration of ours or the version of Django does."""
    digest = hashlib.sha256(version("django").encode())
    for name, text in _migrations():
        digest.update(f"{name}\0{text}\0".encode())
    return f"schema {digest.hexdigest()[:16]}"


def known_migrations() -> set[str]:
    """Our migrations, as Django's table names them."""
    return {f"uptime.{name}" for name, _ in _migrations()}


def _migrations() -> Iterator[tuple[str, str]]:
    for path in sorted(MIGRATIONS.glob("[0-9]*.py")):
        yield path.stem, path.read_text(encoding="utf-8")


def _stored_fingerprint(connection: psycopg.Connection) -> str | None:
    """None for a database that was never migrated, "" for one that was migrated by other means."""
    row = connection.execute(
        """
        SELECT coalesce(obj_description(to_regclass('django_migrations'), 'pg_class'), '')
        WHERE to_regclass('django_migrations') IS NOT NULL
        """
    ).fetchone()
    return str(row[0]) if row else None


def _dump_first(url: str, backups: Path) -> None:
    target = backups / f"before-upgrade-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
    dump.dump(url, target)
    log.info("schema.dumped", file=str(target))


def _migrate() -> None:
    """Django is loaded only here: most starts need none of it."""
    import django  # noqa: PLC0415  (half a second that only an upgrade needs)

    django.setup()
    from core.api.bootstrap import run_migrations  # noqa: PLC0415  (needs Django set up)

    run_migrations()


def create_database(url: str) -> None:
    """Create the database of `url`, unless it is there, on the box's own server, once that answers."""
    name = url.rsplit("/", 1)[-1]
    with _connect_patiently(url.removesuffix(name) + "postgres") as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _connect_patiently(url: str) -> psycopg.Connection:
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=2)
        except psycopg.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    main()
