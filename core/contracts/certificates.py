"""What is written in a certificate: as it is stored, as the API shows it."""

from datetime import datetime

import msgspec


class CertificateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate. Subject and issuer are written as in RFC 4514; `names` are those it is valid for.

    `serial` and fingerprint are hexadecimal.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    serial: str
    fingerprint_sha256: str
