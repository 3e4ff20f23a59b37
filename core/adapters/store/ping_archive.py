"""The pings that outlive their day: the partition `ping_archive`, for everything before the oldest day that is kept.

It is made anew whole when a day joins it, from what is worth keeping of the days that end and of itself, and takes the place of all of them
in one transaction. Nobody deletes from it row by row, and its pings are found where all pings are, in the table `ping`.
"""

from datetime import datetime
from typing import Final

from psycopg import sql

from core.adapters.database import Connection
from core.adapters.store import partitions

LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('ping_archive'))"
PATIENCE: Final = "SELECT set_config('statement_timeout', '600s', true)"

WORTH_KEEPING: Final = """
    SELECT p.* FROM ping p
    WHERE p.pinged_at < %(horizon)s AND p.pinged_at >= %(failures_since)s AND p.kind = 'fail'
      AND EXISTS (SELECT FROM heartbeat h WHERE h.monitor_id = p.monitor_id)
    UNION
    SELECT old.*
    FROM heartbeat h
    CROSS JOIN LATERAL (
        SELECT count(*) AS pings FROM (
            SELECT FROM ping r WHERE r.monitor_id = h.monitor_id AND r.pinged_at >= %(horizon)s LIMIT %(newest)s
        ) AS r
    ) AS recent
    CROSS JOIN LATERAL (
        SELECT p.* FROM ping p
        WHERE p.monitor_id = h.monitor_id AND p.pinged_at < %(horizon)s
        ORDER BY p.pinged_at DESC, p.sequence DESC
        LIMIT greatest(%(newest)s - recent.pings, 0)
    ) AS old
    WHERE recent.pings < %(newest)s
"""

_MAKE: Final = "CREATE TABLE ping_archive_new (LIKE ping INCLUDING DEFAULTS INCLUDING INDEXES, CHECK (pinged_at < {horizon}))"
_ALONE: Final = "LOCK TABLE ping IN ACCESS EXCLUSIVE MODE"
_STRAYS: Final = "DELETE FROM ping_default WHERE pinged_at < %s"
_REMOVE: Final = "DROP TABLE IF EXISTS ping_archive"
_RENAME: Final = "ALTER TABLE ping_archive_new RENAME TO ping_archive"
_ATTACH: Final = "ALTER TABLE ping ATTACH PARTITION ping_archive FOR VALUES FROM (MINVALUE) TO ({horizon})"


def lock(connection: Connection) -> None:
    """Be the only one to rebuild the archive until the transaction ends, and allow its statements more time than others have."""
    connection.execute(LOCK)
    connection.execute(PATIENCE)


def rebuild(connection: Connection, horizon: datetime, *, failures_since: datetime, newest: int) -> int:
    """Keep of the days before `horizon` what is worth it, and drop them; returns how many pings the archive holds then.

    Kept are failures since `failures_since`, and of each heartbeat so many of the newest pings that it has `newest` in all. Works inside
    the caller's transaction, which holds `lock`. The table is locked only while the one takes the place of the other: what was pinged
    before `horizon` has long been stored.
    """
    literal = sql.Literal(horizon.isoformat())
    connection.execute(sql.SQL(_MAKE).format(horizon=literal))
    keep = sql.SQL("INSERT INTO ping_archive_new {worth}").format(worth=sql.SQL(WORTH_KEEPING))
    kept = connection.execute(keep, {"horizon": horizon, "failures_since": failures_since, "newest": newest}).rowcount
    connection.execute(_ALONE)
    for day in partitions.existing_days(connection, "ping"):
        if partitions.beginning(day) < horizon:
            partitions.drop_day(connection, "ping", day)
    connection.execute(_STRAYS, (horizon,))
    connection.execute(_REMOVE)
    connection.execute(_RENAME)
    connection.execute(sql.SQL(_ATTACH).format(horizon=literal))
    return kept
