"""`/metrics/` of the web process: its own counters, and the gauges that are stored facts, read from PostgreSQL when asked.

The catalogue declares those gauges for all processes; only here do they get values, from a few SELECTs and straight into text. A
gauge object per monitor would cost 10,000 monitors 80 MB, and would remember the monitors that are gone.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection
from prometheus_client import REGISTRY, Gauge, generate_latest
from prometheus_client.core import Metric

from core import metrics

WEBSITES = """
    WITH rolled AS (
        SELECT monitor_id, sum(up_ms) / 1000.0 AS up_s, sum(down_ms) / 1000.0 AS down_s
        FROM rollup_hourly
        WHERE hour >= now() - interval '1 day' AND hour < (SELECT max(hour) + interval '1 hour' FROM rolled_hour)
        GROUP BY monitor_id
    ), resumed AS (
        SELECT monitor_id, max(ended_at) AS at FROM monitor_pause WHERE ended_at > now() - interval '1 day' GROUP BY monitor_id
    ), open_part AS (
        SELECT m.id AS monitor_id,
               greatest(m.created_at, now() - interval '1 day', (SELECT max(hour) + interval '1 hour' FROM rolled_hour), r.at) AS since,
               least(now(), s.unknown_since,
                     s.last_checked_at + (w.interval_s + w.retry_interval_s + w.timeout_ms / 1000.0) * interval '1 second') AS known_until
        FROM monitor m JOIN website w ON w.monitor_id = m.id JOIN website_state s ON s.monitor_id = m.id
        LEFT JOIN resumed r ON r.monitor_id = m.id
        WHERE m.paused_at IS NULL AND s.state <> 'new'
    ), outage AS (
        SELECT i.monitor_id,
               sum(extract(epoch FROM coalesce(resolved_at, now()) - greatest(began_at, p.since))) AS down_s,
               sum(greatest(extract(epoch FROM least(resolved_at, p.known_until) - greatest(began_at, p.since)), 0)) AS known_s
        FROM incident i JOIN open_part p USING (monitor_id)
        WHERE (resolved_at IS NULL OR resolved_at > now() - interval '1 day') AND (resolved_at IS NULL OR resolved_at > p.since)
        GROUP BY i.monitor_id
    ), known AS (
        SELECT p.monitor_id, coalesce(r.down_s, 0) + coalesce(o.down_s, 0) AS down_s,
               coalesce(r.up_s, 0) + greatest(extract(epoch FROM p.known_until - p.since) - coalesce(o.known_s, 0), 0) AS up_s
        FROM open_part p LEFT JOIN rolled r USING (monitor_id) LEFT JOIN outage o USING (monitor_id)
    )
    SELECT m.uid::text, m.name, w.url,
           CASE s.state WHEN 'up' THEN 1 WHEN 'down' THEN 0 END,
           s.failures,
           extract(epoch FROM s.last_checked_at)::float8,
           (extract(epoch FROM s.certificate_not_after - now()) / 86400)::float8,
           (100 * k.up_s / nullif(k.up_s + k.down_s, 0))::float8
    FROM monitor m JOIN website w ON w.monitor_id = m.id JOIN website_state s ON s.monitor_id = m.id
    LEFT JOIN known k ON k.monitor_id = m.id
    WHERE m.paused_at IS NULL
    ORDER BY m.id
"""
HEARTBEATS = """
    SELECT m.uid::text, m.name,
           CASE s.state WHEN 'up' THEN 1 WHEN 'down' THEN 0 END,
           extract(epoch FROM s.last_ping_at)::float8,
           extract(epoch FROM now() - s.last_ping_at)::float8,
           h.grace_s
    FROM monitor m JOIN heartbeat h ON h.monitor_id = m.id JOIN heartbeat_state s ON s.monitor_id = m.id
    WHERE m.paused_at IS NULL
    ORDER BY m.id
"""
USERS = """
    SELECT u.id::text, u.email, u.tier, (SELECT count(*) FROM monitor m JOIN membership s USING (workspace_id) WHERE s.user_id = u.id)
    FROM account u WHERE u.is_active ORDER BY u.id
"""

WEBSITE_GAUGES = (
    metrics.WEBSITE_STATUS,
    metrics.WEBSITE_CONSECUTIVE_FAILURES,
    metrics.WEBSITE_LAST_CHECK,
    metrics.WEBSITE_SSL_EXPIRY_DAYS,
    metrics.WEBSITE_UPTIME_PERCENTAGE,
)
HEARTBEAT_GAUGES = (
    metrics.HEARTBEAT_STATUS,
    metrics.HEARTBEAT_LAST_PING,
    metrics.HEARTBEAT_SINCE_LAST_PING,
    metrics.HEARTBEAT_GRACE,
)
USER_GAUGES = (metrics.ACTIVE_USERS, metrics.MONITORS_PER_USER, metrics.SUBSCRIPTION_TIER)
STORED = (*WEBSITE_GAUGES, *HEARTBEAT_GAUGES, *USER_GAUGES, metrics.ACTIVE_MONITORS)

type Samples = dict[Gauge, list[str]]


class _OwnMetrics:
    """What the registry of this process holds, without the gauges that are read from PostgreSQL."""

    def collect(self) -> Iterator[Metric]:
        stored = {name_of(gauge) for gauge in STORED}
        return (family for family in REGISTRY.collect() if family.name not in stored)


def render() -> bytes:
    """The whole exposition."""
    samples: Samples = {gauge: [] for gauge in STORED}
    websites = _add_websites(samples)
    heartbeats = _add_heartbeats(samples)
    _add(samples, metrics.ACTIVE_MONITORS, 'monitor_type="website"', websites)
    _add(samples, metrics.ACTIVE_MONITORS, 'monitor_type="heartbeat"', heartbeats)
    _add_users(samples)
    return generate_latest(_OwnMetrics()) + "".join(_text(samples)).encode()


def name_of(gauge: Gauge) -> str:
    """The exposed name of a gauge."""
    return next(iter(gauge.describe())).name


def escape(value: str) -> str:
    """A label's value as the text format writes it."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _add_websites(samples: Samples) -> int:
    count = 0
    for count, (uid, name, url, *values) in enumerate(_rows(WEBSITES), 1):  # noqa: B007  (the count is used after the loop)
        labels = f'monitor_id="{uid}",monitor_name="{escape(name)}"'
        _add(samples, metrics.WEBSITE_STATUS, f'{labels},url="{escape(url)}"', values[0])
        for gauge, value in zip(WEBSITE_GAUGES[1:], values[1:], strict=True):
            _add(samples, gauge, labels, value)
    return count


def _add_heartbeats(samples: Samples) -> int:
    count = 0
    for count, (uid, name, *values) in enumerate(_rows(HEARTBEATS), 1):  # noqa: B007  (the count is used after the loop)
        labels = f'heartbeat_id="{uid}",heartbeat_name="{escape(name)}"'
        for gauge, value in zip(HEARTBEAT_GAUGES, values, strict=True):
            _add(samples, gauge, labels, value)
    return count


def _add_users(samples: Samples) -> None:
    users = 0
    for users, (uid, email, tier, monitors) in enumerate(_rows(USERS), 1):  # noqa: B007  (the count is used after the loop)
        _add(samples, metrics.MONITORS_PER_USER, f'user_id="{uid}",username="{escape(email)}"', monitors)
        _add(samples, metrics.SUBSCRIPTION_TIER, f'user_id="{uid}",tier="{escape(tier)}"', 1)
    _add(samples, metrics.ACTIVE_USERS, "", users)


def _add(samples: Samples, gauge: Gauge, labels: str, value: float | None) -> None:
    """A sample; what is not known yet has none."""
    if value is not None:
        samples[gauge].append(f"{name_of(gauge)}{{{labels}}} {value}\n")


def _rows(query: str) -> Iterable[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _text(samples: Samples) -> Iterator[str]:
    for gauge, lines in samples.items():
        family = next(iter(gauge.describe()))
        yield f"# HELP {family.name} {family.documentation}\n# TYPE {family.name} gauge\n"
        yield from lines
