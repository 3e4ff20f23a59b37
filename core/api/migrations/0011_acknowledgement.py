"""Incidents that somebody has taken on, and monitors that are muted."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """Nullable columns and one with a default: nothing is rewritten, and what runs before does not see them."""

    dependencies: ClassVar = [("uptime", "0010_verification")]
    operations: ClassVar = [
        migrations.AddField("incident", "acknowledged_at", models.DateTimeField(null=True)),
        migrations.AddField("incident", "acknowledged_by", models.CharField(max_length=200, blank=True, db_default="")),
        migrations.AddField("monitor", "muted_until", models.DateTimeField(null=True)),
    ]
