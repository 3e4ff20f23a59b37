"""Alerts that are held because many were told before."""

from typing import ClassVar

from django.db import migrations, models

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


class Migration(migrations.Migration):
    """Choices are known to Django only."""

    dependencies: ClassVar = [("uptime", "0013_muted")]
    operations: ClassVar = [
        migrations.AlterField("alert", "held_reason", models.CharField(max_length=20, choices=HELD, blank=True, db_default="")),
    ]
