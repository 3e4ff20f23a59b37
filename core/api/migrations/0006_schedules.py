"""Schedules of heartbeats by cron and OnCalendar, what they tolerate, runs by id, and failures in a row."""

from typing import ClassVar

from django.db import migrations, models

FILL = """
UPDATE heartbeat_state s
SET success_sequence = CASE WHEN s.state = 'down' THEN 0 ELSE s.verdict_sequence END,
    end_sequence = s.verdict_sequence,
    anchor_at = CASE WHEN s.state = 'up' THEN s.last_success_at
                     WHEN s.state = 'new' AND s.start_sequence <= s.verdict_sequence
                     THEN s.deadline_at - make_interval(secs => h.period_s + h.grace_s) END,
    due_at = CASE WHEN s.state = 'up' AND s.deadline_at IS NOT NULL THEN s.last_success_at + make_interval(secs => h.period_s)
                  WHEN s.state = 'new' AND s.start_sequence <= s.verdict_sequence
                  THEN s.deadline_at - make_interval(secs => h.grace_s) END,
    runs = CASE WHEN s.start_sequence > s.verdict_sequence THEN jsonb_build_object(
               'open', jsonb_build_object('', jsonb_build_array(s.start_sequence, (extract(epoch FROM s.last_start_at) * 1000000)::bigint)),
               'ended', '{}'::jsonb) END
FROM heartbeat h
WHERE h.monitor_id = s.monitor_id
"""


class Migration(migrations.Migration):
    """Every column has a default in the database; what is stored of pings so far stays as it was judged."""

    dependencies: ClassVar = [("uptime", "0005_one_fence")]
    operations: ClassVar = [
        migrations.AddField(
            "heartbeat",
            "schedule_kind",
            models.CharField(
                choices=[("period", "Period"), ("cron", "Cron"), ("oncalendar", "Oncalendar")],
                db_default="period",
                default="period",
                max_length=10,
            ),
        ),
        migrations.AddField("heartbeat", "schedule", models.TextField(db_default="", default="")),
        migrations.AddField("heartbeat", "time_zone", models.CharField(db_default="UTC", default="UTC", max_length=64)),
        migrations.AddField("heartbeat", "early_s", models.IntegerField(null=True)),
        migrations.AddField("heartbeat", "max_run_s", models.IntegerField(null=True)),
        migrations.AddField("heartbeat", "min_run_s", models.IntegerField(db_default=0, default=0)),
        migrations.AddField("heartbeat", "failure_threshold", models.SmallIntegerField(db_default=1, default=1)),
        migrations.AddField("heartbeat", "sticky_pause", models.BooleanField(db_default=False, default=False)),
        migrations.AddField("heartbeatstate", "success_sequence", models.BigIntegerField(db_default=0)),
        migrations.AddField("heartbeatstate", "end_sequence", models.BigIntegerField(db_default=0)),
        migrations.AddField("heartbeatstate", "anchor_at", models.DateTimeField(null=True)),
        migrations.AddField("heartbeatstate", "due_at", models.DateTimeField(null=True)),
        migrations.AddField("heartbeatstate", "runs", models.JSONField(null=True)),
        migrations.AddField("heartbeatstate", "failures", models.JSONField(null=True)),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
