"""Since when nothing is known of heartbeats, in SQL. Every function works inside the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from core.adapters.database import Connection

NOTE: Final = """
INSERT INTO heartbeat_unknown (monitor_id, since)
SELECT * FROM unnest(%s::bigint[], %s::timestamptz[])
ON CONFLICT DO NOTHING
"""


def note(connection: Connection, unknown: Sequence[tuple[int, datetime]]) -> None:
    """Nothing is known of these monitors from a deadline on that passed in a silence which proves nothing, until their next ping."""
    connection.execute(NOTE, ([monitor_id for monitor_id, _ in unknown], [since for _, since in unknown]))
