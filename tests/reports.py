"""Reports of checks for tests."""

from datetime import UTC, datetime
from uuid import UUID

from core.contracts.certificates import CertificateFacts
from core.contracts.check_reports import CheckReport, Hop, ShownCertificate

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CERTIFICATE = CertificateFacts(
    subject="CN=shop.test",
    issuer="CN=Test Authority",
    names=("shop.test",),
    not_before=AT,
    not_after=AT,
    serial="2a",
    fingerprint_sha256="ab" * 32,
)


def good_report(website: UUID) -> CheckReport:
    """A check that went well, with everything that a report can say."""
    return CheckReport(
        website=website,
        started_at=AT,
        outcome="up",
        reason="ok",
        detail="",
        state="up",
        status_code=200,
        dns_ms=1.5,
        connect_ms=2.5,
        tls_ms=9.0,
        first_byte_ms=20.0,
        total_ms=33.0,
        address="192.0.2.7",
        http_version="1.1",
        body_bytes=512,
        hops=(
            Hop(url="http://shop.test/", address="192.0.2.7", status_code=301),
            Hop(url="https://shop.test/", address="192.0.2.7", status_code=200),
        ),
        is_downgraded=False,
        certificate=ShownCertificate(host="shop.test", port=443, valid=True, error="", chain=(CERTIFICATE,)),
        joined=False,
    )
