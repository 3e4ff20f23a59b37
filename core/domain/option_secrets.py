"""The secrets among the options of a check: never shown, and kept by an edit that sends back what was shown."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from core.domain.request_options import (
    MASK,
    Auth,
    BadOption,
    Basic,
    Bearer,
    ClientCertificate,
    Digest,
    Header,
    RequestOptions,
    parse_options,
)
from core.domain.request_route import Proxy


def masked(options: RequestOptions) -> RequestOptions:
    """What may be shown of options: each secret is `MASK`."""
    headers = tuple(replace(header, value=MASK) if header.is_secret else header for header in options.headers)
    certificate = options.client_certificate and replace(options.client_certificate, key=MASK)
    proxy = replace(options.proxy, password=MASK) if options.proxy and options.proxy.password is not None else options.proxy
    return replace(options, headers=headers, auth=_masked_auth(options.auth), client_certificate=certificate, proxy=proxy)


def merged(stored: RequestOptions, given: Mapping[str, Any]) -> RequestOptions:
    """The options after an edit: members that are given replace those stored, and a mask means the secret that it stood for.

    Raises:
        BadOption: a mask that stands for nothing, or a member that is not usable.
    """
    whole = parse_options({**msgspec.to_builtins(stored), **given})
    secrets = {header.name.lower(): header.value for header in stored.headers if header.is_secret}
    headers = tuple(_unmasked_header(index, header, secrets) for index, header in enumerate(whole.headers))
    certificate = _unmasked_certificate(whole.client_certificate, stored.client_certificate)
    proxy = _unmasked_proxy(whole.proxy, stored.proxy)
    auth = _unmasked_auth(whole.auth, stored.auth)
    return replace(whole, headers=headers, auth=auth, client_certificate=certificate, proxy=proxy)


def _masked_auth(auth: Auth | None) -> Auth | None:
    match auth:
        case Basic() | Digest():
            return replace(auth, password=MASK)
        case Bearer():
            return replace(auth, token=MASK)
    return None


def _unmasked_header(index: int, header: Header, secrets: Mapping[str, str]) -> Header:
    if not header.is_secret or header.value != MASK:
        return header
    if header.name.lower() not in secrets:
        raise BadOption(f"headers.{index}.value", "nothing_stored", "there is no stored value to keep")
    return replace(header, value=secrets[header.name.lower()])


def _unmasked_auth(auth: Auth | None, stored: Auth | None) -> Auth | None:
    if auth is None or MASK not in msgspec.to_builtins(auth).values():
        return auth
    match auth, stored:
        case (Basic() | Digest(), Basic() | Digest()) if auth.password == MASK:
            return replace(auth, password=stored.password)
        case (Bearer(), Bearer()):
            return replace(auth, token=stored.token)
    raise BadOption("auth", "nothing_stored", "there is no stored secret to keep")


def _unmasked_certificate(given: ClientCertificate | None, stored: ClientCertificate | None) -> ClientCertificate | None:
    if given is None:
        return None
    if given.key == MASK:
        if stored is None:
            raise BadOption("client_certificate.key", "nothing_stored", "there is no stored key to keep")
        given = replace(given, key=stored.key)
    check_key_pair(given.certificate, given.key)
    return given


def _unmasked_proxy(given: Proxy | None, stored: Proxy | None) -> Proxy | None:
    if given is None or given.password != MASK:
        return given
    if stored is None or stored.password is None:
        raise BadOption("proxy.password", "nothing_stored", "there is no stored password to keep")
    return replace(given, password=stored.password)


def check_key_pair(certificate: str, key: str) -> None:
    """Refuse what TLS could not use.

    Raises:
        BadOption: one of them cannot be read, or they do not belong together.
    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  (its libraries: only for who has one)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415  (only for who has one)
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415  (only for who has one)

    try:
        public = load_pem_x509_certificates(certificate.encode())[0].public_key()
    except ValueError as error:
        raise BadOption("client_certificate.certificate", "invalid", "is not a certificate in PEM") from error
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadOption("client_certificate.key", "invalid", "is not an unencrypted private key in PEM") from error
    if private.public_key() != public:
        raise BadOption("client_certificate.key", "contradiction", "does not belong to the certificate")
