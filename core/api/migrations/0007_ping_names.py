"""Names in ping URLs, options that the edge applies, and what pings say of runs and lost bodies."""

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Func, TextField, Value
from django.db.models.functions import Cast

from core.contracts.slugs import slug_from

PINGS = """
ALTER TABLE ping ADD COLUMN rid uuid, ADD COLUMN body_lost boolean NOT NULL DEFAULT false;
"""


def name_heartbeats(apps, _schema_editor):
    """Slugs for the heartbeats that are there, by age."""
    Monitor = apps.get_model("uptime", "Monitor")
    taken = {}
    for monitor in Monitor.objects.filter(kind="heartbeat").order_by("id").only("id", "name", "workspace_id").iterator():
        names = taken.setdefault(monitor.workspace_id, set())
        slug = slug_from(monitor.name, taken=names)
        names.add(slug)
        Monitor.objects.filter(id=monitor.id).update(slug=slug)


class Migration(migrations.Migration):
    """The ping key of a workspace is random by a default of the database, so that no writer can forget it."""

    dependencies: ClassVar = [("uptime", "0006_schedules")]
    operations: ClassVar = [
        migrations.AddField(
            "workspace",
            "ping_key",
            models.CharField(
                max_length=64,
                unique=True,
                editable=False,
                db_default=Func(
                    Cast(Func(function="gen_random_uuid", output_field=models.UUIDField()), TextField()),
                    Value("-"),
                    Value(""),
                    function="replace",
                    output_field=TextField(),
                ),
            ),
        ),
        migrations.AddField("workspace", "replaced_ping_key", models.CharField(max_length=64, null=True, editable=False)),
        migrations.AddField("workspace", "replaced_ping_key_until", models.DateTimeField(null=True)),
        migrations.AddField("monitor", "slug", models.CharField(max_length=64, null=True)),
        migrations.AddField("heartbeat", "post_only", models.BooleanField(default=False, db_default=False)),
        migrations.AddField("heartbeat", "filters", models.JSONField(null=True)),
        migrations.RunPython(name_heartbeats, migrations.RunPython.noop),
        migrations.AddConstraint("monitor", models.UniqueConstraint(fields=["workspace", "slug"], name="monitor_slug_once")),
        migrations.RunSQL(PINGS),
    ]
