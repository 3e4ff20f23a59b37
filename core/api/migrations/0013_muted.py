"""Alerts may be held because their monitor is muted."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One more choice, which is no change to the database."""

    dependencies: ClassVar = [("uptime", "0011_acknowledgement")]
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
                    ("untold", "Untold"),
                ],
                blank=True,
                db_default="",
            ),
        ),
    ]
