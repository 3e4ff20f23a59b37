"""What is told less often: outages of a monitor that was told often, and many alerts for one channel at once."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

import core.api.accounts.models

HELD = [
    ("maintenance", "Maintenance"),
    ("dependency", "Dependency"),
    ("flapping", "Flapping"),
    ("paused", "Paused"),
    ("muted", "Muted"),
    ("quiet_hours", "Quiet Hours"),
    ("delayed", "Delayed"),
    ("untold", "Untold"),
    ("throttled", "Throttled"),
]
CASCADE = django.db.models.deletion.CASCADE
IS_OPEN = models.Q(closed_at__isnull=True)


class Migration(migrations.Migration):
    """A new table, nullable columns and some with a default: nothing is rewritten, and what runs before does not see them."""

    dependencies: ClassVar = [("uptime", "0013_muted")]
    operations: ClassVar = [
        migrations.AlterField("alert", "held_reason", models.CharField(max_length=20, choices=HELD, blank=True, db_default="")),
        migrations.AddField("workspace", "group_after", models.SmallIntegerField(db_default=5)),
        migrations.AddField("workspace", "group_within_s", models.SmallIntegerField(db_default=60)),
        migrations.AddField("channel", "paced_until", models.DateTimeField(null=True)),
        migrations.CreateModel(
            "AlertGroup",
            [
                (
                    "id",
                    models.UUIDField(primary_key=True, default=core.api.accounts.models.new_id, editable=False, serialize=False),
                ),
                ("opened_at", models.DateTimeField()),
                ("folded_at", models.DateTimeField()),
                ("due_at", models.DateTimeField()),
                ("revision", models.IntegerField(db_default=0)),
                ("told_at", models.DateTimeField(null=True)),
                ("posts", models.IntegerField(db_default=0)),
                ("posted_revision", models.IntegerField(db_default=0)),
                ("posted_at", models.DateTimeField(null=True)),
                ("last_delivery_id", models.UUIDField(null=True)),
                ("closed_at", models.DateTimeField(null=True)),
                ("workspace", models.ForeignKey("uptime.workspace", CASCADE, related_name="alert_groups")),
                ("channel", models.ForeignKey("uptime.channel", CASCADE, related_name="alert_groups", db_index=False)),
            ],
            options={
                "db_table": "alert_group",
                "constraints": [models.UniqueConstraint(fields=["channel"], condition=IS_OPEN, name="alert_group_one_open")],
                "indexes": [
                    models.Index(fields=["channel"], name="alert_group_channel"),
                    models.Index(fields=["due_at"], condition=IS_OPEN, name="alert_group_due"),
                ],
            },
        ),
        migrations.AddField(
            "delivery",
            "group",
            models.ForeignKey(
                "uptime.alertgroup",
                django.db.models.deletion.SET_NULL,
                null=True,
                related_name="deliveries",
                db_index=False,
            ),
        ),
        migrations.AddField("delivery", "group_revision", models.IntegerField(null=True)),
        migrations.AddIndex(
            "delivery", models.Index(fields=["group"], condition=models.Q(group__isnull=False), name="delivery_group")
        ),
    ]
