"""Alerts may be held because their monitor is muted."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One more choice, which is no change to the database."""

    dependencies: ClassVar = [("uptime", "0012_routes")]
    operations: ClassVar = [
        migrations.AlterField(
            "alert",
            "held_reason",
            models.CharField(
                max_length=20,
                choices=[
                    ("maintenance", "Maintenance"),
                    ("dependency", "Dependency"),
                    ("flapping", "Flapping"),
                    ("paused", "Paused"),
                    ("muted", "Muted"),
                    ("quiet_hours", "Quiet Hours"),
                    ("delayed", "Delayed"),
                    ("untold", "Untold"),
                ],
                blank=True,
                db_default="",
            ),
        ),
    ]
