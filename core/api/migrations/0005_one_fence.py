"""The lease alone fences a check, and the database keeps it so; how often the hot state is vacuumed and analysed.

A worker judges by the state that it loaded under its lease, and its result is stored where the lease is still the same. So whatever changes
what is remembered, or what is checked, must end the lease, and whatever pauses a website must leave it without a next check. The API
does so; these triggers hold it for every other writer.
"""

from typing import ClassVar

from django.db import migrations

FENCE = """
CREATE FUNCTION void_check_under_way() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE website_state SET lease_id = NULL, leased_until = NULL WHERE monitor_id = NEW.monitor_id AND lease_id IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER website_edited AFTER UPDATE OF config_version ON website
    FOR EACH ROW WHEN (OLD.config_version IS DISTINCT FROM NEW.config_version) EXECUTE FUNCTION void_check_under_way();

CREATE FUNCTION end_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.lease_id := NULL;
    NEW.leased_until := NULL;
    RETURN NEW;
END $$;
CREATE TRIGGER website_state_rewritten BEFORE UPDATE OF
        state, failures, successes, first_failure_at, unknown_since, last_checked_at, changed_at ON website_state
    FOR EACH ROW WHEN (
        NEW.lease_id = OLD.lease_id
        AND (OLD.state, OLD.failures, OLD.successes, OLD.first_failure_at, OLD.unknown_since, OLD.last_checked_at, OLD.changed_at)
            IS DISTINCT FROM
            (NEW.state, NEW.failures, NEW.successes, NEW.first_failure_at, NEW.unknown_since, NEW.last_checked_at, NEW.changed_at)
    ) EXECUTE FUNCTION end_lease();

CREATE FUNCTION stop_checks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE website_state SET next_check_at = NULL, lease_id = NULL, leased_until = NULL
    WHERE monitor_id = NEW.id AND next_check_at IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER monitor_pause_stops_checks AFTER UPDATE OF paused_at ON monitor
    FOR EACH ROW WHEN (OLD.paused_at IS NULL AND NEW.paused_at IS NOT NULL) EXECUTE FUNCTION stop_checks();
"""

HOT_STATE = """
ALTER TABLE website_state SET (autovacuum_vacuum_scale_factor = 0.3, autovacuum_analyze_scale_factor = 10);
"""


class Migration(migrations.Migration):
    dependencies: ClassVar = [("uptime", "0004_expiry")]
    operations: ClassVar = [migrations.RunSQL(FENCE), migrations.RunSQL(HOT_STATE)]
