"""What is known of our own edge: when it was proved to take pings, the gaps in between, and whose items may be orphans there.

A trigger notes deletions, because no writer may forget them: a workspace takes its heartbeats with it.
"""

from typing import ClassVar

from django.db import migrations, models

EDGE = """
CREATE TABLE edge_watch (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    canary_id uuid NOT NULL DEFAULT gen_random_uuid(),
    proved_at timestamptz,
    failing_since timestamptz,
    asked_at timestamptz
);
INSERT INTO edge_watch DEFAULT VALUES;

CREATE TABLE edge_gap (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    silent boolean NOT NULL,
    settled boolean NOT NULL
);
CREATE INDEX edge_gap_ended ON edge_gap (ended_at);
CREATE INDEX edge_gap_unsettled ON edge_gap (began_at) WHERE NOT settled;

CREATE FUNCTION note_edge_orphan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO edge_orphan (heartbeat_id, seen_at) VALUES (OLD.uid, clock_timestamp())
    ON CONFLICT (heartbeat_id) DO UPDATE SET seen_at = excluded.seen_at;
    RETURN NULL;
END $$;
CREATE TRIGGER heartbeat_deleted AFTER DELETE ON monitor
    FOR EACH ROW WHEN (OLD.kind = 'heartbeat') EXECUTE FUNCTION note_edge_orphan();
"""


class Migration(migrations.Migration):
    """Tables, two of which only plain SQL knows."""

    dependencies: ClassVar = [("uptime", "0008_history")]
    operations: ClassVar = [
        migrations.CreateModel(
            "EdgeOrphan",
            fields=[("heartbeat_id", models.UUIDField(primary_key=True, serialize=False)), ("seen_at", models.DateTimeField())],
            options={"db_table": "edge_orphan"},
        ),
        migrations.RunSQL(EDGE, migrations.RunSQL.noop),
    ]
