"""When silence of a heartbeat proves nothing: what uptime counts as unknown from then on, until its next ping.

A trigger marks the hours behind it, as for incidents: the verdict comes when the gap of ours is over, hours later perhaps.
"""

from typing import ClassVar

from django.db import migrations

UNKNOWN = """
CREATE TABLE heartbeat_unknown (
    monitor_id bigint NOT NULL REFERENCES monitor ON DELETE CASCADE,
    since timestamptz NOT NULL,
    PRIMARY KEY (monitor_id, since)
);
CREATE FUNCTION note_stale_since() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rollup_stale (monitor_id, since) VALUES (NEW.monitor_id, NEW.since);
    RETURN NULL;
END $$;
CREATE TRIGGER heartbeat_unknown_noted AFTER INSERT ON heartbeat_unknown FOR EACH ROW EXECUTE FUNCTION note_stale_since();
"""


class Migration(migrations.Migration):
    """A table that only plain SQL knows."""

    dependencies: ClassVar = [("uptime", "0014_storms")]
    operations: ClassVar = [migrations.RunSQL(UNKNOWN, migrations.RunSQL.noop)]
