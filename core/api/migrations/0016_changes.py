"""What a heartbeat was from when on, as one list. The rank tells changes of one moment apart, in the order in which they count."""

from typing import ClassVar

from django.db import migrations

CHANGES = """
CREATE VIEW heartbeat_change AS
SELECT monitor_id, ended_at AS at, 1 AS rank, 'resumed' AS change, NULL::uuid AS incident_id FROM monitor_pause WHERE ended_at IS NOT NULL
UNION ALL
SELECT monitor_id, resolved_at, 2, 'up', id FROM incident WHERE resolved_at IS NOT NULL
UNION ALL
SELECT monitor_id, since, 3, 'unknown', NULL FROM heartbeat_unknown
UNION ALL
SELECT monitor_id, began_at, 4, 'down', id FROM incident
UNION ALL
SELECT monitor_id, began_at, 5, 'paused', NULL FROM monitor_pause
"""


class Migration(migrations.Migration):
    """A view that only reads."""

    dependencies: ClassVar = [("uptime", "0015_unknown_silence")]
    operations: ClassVar = [migrations.RunSQL(CHANGES, "DROP VIEW heartbeat_change")]
