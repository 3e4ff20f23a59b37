"""After how many slow checks in a row people are told, and of which websites they were."""

from typing import ClassVar

from django.db import migrations, models

SLOW = """
CREATE TABLE slow_website (
    monitor_id bigint PRIMARY KEY REFERENCES monitor ON DELETE CASCADE,
    since timestamptz NOT NULL,
    told_at timestamptz NOT NULL,
    order_key uuid NOT NULL
)
"""


class Migration(migrations.Migration):
    """A new table and a column with a default: nothing is rewritten, and what runs before does not see them."""

    dependencies: ClassVar = [("uptime", "0016_changes")]
    operations: ClassVar = [
        migrations.AddField("website", "degraded_threshold", models.SmallIntegerField(default=0, db_default=0)),
        migrations.RunSQL(SLOW, "DROP TABLE slow_website"),
    ]
