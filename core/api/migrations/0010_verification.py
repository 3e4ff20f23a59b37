"""Channels to a person's address wait until somebody there has answered. Those that exist do not."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """`unverified_since` is null for what needs no answer, and for what has been answered."""

    dependencies: ClassVar = [("uptime", "0009_edge_gaps")]
    operations: ClassVar = [
        migrations.AddField("channel", "unverified_since", models.DateTimeField(null=True)),
        migrations.AddField("channel", "verification_attempts", models.SmallIntegerField(default=0, db_default=0)),
    ]
