"""Certificates for tests, made once for each process; and chains as the probe reads them."""

from datetime import datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from core.domain.certificates import SeenChain

KEY = ec.generate_private_key(ec.SECP256R1())


@lru_cache
def certificate(host: str, begins: datetime, ends: datetime) -> bytes:
    """DER of a certificate for `host`, issued by "Test Authority"."""
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (host, "Test Authority"))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(KEY.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
    signed = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False).sign(KEY, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def seen_chain(
    host: str, ends: datetime, *, life: timedelta = timedelta(days=90), error: str = "", verified: bool = True
) -> SeenChain:
    """What a check of `https://host/` reads."""
    return SeenChain(host, 443, (certificate(host, ends - life, ends),), ends, verified, error)
