"""Pings with the start of their run, and when they were due; rollups of how long runs took and how far from its time each success came."""

from typing import ClassVar

from django.db import migrations

RUNS = """
ALTER TABLE ping ADD COLUMN started_at timestamptz, ADD COLUMN due_at timestamptz;

CREATE TABLE run_hourly (
    monitor_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    duration_sum_us bigint NOT NULL,
    duration_min_us bigint,
    duration_max_us bigint,
    drift_sum_us bigint NOT NULL,
    distance_sum_us bigint NOT NULL,
    distance_min_us bigint,
    distance_max_us bigint,
    successes integer NOT NULL,
    failures integer NOT NULL,
    durations integer NOT NULL,
    distances integer NOT NULL,
    duration_buckets smallint[] NOT NULL,
    duration_counts integer[] NOT NULL,
    distance_buckets smallint[] NOT NULL,
    distance_counts integer[] NOT NULL,
    PRIMARY KEY (monitor_id, hour)
) PARTITION BY RANGE (hour);
CREATE TABLE run_hourly_default PARTITION OF run_hourly DEFAULT;

CREATE TABLE run_daily (
    monitor_id bigint NOT NULL REFERENCES monitor ON DELETE CASCADE,
    day date NOT NULL,
    duration_sum_us bigint NOT NULL,
    duration_min_us bigint,
    duration_max_us bigint,
    drift_sum_us bigint NOT NULL,
    distance_sum_us bigint NOT NULL,
    distance_min_us bigint,
    distance_max_us bigint,
    successes integer NOT NULL,
    failures integer NOT NULL,
    durations integer NOT NULL,
    distances integer NOT NULL,
    duration_buckets smallint[] NOT NULL,
    duration_counts integer[] NOT NULL,
    distance_buckets smallint[] NOT NULL,
    distance_counts integer[] NOT NULL,
    PRIMARY KEY (monitor_id, day)
);
"""


class Migration(migrations.Migration):
    """Pings that are stored already have none of these: how long their runs took is not known."""

    dependencies: ClassVar = [("uptime", "0007_ping_names")]
    operations: ClassVar = [migrations.RunSQL(RUNS)]
