"""Routes of alerts, what is still to be told of outages that last, and how much a monitor matters."""

from typing import ClassVar

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import core.api.accounts.models


def _words(length: int) -> django.contrib.postgres.fields.ArrayField:
    return django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=length), default=list, size=None)


class Migration(migrations.Migration):
    """New tables, and columns with a default: nothing is rewritten. The index on alerts holds almost none of them."""

    dependencies: ClassVar = [("uptime", "0011_acknowledgement")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="AlertRoute",
            fields=[
                (
                    "id",
                    models.UUIDField(default=core.api.accounts.models.new_id, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=100)),
                ("position", models.IntegerField()),
                ("enabled", models.BooleanField(default=True)),
                ("monitors", django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None)),
                ("tags", _words(50)),
                ("kinds", _words(10)),
                ("topics", _words(10)),
                ("severities", _words(10)),
                ("steps", models.JSONField()),
                ("repeat_s", models.IntegerField(null=True)),
                ("quiet_hours", models.JSONField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="routes",
                        to="uptime.workspace",
                    ),
                ),
            ],
            options={"db_table": "alert_route"},
        ),
        migrations.AddIndex("alertroute", models.Index(fields=["workspace", "position", "id"], name="alert_route_in_order")),
        migrations.CreateModel(
            name="AlertStep",
            fields=[
                (
                    "incident",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="next_step",
                        serialize=False,
                        to="uptime.incident",
                    ),
                ),
                ("due_at", models.DateTimeField(db_index=True)),
                ("told_at", models.DateTimeField()),
                ("reminded_at", models.DateTimeField()),
            ],
            options={"db_table": "alert_step"},
        ),
        migrations.AddField(
            "monitor",
            "severity",
            models.CharField(
                choices=[("critical", "Critical"), ("warning", "Warning"), ("info", "Info")],
                db_default="critical",
                default="critical",
                max_length=10,
            ),
        ),
        migrations.AddField("alert", "chosen_by", models.CharField(blank=True, db_default="", max_length=10)),
        migrations.AddField("alert", "route_name", models.CharField(blank=True, db_default="", max_length=100)),
        migrations.AlterField(
            "alert",
            "held_reason",
            models.CharField(
                blank=True,
                choices=[
                    ("maintenance", "Maintenance"),
                    ("dependency", "Dependency"),
                    ("flapping", "Flapping"),
                    ("paused", "Paused"),
                    ("quiet_hours", "Quiet Hours"),
                    ("delayed", "Delayed"),
                    ("untold", "Untold"),
                ],
                db_default="",
                max_length=20,
            ),
        ),
        migrations.AddIndex(
            "alert",
            models.Index(
                fields=["order_key"],
                condition=models.Q(alert_type__in=["not_monitored", "monitored_again"]),
                name="alert_of_gap",
            ),
        ),
    ]
