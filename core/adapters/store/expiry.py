"""What ends soon, and what people were told of it, in SQL. Every function works inside the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from core.adapters.database import Connection

CERTIFICATES: Final = """
    SELECT m.id, m.uid, m.workspace_id, m.name, w.url, 'certificate ' || c.fingerprint, c.host, c.chain -> 0 ->> 'issuer',
           c.not_after, c.not_after - c.not_before, n.step
    FROM certificate c JOIN monitor m ON m.id = c.monitor_id JOIN website w USING (monitor_id)
    LEFT JOIN expiry_notice n ON n.monitor_id = c.monitor_id AND n.subject = 'certificate ' || c.fingerprint
    WHERE c.not_after > %(now)s::timestamptz AND c.not_after <= %(now)s::timestamptz + %(within)s::interval
      AND c.seen_at > %(now)s::timestamptz - %(fresh)s::interval AND m.paused_at IS NULL AND w.certificate_notices
    ORDER BY m.id
"""

DOMAINS: Final = """
    SELECT m.id, m.uid, m.workspace_id, m.name, w.url, 'domain ' || d.name || ' ' || (d.ends_at AT TIME ZONE 'UTC')::date, d.name,
           d.registrar, d.ends_at, NULL::interval, n.step
    FROM domain d JOIN website w ON w.domain = d.name JOIN monitor m ON m.id = w.monitor_id
    LEFT JOIN expiry_notice n ON n.monitor_id = w.monitor_id
      AND n.subject = 'domain ' || d.name || ' ' || (d.ends_at AT TIME ZONE 'UTC')::date
    WHERE d.ends_at > %(now)s::timestamptz AND d.ends_at <= %(now)s::timestamptz + %(within)s::interval
      AND d.answered_at > %(now)s::timestamptz - %(fresh)s::interval AND m.paused_at IS NULL
    ORDER BY m.id
"""

NOTE: Final = """
    INSERT INTO expiry_notice AS n (monitor_id, subject, step, ends_at, told_at)
    SELECT monitor_id, subject, step, ends_at, %(now)s::timestamptz
    FROM unnest(%(ids)s::bigint[], %(subjects)s::text[], %(steps)s::smallint[], %(ends)s::timestamptz[])
      AS t (monitor_id, subject, step, ends_at)
    ON CONFLICT (monitor_id, subject) DO UPDATE SET step = EXCLUDED.step, told_at = EXCLUDED.told_at WHERE n.step > EXCLUDED.step
    RETURNING monitor_id, subject
"""

FORGET: Final = "DELETE FROM expiry_notice WHERE ends_at < %(before)s::timestamptz"


class Ending(NamedTuple):
    """A website with something that ends. `subject` identifies that for ever, `name` and `issuer` (or registrar) are for people.

    `life` is how long a certificate lives in all; `told` is the least step that people were told of, in days.
    """

    monitor_id: int
    uid: UUID
    workspace_id: UUID
    monitor_name: str
    url: str
    subject: str
    name: str
    issuer: str
    ends_at: datetime
    life: timedelta | None
    told: int | None


def certificates(connection: Connection, now: datetime, *, within: timedelta, fresh: timedelta) -> list[Ending]:
    """Certificates that end `within` that time and were seen within `fresh`, of websites that want to know."""
    rows = connection.execute(CERTIFICATES, {"now": now, "within": within, "fresh": fresh}).fetchall()
    return [Ending(*row) for row in rows]


def domains(connection: Connection, now: datetime, *, within: timedelta, fresh: timedelta) -> list[Ending]:
    """Registrations that end `within` that time, of which the registry spoke within `fresh`, by the websites that watch them."""
    rows = connection.execute(DOMAINS, {"now": now, "within": within, "fresh": fresh}).fetchall()
    return [Ending(*row) for row in rows]


def note(connection: Connection, told: Sequence[tuple[Ending, int]], now: datetime) -> set[tuple[int, str]]:
    """Write down what people are told of and at which step; returns those (monitor, subject) that nobody else has told of meanwhile."""
    rows = connection.execute(
        NOTE,
        {
            "now": now,
            "ids": [ending.monitor_id for ending, _ in told],
            "subjects": [ending.subject for ending, _ in told],
            "steps": [step for _, step in told],
            "ends": [ending.ends_at for ending, _ in told],
        },
    ).fetchall()
    return {(row[0], row[1]) for row in rows}


def forget(connection: Connection, before: datetime) -> int:
    """Drop notices about what ended before then; returns how many."""
    return connection.execute(FORGET, {"before": before}).rowcount
