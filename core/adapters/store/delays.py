"""How far behind we are: what should have happened by now and has not."""

from datetime import datetime
from typing import Final

from core.adapters.database import Connection

CHECKS: Final = """
SELECT extract(epoch FROM %(now)s::timestamptz - min(next_check_at))::float8 FROM website_state WHERE next_check_at IS NOT NULL
"""

SILENCE: Final = """
SELECT extract(epoch FROM %(now)s::timestamptz - min(s.deadline_at))::float8
FROM heartbeat_state s JOIN monitor m ON m.id = s.monitor_id
WHERE s.deadline_at IS NOT NULL AND s.state <> 'down' AND m.paused_at IS NULL
"""


def check_delay_s(connection: Connection, now: datetime) -> float:
    """Seconds since the check that has waited longest was due; 0 when nobody waits."""
    return _seconds(connection, CHECKS, now)


def silence_delay_s(connection: Connection, now: datetime) -> float:
    """Seconds since the deadline that passed first and about which nobody has decided; 0 when there is none."""
    return _seconds(connection, SILENCE, now)


def _seconds(connection: Connection, statement: str, now: datetime) -> float:
    row = connection.execute(statement, {"now": now}).fetchone()
    return max(float(row[0]), 0.0) if row and row[0] is not None else 0.0
