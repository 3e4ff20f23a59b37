"""The certificates that websites showed, in SQL: one row for each website, the latest.

Every function works inside the caller's transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from core.adapters.database import Connection

KNOWN: Final = "SELECT monitor_id, digest, error, verified, seen_at FROM certificate WHERE monitor_id = ANY(%(ids)s::bigint[])"

SAVE: Final = """
    INSERT INTO certificate AS c
        (monitor_id, host, port, digest, fingerprint, not_before, not_after, verified, error, chain, first_seen_at, seen_at)
    SELECT monitor_id, host, port, digest, fingerprint, not_before, not_after, verified, error, chain::jsonb, %(now)s, %(now)s
    FROM unnest(%(monitor_ids)s::bigint[], %(hosts)s::text[], %(ports)s::int[], %(digests)s::text[], %(fingerprints)s::text[],
                %(not_befores)s::timestamptz[], %(not_afters)s::timestamptz[], %(verifieds)s::bool[], %(errors)s::text[],
                %(chains)s::text[])
      AS n (monitor_id, host, port, digest, fingerprint, not_before, not_after, verified, error, chain)
    ON CONFLICT (monitor_id) DO UPDATE
    SET host = EXCLUDED.host, port = EXCLUDED.port, digest = EXCLUDED.digest, fingerprint = EXCLUDED.fingerprint,
        not_before = EXCLUDED.not_before, not_after = EXCLUDED.not_after, verified = EXCLUDED.verified, error = EXCLUDED.error,
        chain = EXCLUDED.chain, seen_at = EXCLUDED.seen_at,
        first_seen_at = CASE WHEN c.fingerprint = EXCLUDED.fingerprint THEN c.first_seen_at ELSE EXCLUDED.first_seen_at END
"""


class KnownChain(NamedTuple):
    """What tells whether a chain is news."""

    digest: str
    error: str
    verified: bool
    seen_at: datetime


class CertificateRow(NamedTuple):
    """A row to write. `chain` is the JSON of a list of `CertificateFacts`, the website's own first."""

    monitor_id: int
    host: str
    port: int
    digest: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    verified: bool
    error: str
    chain: str


def known(connection: Connection, monitor_ids: Sequence[int]) -> Mapping[int, KnownChain]:
    """What is stored for these websites."""
    rows = connection.execute(KNOWN, {"ids": list(monitor_ids)}).fetchall()
    return {row[0]: KnownChain(*row[1:]) for row in rows}


def save(connection: Connection, rows: Sequence[CertificateRow], now: datetime) -> None:
    """Store what is new, in the order given."""
    columns = zip(*rows, strict=True)
    names = [f"{name}s" for name in CertificateRow._fields]
    connection.execute(SAVE, {"now": now, **{name: list(column) for name, column in zip(names, columns, strict=True)}})
