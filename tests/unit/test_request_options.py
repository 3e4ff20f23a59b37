"""Options as users type them: what is refused, what is shown, and what an edit keeps."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from core.domain.option_fit import check_fit
from core.domain.option_secrets import masked, merged
from core.domain.request_options import (
    MASK,
    BadOption,
    RequestOptions,
    load_options,
    parse_options,
)

BASIC = {"kind": "basic", "username": "joe", "password": "pw"}
BEARER = {"kind": "bearer", "token": "t0k"}
PROXY = {"url": "http://proxy.test:3128", "username": "joe", "password": "s3cret"}
KEY = {"name": "X-Api-Key", "value": "s3cret"}


def header(name: str, value: str = "x") -> dict[str, Any]:
    return {"headers": [{"name": name, "value": value}]}


def regex(pattern: str) -> dict[str, Any]:
    return {"assertions": [{"kind": "regex", "pattern": pattern}]}


@pytest.mark.parametrize(
    ("given_options", "field", "code"),
    [
        (header("X-A\r\nHost"), "headers.0.name", "character"),
        (header("X-A\n"), "headers.0.name", "character"),
        (header("X A"), "headers.0.name", "character"),
        (header("X-A:"), "headers.0.name", "character"),
        (header("X-Ä"), "headers.0.name", "character"),
        (header("X-A", "a\r\nEvil: 1"), "headers.0.value", "character"),
        (header("X-A", "a\n"), "headers.0.value", "character"),
        (header("X-A", "a\x00b"), "headers.0.value", "character"),
        (header("X-A", "\ud800"), "headers.0.value", "character"),
        (header("X-A", "ü"), "headers.0.value", "character"),
        (header("Host"), "headers.0.name", "not_settable"),
        (header("content-LENGTH"), "headers.0.name", "not_settable"),
        (header("Transfer-Encoding"), "headers.0.name", "not_settable"),
        (header("Proxy-Authorization"), "headers.0.name", "not_settable"),
        ({"headers": [KEY, {"name": "x-api-key", "value": "b"}]}, "headers.1.name", "repeated"),
        ({"headers": [KEY] * 21}, "headers", "invalid"),
        (header("X", "x" * 4097), "headers.0.value", "invalid"),
        ({"headers": {"X": "y"}}, "headers", "invalid"),
        ({"body": "x" * 65_537}, "body", "invalid"),
        ({"body": "a\x00"}, "body", "character"),
        ({"auth": BASIC | {"username": "a:b"}}, "auth.username", "character"),
        ({"auth": BASIC | {"password": "a\r\nb"}}, "auth.password", "character"),
        ({"auth": {"kind": "bearer", "token": "a b"}}, "auth.token", "character"),
        ({"auth": {"kind": "bearer", "token": "a\nb"}}, "auth.token", "character"),
        ({"auth": {"kind": "ntlm"}}, "auth.kind", "invalid"),
        ({"auth": BASIC, **header("authorization")}, "auth", "contradiction"),
        ({"ip_version": 5}, "ip_version", "invalid"),
        ({"connect_to": "a/b"}, "connect_to", "invalid"),
        ({"connect_to": "a:80"}, "connect_to", "invalid"),
        ({"connect_to": "u@b"}, "connect_to", "invalid"),
        ({"connect_to": "[::1]"}, "connect_to", "invalid"),
        ({"connect_to": "fe80::1%eth0"}, "connect_to", "invalid"),
        ({"connect_to": "a b"}, "connect_to", "invalid"),
        ({"connect_to": "300.1.1.1"}, "connect_to", "invalid"),
        ({"http_version": "1.0"}, "http_version", "invalid"),
        ({"name_server": "dns.example.com"}, "name_server", "invalid"),
        ({"proxy": {}}, "proxy", "invalid"),
        ({"proxy": {"url": "socks4://a:1"}}, "proxy.url", "invalid"),
        ({"proxy": PROXY | {"username": "a:b"}}, "proxy.username", "character"),
        ({"proxy": PROXY | {"password": "a\r\nb"}}, "proxy.password", "character"),
        ({"proxy": {"url": "http://a:1", "password": "s3cret"}}, "proxy.username", "contradiction"),
        ({"proxy": PROXY, "connect_to": "a"}, "connect_to", "contradiction"),
        ({"proxy": PROXY, "http_version": "3"}, "http_version", "contradiction"),
        ({"min_tls_version": "1.1"}, "min_tls_version", "invalid"),
        ({"connect_timeout_ms": 99}, "connect_timeout_ms", "invalid"),
        ({"degraded_after_ms": True}, "degraded_after_ms", "invalid"),
        ({"colour": 1}, "", "invalid"),
        ({"assertions": [{"kind": "keyword", "text": ""}]}, "assertions.0.text", "invalid"),
        (regex("("), "assertions.0.pattern", "invalid"),
        (regex("(?=look)"), "assertions.0.pattern", "invalid"),
        (regex(r"(a)\1"), "assertions.0.pattern", "invalid"),
        (regex("((a{100}){100}){100}"), "assertions.0.pattern", "invalid"),
        (regex("(?:[ab]{1,30}){40}"), "assertions.0.pattern", "invalid"),
        ({"assertions": [{"kind": "json", "path": "$..a"}]}, "assertions.0.path", "invalid"),
        ({"assertions": [{"kind": "json", "path": "$", "value": 10**30}]}, "assertions.0.value", "invalid"),
        ({"assertions": [{"kind": "json", "path": "$", "value": float("inf")}]}, "assertions.0.value", "invalid"),
        ({"assertions": [{"kind": "certificate_days", "at_least": 0}]}, "assertions.0.at_least", "invalid"),
    ],
)
def test_each_bad_option_is_named(given_options: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(BadOption) as refused:
        parse_options(given_options)
    assert (refused.value.field, refused.value.code) == (field, code), refused.value.message
    assert "s3cret" not in refused.value.message


@given(st.text(), st.text())
def test_no_accepted_header_ends_its_line(name: str, value: str) -> None:
    try:
        options = parse_options(header(name, value))
    except BadOption:
        return
    line = f"{options.headers[0].name}: {options.headers[0].value}"
    assert line.isascii()
    assert not set(line) & set("\r\n\x00\x0b\x0c")


@pytest.mark.parametrize(
    ("given_options", "method", "field", "code"),
    [
        ({"body": "x"}, "GET", "body", "not_with_method"),
        ({"assertions": [{"kind": "keyword", "text": "x"}]}, "HEAD", "assertions", "not_with_method"),
        ({"connect_timeout_ms": 5001}, "GET", "connect_timeout_ms", "too_long"),
        ({"degraded_after_ms": 5001}, "GET", "degraded_after_ms", "too_long"),
    ],
)
def test_options_must_fit_the_request(given_options: dict[str, Any], method: str, field: str, code: str) -> None:
    with pytest.raises(BadOption) as refused:
        check_fit(parse_options(given_options), scheme="https", method=method, timeout_ms=5000)
    assert (refused.value.field, refused.value.code) == (field, code)


def test_secrets_are_masked_and_nothing_else_is() -> None:
    options = parse_options({"headers": [KEY, {"name": "Accept", "value": "a/b"}], "auth": BASIC, "body": "b"})
    assert options.has_secrets
    shown = msgspec.to_builtins(masked(options))
    assert shown["auth"] == BASIC | {"password": MASK}
    assert [one["value"] for one in shown["headers"]] == [MASK, "a/b"]
    assert shown["body"] == "b"
    assert not parse_options({"headers": [{"name": "Accept", "value": "a/b"}]}).has_secrets
    proxied = parse_options({"proxy": PROXY})
    assert proxied.has_secrets
    assert msgspec.to_builtins(masked(proxied)) == {"proxy": PROXY | {"password": MASK}}
    open_proxy = parse_options({"proxy": {"url": "http://proxy.test:3128"}})
    assert not open_proxy.has_secrets
    assert masked(open_proxy) == open_proxy


@pytest.mark.parametrize("auth", [BASIC, BASIC | {"kind": "digest"}, BEARER])
def test_what_is_shown_can_be_sent_back(auth: dict[str, str]) -> None:
    options = parse_options({"headers": [KEY], "auth": auth, "ip_version": 4, "proxy": PROXY})
    assert merged(options, msgspec.to_builtins(masked(options))) == options


def test_an_edit_replaces_what_it_names_and_keeps_the_rest() -> None:
    before = parse_options({"headers": [KEY], "auth": BASIC, "ip_version": 4})
    after = merged(before, {"auth": BASIC | {"username": "ann", "password": MASK}, "ip_version": None})
    assert after.headers == before.headers
    assert after.auth == parse_options({"auth": BASIC | {"username": "ann"}}).auth
    assert after.ip_version is None
    assert merged(before, {"auth": None, "headers": []}) == RequestOptions(ip_version=4)


@pytest.mark.parametrize(
    "given_options",
    [
        {"auth": BEARER | {"token": MASK}},
        {"headers": [{"name": "Cookie", "value": MASK}]},
        {"auth": BASIC | {"password": MASK}},
        {"proxy": PROXY | {"password": MASK}},
    ],
)
def test_a_mask_that_stands_for_nothing_is_refused(given_options: dict[str, Any]) -> None:
    with pytest.raises(BadOption) as refused:
        merged(parse_options({"headers": [KEY]}), given_options)
    assert refused.value.code == "nothing_stored"


def pem_pair() -> tuple[str, str]:
    """A certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    signed = builder.not_valid_before(begins).not_valid_after(begins + timedelta(days=365)).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return signed.public_bytes(Encoding.PEM).decode(), private.decode()


def test_a_client_certificate_needs_its_key_which_is_never_shown() -> None:
    certificate, key = pem_pair()
    stored = merged(RequestOptions(), {"client_certificate": {"certificate": certificate, "key": key}})
    assert stored.has_secrets
    shown = msgspec.to_builtins(masked(stored))
    assert shown == {"client_certificate": {"certificate": certificate, "key": MASK}}
    assert merged(stored, shown) == stored
    assert merged(stored, {"client_certificate": None}) == RequestOptions()
    other_certificate, other_key = pem_pair()
    for bad, field in [
        ({"certificate": certificate, "key": other_key}, "client_certificate.key"),
        ({"certificate": other_certificate, "key": MASK}, "client_certificate.key"),
        ({"certificate": certificate, "key": "x"}, "client_certificate.key"),
        ({"certificate": "x", "key": key}, "client_certificate.certificate"),
        ({"certificate": "é", "key": key}, "client_certificate.certificate"),
    ]:
        with pytest.raises(BadOption) as refused:
            merged(stored, {"client_certificate": bad})
        assert refused.value.field == field
    with pytest.raises(BadOption):
        merged(RequestOptions(), {"client_certificate": {"certificate": certificate, "key": MASK}})


def test_options_of_another_version_are_said_to_be_unreadable() -> None:
    with pytest.raises(BadOption):
        load_options('{"from_the_future": 1}')


def test_plain_checks_load_no_libraries_of_options() -> None:
    code = "import sys, core.domain.probes; print([name for name in ('re2', 'cryptography', 'pynamodb') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
