"""The fact tables, partitioned by day, and what the hot tables need beyond Django's schema.

Partitions are made ahead by `ensure_day_partitions`; the DEFAULT partition behind them catches what nothing else takes, so a
forgotten partition never loses a row.
"""

from typing import ClassVar

from django.db import migrations

FACTS = """
CREATE TABLE check_result (
    monitor_id bigint NOT NULL,
    checked_at timestamptz NOT NULL,
    total_us integer,
    dns_us integer,
    connect_us integer,
    tls_us integer,
    first_byte_us integer,
    outcome smallint NOT NULL,
    reason smallint NOT NULL,
    status_code smallint
) PARTITION BY RANGE (checked_at);
CREATE INDEX check_result_monitor ON check_result (monitor_id);
CREATE TABLE check_result_default PARTITION OF check_result DEFAULT;

CREATE TABLE ping (
    id uuid NOT NULL,
    monitor_id bigint NOT NULL,
    sequence bigint NOT NULL,
    pinged_at timestamptz NOT NULL,
    exit_status bigint,
    body_size integer NOT NULL,
    body_truncated boolean NOT NULL,
    kind text NOT NULL,
    method text NOT NULL,
    source_ip text NOT NULL,
    user_agent text NOT NULL,
    PRIMARY KEY (id, pinged_at)
) PARTITION BY RANGE (pinged_at);
CREATE INDEX ping_monitor ON ping (monitor_id, pinged_at);
CREATE TABLE ping_default PARTITION OF ping DEFAULT;
"""

ENSURE_DAY_PARTITIONS = """
CREATE FUNCTION ensure_day_partitions(parent text, first_day date, days integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    day date;
    child text;
    made integer := 0;
BEGIN
    FOR day IN SELECT generate_series(first_day, first_day + days - 1, interval '1 day')::date LOOP
        child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
        IF to_regclass(child) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                child, parent, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
            );
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;
"""

HOT_TABLES = """
ALTER TABLE website_state SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE heartbeat_state SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX website_state_due ON website_state (next_check_at) WHERE next_check_at IS NOT NULL;
CREATE INDEX heartbeat_state_due ON heartbeat_state (deadline_at) WHERE deadline_at IS NOT NULL;
"""


class Migration(migrations.Migration):
    """Not reversible on purpose: dropping facts is never an upgrade step."""

    dependencies: ClassVar = [("uptime", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(FACTS),
        migrations.RunSQL(ENSURE_DAY_PARTITIONS),
        migrations.RunSQL(HOT_TABLES),
    ]
