"""Takes certificates apart. Whoever made them may have put anything in."""

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from core.contracts.certificates import CertificateFacts
from core.domain.probes import clean_text

if TYPE_CHECKING:  # its libraries are loaded by whoever meets a certificate
    from cryptography.x509 import Certificate, GeneralName, Name

NAMES_KEPT: Final = 100
"""Of the names that a certificate is valid for; the largest hosters put some hundred into one."""


class UnreadableCertificate(ValueError):
    """Not a certificate, or one that breaks the rules of X.509 so badly that nothing can be said about it."""


@lru_cache(maxsize=256)
def read_certificate(der: bytes) -> CertificateFacts:
    """What is written in a certificate. Many websites show the same ones, so the latest are remembered.

    Raises:
        UnreadableCertificate: what it says cannot be told.
    """
    from cryptography import x509  # noqa: PLC0415  (5 MB that only who meets a certificate needs)
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415  (likewise)

    try:
        certificate = x509.load_der_x509_certificate(der)
        return CertificateFacts(
            subject=_name(certificate.subject),
            issuer=_name(certificate.issuer),
            names=tuple(_alternative_names(certificate)),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            serial=f"{certificate.serial_number:x}",
            fingerprint_sha256=certificate.fingerprint(SHA256()).hex(),
        )
    except (ValueError, x509.InvalidVersion) as error:
        raise UnreadableCertificate(str(error)) from error


def _name(name: "Name") -> str:
    return clean_text(name.rfc4514_string())


def _alternative_names(certificate: "Certificate") -> Iterator[str]:
    from cryptography import x509  # noqa: PLC0415  (as above)

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return
    for name in list(names)[:NAMES_KEPT]:
        if text := _alternative_name(name):
            yield clean_text(text)


def _alternative_name(name: "GeneralName") -> str | None:
    from cryptography import x509  # noqa: PLC0415  (as above)

    return str(name.value) if isinstance(name, x509.DNSName | x509.IPAddress) else None
