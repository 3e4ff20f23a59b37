"""What websites showed of themselves in TLS, stored with the results of the checks that read it.

Invariant: the row of a website is the chain of its latest check that read one. It is written when it differs, and once a day to say
that it is still there; the reading itself is rare (`core.adapters.probe_certificates`).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec

from core.adapters.database import Connection
from core.adapters.store import certificates as store
from core.adapters.store.certificates import CertificateRow, KnownChain
from core.contracts.certificates import CertificateFacts
from core.domain.certificate_facts import UnreadableCertificate, read_certificate
from core.domain.certificates import SeenChain
from core.logs import get_logger

log = get_logger(__name__)

SAY_AGAIN: Final = timedelta(days=1)


def record_chains(connection: Connection, seen: Mapping[int, SeenChain], now: datetime) -> None:
    """Store the chains that websites (bigint ids) showed, inside the transaction of their results; most are known."""
    known = store.known(connection, list(seen))
    news = [(monitor_id, chain) for monitor_id, chain in sorted(seen.items()) if _is_news(known.get(monitor_id), chain, now)]
    rows = [row for monitor_id, chain in news if (row := _row(monitor_id, chain))]
    if rows:
        store.save(connection, rows, now)


def chain_facts(seen: SeenChain) -> tuple[CertificateFacts, ...]:
    """What is written in a chain, up to the first certificate that cannot be read."""
    facts = []
    for der in seen.chain:
        try:
            facts.append(read_certificate(der))
        except UnreadableCertificate as error:
            log.warning("certificates.unreadable", host=seen.host, port=seen.port, error=ascii(str(error)))
            break
    return tuple(facts)


def _is_news(known: KnownChain | None, seen: SeenChain, now: datetime) -> bool:
    if known is None or now - known.seen_at >= SAY_AGAIN:
        return True
    return (known.digest, known.error, known.verified) != (seen.digest, seen.error, seen.verified)


def _row(monitor_id: int, seen: SeenChain) -> CertificateRow | None:
    """None for a certificate of which nothing can be told."""
    facts = chain_facts(seen)
    if not facts:
        return None
    return CertificateRow(
        monitor_id=monitor_id,
        host=seen.host,
        port=seen.port,
        digest=seen.digest,
        fingerprint=seen.fingerprint,
        not_before=facts[0].not_before,
        not_after=facts[0].not_after,
        verified=seen.verified,
        error=seen.error,
        chain=msgspec.json.encode(facts).decode(),
    )
