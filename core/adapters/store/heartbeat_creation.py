"""Rows of a heartbeat that a ping created. Works inside the caller's transaction."""

from datetime import datetime
from typing import Final
from uuid import UUID

from core.adapters.database import Connection
from core.adapters.store.heartbeat_rows import recurrence_columns
from core.contracts.events import HeartbeatCreation
from core.domain.recurrence import Recurrence

CREATE_MONITOR: Final = """
INSERT INTO monitor (uid, workspace_id, kind, name, slug, tags, created_at, updated_at)
SELECT %(uid)s::uuid, w.id, 'heartbeat', %(name)s::text, %(slug)s::text, %(tags)s::text[], %(now)s::timestamptz, %(now)s::timestamptz
FROM workspace w WHERE w.id = %(workspace)s
ON CONFLICT DO NOTHING
RETURNING id
"""

IS_THERE: Final = "SELECT FROM monitor WHERE uid = %s"

CREATE_HEARTBEAT: Final = """
INSERT INTO heartbeat (monitor_id, schedule_kind, period_s, schedule, time_zone, grace_s, config_version)
VALUES (%(monitor)s, %(schedule_kind)s, %(period_s)s, %(schedule)s, %(time_zone)s, %(grace_s)s, 1)
"""

CREATE_STATE: Final = "INSERT INTO heartbeat_state (monitor_id) VALUES (%s)"


def create(
    connection: Connection, uid: UUID, workspace_id: UUID, creation: HeartbeatCreation, *, recurrence: Recurrence, now: datetime
) -> bool:
    """Make the rows of a heartbeat; False if it is there already, or its workspace is not.

    Where another one has its slug, which the edge rules out, it is made without: its pings must not be lost.
    """
    values = {"uid": uid, "workspace": workspace_id, "name": creation.slug, "tags": creation.tags, "now": now}
    row = connection.execute(CREATE_MONITOR, values | {"slug": creation.slug}).fetchone()
    if row is None and connection.execute(IS_THERE, (uid,)).fetchone() is None:
        row = connection.execute(CREATE_MONITOR, values | {"slug": None}).fetchone()
    if row is None:
        return False
    columns = recurrence_columns(recurrence, now)
    connection.execute(CREATE_HEARTBEAT, columns | {"monitor": row[0], "grace_s": creation.grace_s})
    connection.execute(CREATE_STATE, (row[0],))
    return True
