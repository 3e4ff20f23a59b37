"""The fact tables, partitioned by day, and what the hot tables need beyond Django's schema.

Partitions are made ahead by `ensure_day_partitions`; the DEFAULT partition behind them catches what nothing else takes, so a
forgotten partition never loses a row.

Rollups are made of the facts by `core.flows.rollups`. Two triggers keep what they need and no writer may forget: when a monitor was
paused, and which monitors' hours an incident has changed after the fact.
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

HISTORY = """
CREATE INDEX check_result_time ON check_result USING brin (checked_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX ping_time ON ping USING brin (pinged_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX incident_resolved ON incident (resolved_at);

CREATE TABLE rollup_hourly (
    monitor_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    response_sum_us bigint NOT NULL,
    up_ms integer NOT NULL,
    down_ms integer NOT NULL,
    unknown_ms integer NOT NULL,
    maintenance_ms integer NOT NULL,
    results integer NOT NULL,
    responses integer NOT NULL,
    response_min_us integer,
    response_max_us integer,
    last_known boolean NOT NULL,
    buckets smallint[] NOT NULL,
    bucket_counts integer[] NOT NULL,
    PRIMARY KEY (monitor_id, hour)
) PARTITION BY RANGE (hour);
CREATE TABLE rollup_hourly_default PARTITION OF rollup_hourly DEFAULT;

CREATE TABLE rollup_daily (
    monitor_id bigint NOT NULL REFERENCES monitor ON DELETE CASCADE,
    day date NOT NULL,
    response_sum_us bigint NOT NULL,
    up_ms integer NOT NULL,
    down_ms integer NOT NULL,
    unknown_ms integer NOT NULL,
    maintenance_ms integer NOT NULL,
    results integer NOT NULL,
    responses integer NOT NULL,
    response_min_us integer,
    response_max_us integer,
    buckets smallint[] NOT NULL,
    bucket_counts integer[] NOT NULL,
    PRIMARY KEY (monitor_id, day)
);

CREATE TABLE rolled_hour (
    hour timestamptz PRIMARY KEY,
    facts bigint NOT NULL,
    rolled_at timestamptz NOT NULL
);

CREATE TABLE rollup_stale (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    monitor_id bigint NOT NULL REFERENCES monitor ON DELETE CASCADE,
    since timestamptz NOT NULL
);
CREATE FUNCTION note_stale_rollups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rollup_stale (monitor_id, since)
    VALUES (NEW.monitor_id, CASE TG_OP WHEN 'INSERT' THEN NEW.began_at
            ELSE least(coalesce(OLD.resolved_at, NEW.resolved_at), coalesce(NEW.resolved_at, OLD.resolved_at)) END);
    RETURN NULL;
END $$;
CREATE TRIGGER incident_began AFTER INSERT ON incident FOR EACH ROW EXECUTE FUNCTION note_stale_rollups();
CREATE TRIGGER incident_ended AFTER UPDATE OF resolved_at ON incident
    FOR EACH ROW WHEN (OLD.resolved_at IS DISTINCT FROM NEW.resolved_at) EXECUTE FUNCTION note_stale_rollups();

CREATE TABLE monitor_pause (
    monitor_id bigint NOT NULL REFERENCES monitor ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (monitor_id, began_at)
);
CREATE FUNCTION note_pause() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.paused_at IS NOT NULL THEN
        UPDATE monitor_pause SET ended_at = greatest(NEW.updated_at, began_at) WHERE monitor_id = NEW.id AND ended_at IS NULL;
    END IF;
    IF NEW.paused_at IS NOT NULL THEN
        INSERT INTO monitor_pause (monitor_id, began_at) VALUES (NEW.id, NEW.paused_at)
        ON CONFLICT (monitor_id, began_at) DO UPDATE SET ended_at = NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER monitor_paused_new AFTER INSERT ON monitor
    FOR EACH ROW WHEN (NEW.paused_at IS NOT NULL) EXECUTE FUNCTION note_pause();
CREATE TRIGGER monitor_paused AFTER UPDATE OF paused_at ON monitor
    FOR EACH ROW WHEN (OLD.paused_at IS DISTINCT FROM NEW.paused_at) EXECUTE FUNCTION note_pause();
"""


class Migration(migrations.Migration):
    """Not reversible on purpose: dropping facts is never an upgrade step."""

    dependencies: ClassVar = [("uptime", "0001_initial")]
    operations: ClassVar = [
        migrations.RunSQL(FACTS),
        migrations.RunSQL(ENSURE_DAY_PARTITIONS),
        migrations.RunSQL(HOT_TABLES),
        migrations.RunSQL(HISTORY),
    ]
