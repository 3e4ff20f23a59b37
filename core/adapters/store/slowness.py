"""Which websites answer slowly, and of which of them people were told, in SQL. Every function works inside the caller's transaction.

A row of `slow_website` says that people know that a website is slow. Its `order_key` is the id of the alert that told them.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from core.adapters.database import Connection
from core.domain.outcomes import Outcome, Reason
from core.domain.slowness import LONGEST_RUN, PATIENCE, Check

LOOK: Final = """
    SELECT m.id, m.uid, m.workspace_id, m.name, w.url, w.degraded_threshold, (w.options ->> 'degraded_after_ms')::int, t.last_total_us,
           s.since, s.order_key, latest.times, latest.outcomes, latest.reasons
    FROM website w
    JOIN monitor m ON m.id = w.monitor_id
    JOIN website_state t ON t.monitor_id = w.monitor_id
    LEFT JOIN slow_website s ON s.monitor_id = w.monitor_id
    CROSS JOIN LATERAL (
        SELECT array_agg(r.checked_at ORDER BY r.checked_at DESC) AS times,
               array_agg(r.outcome ORDER BY r.checked_at DESC) AS outcomes,
               array_agg(r.reason ORDER BY r.checked_at DESC) AS reasons
        FROM (
            SELECT c.checked_at, c.outcome, c.reason FROM check_result c
            WHERE c.monitor_id = w.monitor_id AND c.outcome <> %(unknown)s
              AND c.checked_at <= %(now)s::timestamptz
              AND c.checked_at > %(now)s::timestamptz - %(patience)s::int * w.degraded_threshold * w.interval_s * interval '1 second'
            ORDER BY c.checked_at DESC LIMIT %(longest)s
        ) AS r
    ) AS latest
    WHERE w.degraded_threshold > 0 AND w.options ? 'degraded_after_ms'
      AND t.state = 'up' AND t.last_reason = CASE WHEN s.monitor_id IS NULL THEN %(slow)s::int ELSE %(fast)s::int END
      AND m.paused_at IS NULL AND (m.muted_until IS NULL OR m.muted_until <= %(now)s::timestamptz)
      AND t.last_total_us IS NOT NULL AND latest.times IS NOT NULL
    ORDER BY m.id
"""

LOCK_MONITORS: Final = "SELECT id FROM monitor WHERE id = ANY(%(ids)s::bigint[]) ORDER BY id FOR KEY SHARE"

NOTE: Final = """
    INSERT INTO slow_website (monitor_id, since, told_at, order_key)
    SELECT monitor_id, since, %(now)s::timestamptz, order_key
    FROM unnest(%(ids)s::bigint[], %(since)s::timestamptz[], %(order_keys)s::uuid[]) AS t (monitor_id, since, order_key)
    ON CONFLICT (monitor_id) DO NOTHING
    RETURNING order_key
"""

FORGET: Final = "DELETE FROM slow_website WHERE order_key = ANY(%(order_keys)s::uuid[]) RETURNING order_key"

OVERTAKEN: Final = """
    SELECT s.monitor_id, s.order_key FROM slow_website s JOIN website w ON w.monitor_id = s.monitor_id
    WHERE w.degraded_threshold = 0
       OR EXISTS (SELECT FROM incident i WHERE i.monitor_id = s.monitor_id AND i.opened_at > s.told_at)
"""

DROP_HELD: Final = """
    UPDATE alert SET routed_at = %(now)s::timestamptz, dropped = true
    WHERE id = ANY(%(ids)s::uuid[]) AND routed_at IS NULL AND held_reason = 'quiet_hours'
    RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """A website whose latest check says that something may have changed. `checks` are the latest, the last first.

    `slow_since` and `order_key` are those of what people know, None where they know of no slowness.
    """

    checks: list[Check]
    monitor_id: int
    uid: UUID
    workspace_id: UUID
    name: str
    url: str
    threshold: int
    limit_ms: int
    latest_us: int
    slow_since: datetime | None
    order_key: UUID | None


def look(connection: Connection, now: datetime) -> list[Watched]:
    """The websites that may have become slow, or fast again; those that are paused, muted or down are left out."""
    rows = connection.execute(
        LOOK,
        {
            "now": now,
            "unknown": Outcome.UNKNOWN,
            "slow": Reason.DEGRADED,
            "fast": Reason.OK,
            "patience": PATIENCE,
            "longest": LONGEST_RUN,
        },
    ).fetchall()
    return [Watched(_checks(*row[10:]), *row[:10]) for row in rows]


def lock_monitors(connection: Connection, monitor_ids: Collection[int]) -> set[int]:
    """Those of the monitors that are still there, and stay until the transaction ends: whoever deletes one locks it first, too."""
    return {row[0] for row in connection.execute(LOCK_MONITORS, {"ids": list(monitor_ids)}).fetchall()}


def note(connection: Connection, slow: Sequence[tuple[int, datetime, UUID]], now: datetime) -> set[UUID]:
    """Write down who is told of which website, since when it is slow, by which alert; returns the alerts that nobody else was before."""
    ids, since, order_keys = zip(*slow, strict=True)
    values = {"now": now, "ids": list(ids), "since": list(since), "order_keys": list(order_keys)}
    return {row[0] for row in connection.execute(NOTE, values).fetchall()}


def forget(connection: Connection, order_keys: Collection[UUID]) -> set[UUID]:
    """It is over with these; returns those that nobody else has ended before."""
    return {row[0] for row in connection.execute(FORGET, {"order_keys": list(order_keys)}).fetchall()}


def overtaken(connection: Connection) -> dict[int, UUID]:
    """What an outage has overtaken, or nobody wants to know any more: the order key by its website."""
    return dict(connection.execute(OVERTAKEN).fetchall())


def drop_held(connection: Connection, alert_ids: Collection[UUID], now: datetime) -> set[UUID]:
    """Drop those of the alerts that quiet hours still hold; returns which."""
    return {row[0] for row in connection.execute(DROP_HELD, {"ids": list(alert_ids), "now": now}).fetchall()}


def _checks(times: Sequence[Any], outcomes: Sequence[int], reasons: Sequence[int]) -> list[Check]:
    return [Check(at, Outcome(outcome), Reason(reason)) for at, outcome, reason in zip(times, outcomes, reasons, strict=True)]
