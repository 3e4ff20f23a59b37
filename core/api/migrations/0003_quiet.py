"""Maintenance windows, dependencies, and alerts that are held or dropped.

A trigger marks the hours that a new, changed or deleted window changes, for the monitors that it changes them for, to the end of the day in
which it ends: days are written from whole hours. Where only the end moved, nothing before it changes. Marks about hours that are not rolled
up yet cost nothing: the next run removes them.
"""

from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import core.api.accounts.models

STALE_WINDOWS = """
ALTER TABLE rollup_stale ADD COLUMN until timestamptz;
CREATE FUNCTION note_stale_window() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    first timestamptz := least(OLD.starts_at, NEW.starts_at);
    last timestamptz := greatest(OLD.ends_at, NEW.ends_at);
    moved boolean := false;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        moved := (OLD.kind, OLD.starts_at, OLD.weekdays, OLD.start_time, OLD.cron, OLD.duration_s, OLD.time_zone)
            IS DISTINCT FROM (NEW.kind, NEW.starts_at, NEW.weekdays, NEW.start_time, NEW.cron, NEW.duration_s, NEW.time_zone);
        IF NOT moved AND OLD.ends_at IS DISTINCT FROM NEW.ends_at THEN
            moved := true;
            IF (OLD.all_monitors, OLD.monitors, OLD.tags) IS NOT DISTINCT FROM (NEW.all_monitors, NEW.monitors, NEW.tags) THEN
                first := least(OLD.ends_at, NEW.ends_at);
            END IF;
        END IF;
    END IF;
    IF (TG_OP <> 'INSERT' AND OLD.ends_at IS NULL) OR (TG_OP <> 'DELETE' AND NEW.ends_at IS NULL) THEN
        last := NULL;
    END IF;
    INSERT INTO rollup_stale (monitor_id, since, until)
    SELECT m.id, first, (date_trunc('day', last AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC'
    FROM monitor m CROSS JOIN LATERAL (
        SELECT coalesce(m.workspace_id = OLD.workspace_id AND (OLD.all_monitors OR m.uid = ANY(OLD.monitors) OR m.tags && OLD.tags),
                        false) AS was_in,
               coalesce(m.workspace_id = NEW.workspace_id AND (NEW.all_monitors OR m.uid = ANY(NEW.monitors) OR m.tags && NEW.tags),
                        false) AS is_in
    ) AS scope
    WHERE m.workspace_id = coalesce(NEW.workspace_id, OLD.workspace_id) AND (was_in <> is_in OR (moved AND is_in));
    RETURN NULL;
END $$;
CREATE TRIGGER maintenance_window_changed AFTER INSERT OR UPDATE OR DELETE ON maintenance_window
    FOR EACH ROW EXECUTE FUNCTION note_stale_window();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("uptime", "0002_facts"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="MaintenanceWindow",
            fields=[
                (
                    "id",
                    models.UUIDField(default=core.api.accounts.models.new_id, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=100)),
                ("kind", models.CharField(choices=[("once", "Once"), ("weekly", "Weekly"), ("cron", "Cron")], max_length=10)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(null=True)),
                (
                    "weekdays",
                    django.contrib.postgres.fields.ArrayField(base_field=models.SmallIntegerField(), default=list, size=None),
                ),
                ("start_time", models.TimeField(null=True)),
                ("cron", models.CharField(blank=True, default="", max_length=100)),
                ("duration_s", models.IntegerField(null=True)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                ("all_monitors", models.BooleanField(default=False)),
                ("monitors", django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None)),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=50), default=list, size=None
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "db_table": "maintenance_window",
            },
        ),
        migrations.RemoveIndex(
            model_name="alert",
            name="alert_not_routed",
        ),
        migrations.AddField(
            model_name="alert",
            name="dropped",
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name="alert",
            name="due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="alert",
            name="held_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("maintenance", "Maintenance"),
                    ("dependency", "Dependency"),
                    ("flapping", "Flapping"),
                    ("paused", "Paused"),
                    ("untold", "Untold"),
                ],
                db_default="",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="incident",
            name="caused_by",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="consequences",
                to="uptime.incident",
            ),
        ),
        migrations.AddField(
            model_name="monitor",
            name="depends_on",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="dependants",
                to="uptime.monitor",
                to_field="uid",
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="monitor",
            field=models.ForeignKey(
                db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name="alerts", to="uptime.monitor"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("due_at__isnull", True), ("routed_at__isnull", True)),
                fields=["created_at"],
                name="alert_not_decided",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False), ("routed_at__isnull", True)), fields=["due_at"], name="alert_held"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["monitor", "routed_at"], name="alert_monitor_routed"),
        ),
        migrations.AddField(
            model_name="maintenancewindow",
            name="workspace",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="maintenance_windows", to="uptime.workspace"
            ),
        ),
        migrations.AddIndex(
            model_name="maintenancewindow",
            index=models.Index(fields=["workspace", "created_at"], name="maintenance_workspace_created"),
        ),
        migrations.RunSQL(STALE_WINDOWS),
    ]
