"""Day partitions of the fact tables and of the hourly rollups, and what tables weigh.

A DEFAULT partition stands behind the days, so that no row is ever refused. PostgreSQL will not make a day whose rows are already in
there, so such strays are moved into their day as it is made.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from psycopg import sql

from core.adapters.database import Connection

FACT_TABLES: Final = ("check_result", "ping")
ROLLUP_TABLES: Final = ("rollup_hourly", "run_hourly")
DAY_TABLES: Final = (*FACT_TABLES, *ROLLUP_TABLES)

TIME_COLUMN: Final = {"check_result": "checked_at", "ping": "pinged_at", "rollup_hourly": "hour", "run_hourly": "hour"}

ENSURE: Final = "SELECT ensure_day_partitions(%(parent)s, %(day)s::date, 1)"

EXISTING_DAYS: Final = """
    SELECT child.relname
    FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(%(parent)s) AND child.relname ~ '_[0-9]{8}$'
    ORDER BY child.relname
"""

SIZES: Final = """
    SELECT 'check_results', coalesce(sum(pg_total_relation_size(relid)), 0)::bigint FROM pg_partition_tree('check_result')
    UNION ALL
    SELECT 'pings', coalesce(sum(pg_total_relation_size(relid)), 0)::bigint FROM pg_partition_tree('ping')
    UNION ALL
    SELECT 'rollups', (SELECT coalesce(sum(pg_total_relation_size(relid)), 0)
                       FROM unnest(ARRAY['rollup_hourly', 'run_hourly']) AS parent, pg_partition_tree(parent::regclass))::bigint
                      + pg_total_relation_size('rollup_daily')
    UNION ALL
    SELECT 'database', pg_database_size(current_database())
"""


def existing_days(connection: Connection, parent: str) -> list[date]:
    """The days that have a partition of `parent`, ascending."""
    rows = connection.execute(EXISTING_DAYS, {"parent": parent}).fetchall()
    return [datetime.strptime(row[0][-8:], "%Y%m%d").replace(tzinfo=UTC).date() for row in rows]


def ensure_day(connection: Connection, parent: str, day: date) -> bool:
    """Make the partition of one day, moving strays from the DEFAULT partition into it; False if it was there."""
    if day in existing_days(connection, parent):
        return False
    if _has_strays(connection, parent, day):
        _adopt_strays(connection, parent, day)
    else:
        connection.execute(ENSURE, {"parent": parent, "day": day})
    return True


def drop_day(connection: Connection, parent: str, day: date) -> None:
    """Remove a day with its rows; needs the parent's lock for a moment."""
    connection.execute(sql.SQL("DROP TABLE {}").format(_child(parent, day)))


def sizes(connection: Connection) -> dict[str, int]:
    """Bytes on disk by kind of data: `check_results`, `pings`, `rollups`, `database` (all of it)."""
    return dict(connection.execute(SIZES).fetchall())


def _has_strays(connection: Connection, parent: str, day: date) -> bool:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {default} WHERE {column} >= %s AND {column} < %s)")
    row = connection.execute(query.format(default=_default(parent), column=_column(parent)), _bounds(day)).fetchone()
    return bool(row and row[0])


def _adopt_strays(connection: Connection, parent: str, day: date) -> None:
    """Fill a table of the parent's shape, then attach it; the lock keeps new strays out in between."""
    names = {
        "parent": sql.Identifier(parent),
        "child": _child(parent, day),
        "default": _default(parent),
        "column": _column(parent),
    }
    first, last = _bounds(day)
    connection.execute(sql.SQL("LOCK TABLE {parent} IN ACCESS EXCLUSIVE MODE").format(**names))
    connection.execute(sql.SQL("CREATE TABLE {child} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(**names))
    move = """
        WITH moved AS (DELETE FROM {default} WHERE {column} >= %s AND {column} < %s RETURNING *)
        INSERT INTO {child} SELECT * FROM moved
    """
    connection.execute(sql.SQL(move).format(**names), (first, last))
    attach = "ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES FROM ({first}) TO ({last})"
    connection.execute(sql.SQL(attach).format(**names, first=sql.Literal(first.isoformat()), last=sql.Literal(last.isoformat())))


def beginning(day: date) -> datetime:
    """The first moment of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _bounds(day: date) -> tuple[datetime, datetime]:
    first = beginning(day)
    return first, first + timedelta(days=1)


def _child(parent: str, day: date) -> sql.Identifier:
    return sql.Identifier(f"{parent}_{day:%Y%m%d}")


def _default(parent: str) -> sql.Identifier:
    return sql.Identifier(f"{parent}_default")


def _column(parent: str) -> sql.Identifier:
    return sql.Identifier(TIME_COLUMN[parent])
