"""Websites in SQL: claims under a lease, configurations, results and hot states. Every function works inside the caller's transaction.

A row is being checked while `lease_id` is set and `leased_until` is ahead. `next_check_at` is null while the website is paused. Only
`save_checks` moves `next_check_at` on, so what a dead worker held becomes due again when its lease ends.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from core.adapters.database import Connection

CLAIM_DUE: Final = """
    UPDATE website_state s
    SET lease_id = %(lease_id)s::uuid,
        leased_until = greatest(s.next_check_at, %(now)s::timestamptz) + %(margin)s::interval
            + (SELECT w.timeout_ms FROM website w WHERE w.monitor_id = s.monitor_id) * interval '1 millisecond'
    WHERE s.ctid = ANY(ARRAY(
        SELECT due.ctid FROM website_state due
        WHERE due.next_check_at <= %(now)s::timestamptz + %(horizon)s::interval
          AND (due.leased_until IS NULL OR due.leased_until <= %(now)s::timestamptz)
        ORDER BY due.next_check_at
        LIMIT %(limit)s::int
        FOR UPDATE SKIP LOCKED
    ))
    RETURNING s.monitor_id, s.next_check_at
"""

CLAIM_NOW: Final = """
    UPDATE website_state s
    SET next_check_at = %(now)s::timestamptz, lease_id = %(lease_id)s::uuid,
        leased_until = %(now)s::timestamptz + w.timeout_ms * interval '1 millisecond' + %(margin)s::interval
    FROM monitor m JOIN website w ON w.monitor_id = m.id
    WHERE m.uid = %(uid)s::uuid AND m.paused_at IS NULL AND s.monitor_id = m.id AND s.next_check_at IS NOT NULL
      AND (s.leased_until IS NULL OR s.leased_until <= %(now)s::timestamptz)
    RETURNING s.monitor_id
"""

LOAD: Final = """
    SELECT s.monitor_id, m.uid, m.workspace_id, m.name, w.url, w.method, w.interval_s, w.retry_interval_s, w.timeout_ms,
           w.failure_threshold, w.recovery_threshold, w.accepted_status, w.follow_redirects, w.max_redirects, w.verify_tls,
           w.options::text, w.sealed_options, s.next_check_at, s.leased_until,
           s.leased_until - %(margin)s::interval / 2
               < greatest(s.next_check_at, %(now)s::timestamptz) + w.timeout_ms * interval '1 millisecond',
           s.state, s.failures, s.successes, s.first_failure_at, s.unknown_since, s.last_checked_at, s.changed_at
    FROM website_state s JOIN website w USING (monitor_id) JOIN monitor m ON m.id = s.monitor_id
    WHERE s.monitor_id = ANY(%(ids)s::bigint[]) AND s.lease_id = %(lease_id)s::uuid AND s.next_check_at IS NOT NULL
"""

RENEW: Final = """
    UPDATE website_state s
    SET leased_until = greatest(s.next_check_at, %(now)s::timestamptz) + held.timeout_ms * interval '1 millisecond' + %(margin)s::interval
    FROM (
        SELECT s.monitor_id, w.timeout_ms FROM website_state s JOIN website w USING (monitor_id)
        WHERE s.monitor_id = ANY(%(ids)s::bigint[]) AND s.lease_id = %(lease_id)s::uuid AND s.next_check_at IS NOT NULL
        ORDER BY s.monitor_id
        FOR UPDATE OF s
    ) AS held
    WHERE s.monitor_id = held.monitor_id
    RETURNING s.monitor_id, s.leased_until
"""

RELEASE: Final = """
    UPDATE website_state s SET lease_id = NULL, leased_until = NULL
    FROM (
        SELECT monitor_id FROM website_state
        WHERE monitor_id = ANY(%(ids)s::bigint[]) AND lease_id = %(lease_id)s::uuid
        ORDER BY monitor_id
        FOR UPDATE
    ) AS held
    WHERE s.monitor_id = held.monitor_id
"""

AFTER_A_JUMP_FORWARD: Final = """
    UPDATE website_state s
    SET next_check_at = s.next_check_at
        + o.interval_s * ceil(extract(epoch FROM %(now)s::timestamptz - s.next_check_at) / o.interval_s) * interval '1 second'
    FROM (
        SELECT s.monitor_id, w.interval_s FROM website_state s JOIN website w USING (monitor_id)
        WHERE s.next_check_at < %(now)s::timestamptz AND w.interval_s < %(jump_s)s::float8
        ORDER BY s.monitor_id
        FOR UPDATE OF s
    ) AS o
    WHERE s.monitor_id = o.monitor_id
"""

AFTER_A_JUMP_BACK: Final = """
    UPDATE website_state s
    SET next_check_at = %(now)s::timestamptz
        + mod(extract(epoch FROM s.next_check_at - %(now)s::timestamptz), o.interval_s) * interval '1 second',
        leased_until = CASE WHEN s.leased_until IS NOT NULL THEN least(s.leased_until, o.longest_lease) END
    FROM (
        SELECT s.monitor_id, w.interval_s, l.longest_lease
        FROM website_state s JOIN website w USING (monitor_id),
        LATERAL (
            SELECT %(now)s::timestamptz + w.timeout_ms * interval '1 millisecond' + 2 * %(margin)s::interval AS longest_lease
        ) AS l
        WHERE s.next_check_at > %(now)s::timestamptz + (w.interval_s + 5) * interval '1 second' OR s.leased_until > l.longest_lease
        ORDER BY s.monitor_id
        FOR UPDATE OF s
    ) AS o
    WHERE s.monitor_id = o.monitor_id
"""

SAVE_CHECKS: Final = """
    WITH saved AS (
        UPDATE website_state s
        SET state = u.state, failures = u.failures, successes = u.successes, first_failure_at = u.first_failure_at,
            unknown_since = u.unknown_since, last_checked_at = u.checked_at, changed_at = coalesce(u.changed_at, s.changed_at),
            next_check_at = u.next_check_at, last_outcome = u.outcome, last_reason = u.reason,
            last_status_code = u.status_code, last_total_us = u.total_us,
            certificate_not_after = coalesce(u.certificate_not_after, s.certificate_not_after),
            lease_id = NULL, leased_until = NULL
        FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::int[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[],
                    %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::smallint[], %s::smallint[], %s::smallint[], %s::int[],
                    %s::int[], %s::int[], %s::int[], %s::int[])
          AS u (monitor_id, lease_id, state, failures, successes, first_failure_at, unknown_since, changed_at,
                next_check_at, certificate_not_after, checked_at, outcome, reason, status_code, total_us,
                dns_us, connect_us, tls_us, first_byte_us)
        WHERE s.monitor_id = u.monitor_id AND s.lease_id = u.lease_id AND s.next_check_at IS NOT NULL
        RETURNING u.*
    )
    INSERT INTO check_result (monitor_id, checked_at, total_us, dns_us, connect_us, tls_us, first_byte_us, outcome, reason, status_code)
    SELECT monitor_id, checked_at, total_us, dns_us, connect_us, tls_us, first_byte_us, outcome, reason, status_code FROM saved
    RETURNING monitor_id
"""

SAVE_GAPS: Final = """
    INSERT INTO check_result (monitor_id, checked_at, outcome, reason)
    SELECT u.monitor_id, u.since, %(outcome)s::smallint, %(reason)s::smallint
    FROM unnest(%(ids)s::bigint[], %(since)s::timestamptz[]) AS u (monitor_id, since)
"""


class ConfigRow(msgspec.Struct, frozen=True, gc=False):
    """A website to check, and what is remembered of it. `timeout_ms` covers the whole check.

    The lease lasts until `leased_until`, which `is_short` where a check that begins now would outlast it but for a moment.
    """

    monitor_id: int
    uid: UUID
    workspace_id: UUID
    name: str
    url: str
    method: str
    interval_s: int
    retry_interval_s: int
    timeout_ms: int
    failure_threshold: int
    recovery_threshold: int
    accepted_status: str
    follow_redirects: bool
    max_redirects: int
    verify_tls: bool
    options: str | None
    sealed_options: str | None
    due_at: datetime
    leased_until: datetime
    is_short: bool
    state: str
    failures: int
    successes: int
    first_failure_at: datetime | None
    unknown_since: datetime | None
    last_checked_at: datetime | None
    changed_at: datetime | None


class CheckRow(NamedTuple):
    """A check, the lease that it was made under, and the state after it, in the order of `SAVE_CHECKS`; `_us` are microseconds.

    `changed_at` and `certificate_not_after` are None where they stay as they are.
    """

    monitor_id: int
    lease_id: UUID
    state: str
    failures: int
    successes: int
    first_failure_at: datetime | None
    unknown_since: datetime | None
    changed_at: datetime | None
    next_check_at: datetime
    certificate_not_after: datetime | None
    checked_at: datetime
    outcome: int
    reason: int
    status_code: int | None
    total_us: int | None
    dns_us: int | None
    connect_us: int | None
    tls_us: int | None
    first_byte_us: int | None


def claim_due(
    connection: Connection, *, lease_id: UUID, now: datetime, horizon: timedelta, limit: int, margin: timedelta
) -> list[int]:
    """Take the lease on at most `limit` websites due before `now + horizon`, the longest due first; returns their ids in this order.

    The lease lasts until the check must have ended (`timeout_ms` after its due time or `now`), and `margin` longer.
    """
    rows = connection.execute(
        CLAIM_DUE, {"lease_id": lease_id, "now": now, "horizon": horizon, "limit": limit, "margin": margin}
    ).fetchall()
    rows.sort(key=lambda row: row[1])
    return [row[0] for row in rows]


def claim_now(connection: Connection, *, uid: UUID, lease_id: UUID, now: datetime, margin: timedelta) -> int | None:
    """Make one website due and take its lease; None when it is paused, unknown or being checked at this moment."""
    row = connection.execute(CLAIM_NOW, {"uid": uid, "lease_id": lease_id, "now": now, "margin": margin}).fetchone()
    return row[0] if row else None


def load(connection: Connection, *, ids: Sequence[int], lease_id: UUID, now: datetime, margin: timedelta) -> list[ConfigRow]:
    """The configurations and remembered states of the websites whose lease is still `lease_id`."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(LOAD, {"ids": list(ids), "lease_id": lease_id, "now": now, "margin": margin}).fetchall()
    return [ConfigRow(*row) for row in rows]


def renew(connection: Connection, *, ids: Sequence[int], lease_id: UUID, now: datetime, margin: timedelta) -> dict[int, datetime]:
    """Have leases that are still `lease_id` last for a check that begins `now`; returns their ends, by id."""
    rows = connection.execute(RENEW, {"ids": list(ids), "lease_id": lease_id, "now": now, "margin": margin}).fetchall()
    return dict(rows)


def release(connection: Connection, *, lease_id: UUID, ids: Sequence[int]) -> None:
    """End the lease on these websites where it is still `lease_id`: they are due again at once."""
    connection.execute(RELEASE, {"lease_id": lease_id, "ids": list(ids)})


def realign(connection: Connection, *, now: datetime, jump_s: float, margin: timedelta) -> int:
    """After the wall clock was set by `jump_s`, move due times by whole intervals to where the new clock expects them; returns how many.

    Forward, what seems overdue is due at its next slot; intervals longer than the jump are left alone. Back, what seems to be due
    later than an interval allows comes back, and so do leases.
    """
    if jump_s > 0:
        return connection.execute(AFTER_A_JUMP_FORWARD, {"now": now, "jump_s": jump_s}).rowcount
    return connection.execute(AFTER_A_JUMP_BACK, {"now": now, "margin": margin}).rowcount


def save_checks(connection: Connection, checks: Sequence[CheckRow]) -> set[int]:
    """Store checks, in the order given, where the lease still holds, schedule the next ones and end the leases; returns whose."""
    rows = connection.execute(SAVE_CHECKS, [_array(column) for column in zip(*checks, strict=True)]).fetchall()
    return {row[0] for row in rows}


def save_gaps(connection: Connection, gaps: Sequence[tuple[int, datetime]], *, outcome: int, reason: int) -> None:
    """Store a result for each of these websites at the time since when it was not checked."""
    ids, since = zip(*gaps, strict=True)
    connection.execute(SAVE_GAPS, {"ids": _array(ids), "since": _array(since), "outcome": outcome, "reason": reason})


def _array(values: Iterable[int | str | UUID | datetime | None]) -> str:
    """An array literal: a fifth of the time that adapting a list takes, in statements that run for every check.

    Only for values whose text needs no quoting: numbers, times, ids and our own words, never anything that people wrote.
    """
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
