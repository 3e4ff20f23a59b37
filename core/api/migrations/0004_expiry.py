"""Certificates that websites showed, domains whose end is watched, and which ends people were told of."""

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

NOTICES = """
CREATE TABLE expiry_notice (
    monitor_id bigint NOT NULL REFERENCES monitor ON DELETE CASCADE,
    subject text NOT NULL,
    step smallint NOT NULL,
    ends_at timestamptz NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (monitor_id, subject)
);
CREATE INDEX expiry_notice_ends ON expiry_notice (ends_at);
"""


class Migration(migrations.Migration):
    """`expiry_notice.step` is the least of the steps in days that people were told of; `subject` names the certificate or the domain."""

    dependencies: ClassVar = [("uptime", "0003_quiet")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="Certificate",
            fields=[
                (
                    "monitor",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="certificate",
                        serialize=False,
                        to="uptime.monitor",
                    ),
                ),
                ("host", models.CharField(max_length=253)),
                ("port", models.IntegerField()),
                ("digest", models.CharField(max_length=64)),
                ("fingerprint", models.CharField(max_length=64)),
                ("not_before", models.DateTimeField()),
                ("not_after", models.DateTimeField(db_index=True)),
                ("verified", models.BooleanField()),
                ("error", models.TextField()),
                ("chain", models.JSONField()),
                ("first_seen_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField()),
            ],
            options={"db_table": "certificate"},
        ),
        migrations.CreateModel(
            name="Domain",
            fields=[
                ("name", models.CharField(max_length=253, primary_key=True, serialize=False)),
                ("ends_at", models.DateTimeField(null=True)),
                ("registrar", models.TextField(db_default="")),
                ("failure", models.TextField(db_default="")),
                ("failures", models.IntegerField(db_default=0)),
                ("server", models.TextField(db_default="")),
                ("answered_at", models.DateTimeField(null=True)),
                ("asked_at", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField(db_index=True)),
                ("paused_until", models.DateTimeField(null=True)),
            ],
            options={"db_table": "domain"},
        ),
        migrations.AddField(model_name="website", name="certificate_notices", field=models.BooleanField(db_default=True)),
        migrations.AddField(model_name="website", name="domain", field=models.CharField(max_length=253, null=True)),
        migrations.AddIndex(
            model_name="website",
            index=models.Index(condition=models.Q(("domain__isnull", False)), fields=["domain"], name="website_domain"),
        ),
        migrations.RunSQL(NOTICES),
    ]
