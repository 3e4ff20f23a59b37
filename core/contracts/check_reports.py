"""What came of a check that somebody waits for: written by the checker, shown by the API."""

from datetime import datetime
from uuid import UUID

import msgspec

from core.contracts.certificates import CertificateFacts


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a check. Address and status are absent where it did not come to one."""

    url: str
    address: str | None = None
    status_code: int | None = None


class ShownCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """The chain of a check. `valid` is absent where nobody verified it; `error` says why it was refused."""

    host: str
    port: int
    valid: bool | None
    error: str
    chain: tuple[CertificateFacts, ...]


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """One check with all that is known of it. Times are milliseconds, absent for phases that were not reached.

    `state` is the website's after it. The last of `hops` is the request that was judged. `body_bytes` counts what was read of its answer.
    `is_downgraded`: a redirect led from https to http. A check that was under way already when somebody asked was `joined`; its certificate
    is there only if it was read anyway.
    """

    website: UUID
    started_at: datetime
    outcome: str
    reason: str
    detail: str
    state: str
    status_code: int | None
    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float | None
    address: str | None
    http_version: str | None
    body_bytes: int | None
    hops: tuple[Hop, ...]
    is_downgraded: bool
    certificate: ShownCertificate | None
    joined: bool
