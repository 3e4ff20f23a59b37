"""The uptime of one monitor over any range, from rollups and, where these do not reach, from facts. Reads only."""

from datetime import datetime

from core.adapters.database import Connection
from core.adapters.store import maintenance as windows
from core.adapters.store import uptime as store
from core.domain.maintenance import spans_by_window
from core.domain.uptime import Span, Tally, floor_hour, pieces


def measure_uptime(connection: Connection, monitor_id: int, created_at: datetime, span: Span) -> Tally:
    """How long the monitor was what within `span` (as `core.domain.uptime.counted_range` gives it)."""
    rolled_until = store.rolled_until(connection) or floor_hour(created_at)
    parts = pieces(span, rolled_until)
    tally = Tally()
    if parts.days or parts.hours:
        tally = store.from_rollups(connection, monitor_id, parts.days, parts.hours)
    for part in parts.facts:
        maintenance = spans_by_window(windows.of_monitor(connection, monitor_id, part), part)
        tally += store.from_facts(connection, monitor_id, part, min(floor_hour(part.start), rolled_until), maintenance)
    return tally
