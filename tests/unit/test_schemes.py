"""Kinds of check: their URLs in one form, and what is refused."""

import pytest

from core.domain.schemes import HTTP_SETTINGS, TLS_SETTINGS, normalise_target, unfit_setting
from core.domain.urls import BadUrl

PLAIN = {**HTTP_SETTINGS, **TLS_SETTINGS}


@pytest.mark.parametrize(
    ("url", "form", "host", "port"),
    [
        ("HTTPS://Example.com", "https://example.com/", "example.com", 443),
        ("tcp://DB.example.com:5432", "tcp://db.example.com:5432", "db.example.com", 5432),
        ("tcp://[2001:DB8::1]:80/", "tcp://[2001:db8::1]:80", "2001:db8::1", 80),
        ("tcp://127.1:80", "tcp://127.0.0.1:80", "127.0.0.1", 80),
        (
            "tls://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example",
            "tls://xn--bcher-kva.example",
            "xn--bcher-kva.example",
            443,
        ),
        ("TLS://example.com:443/", "tls://example.com", "example.com", 443),
        ("tls://example.com:8443", "tls://example.com:8443", "example.com", 8443),
        ("dns://_dmarc.Example.com.", "dns://_dmarc.example.com", "_dmarc.example.com", 0),
        ("smtp://mx.example.com", "smtp://mx.example.com", "mx.example.com", 25),
        ("smtp://mx.example.com:587", "smtp://mx.example.com:587", "mx.example.com", 587),
        ("smtps://mx.example.com:465", "smtps://mx.example.com", "mx.example.com", 465),
        ("imap://mx.example.com", "imap://mx.example.com", "mx.example.com", 143),
        ("imaps://mx.example.com", "imaps://mx.example.com", "mx.example.com", 993),
        ("ftp://files.example.com", "ftp://files.example.com", "files.example.com", 21),
        ("ftps://files.example.com", "ftps://files.example.com", "files.example.com", 990),
        ("ws://example.com:80/a b?c=d#e".replace(" ", "%20"), "ws://example.com/a%20b?c=d", "example.com", 80),
        ("wss://Example.com", "wss://example.com/", "example.com", 443),
    ],
)
def test_each_kind_has_one_form(url: str, form: str, host: str, port: int) -> None:
    found = normalise_target(url)
    assert (found.url, found.host, found.port) == (form, host, port)
    assert found.scheme == form.partition(":")[0]
    assert normalise_target(found.url) == found


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("gopher://example.com", "scheme"),
        ("telnet://example.com:23", "scheme"),
        ("example.com", "scheme"),
        ("", "scheme"),
        ("tcp://example.com", "port"),
        ("tcp://example.com:", "port"),
        ("tcp://example.com:0", "port"),
        ("tcp://example.com:70000", "port"),
        ("tcp://:80", "host"),
        ("tcp:example.com:80", "host"),
        ("tcp://a,b:80", "host"),
        ("tcp://example.com:80/path", "path"),
        ("tls://example.com?x=1", "path"),
        ("imaps://example.com/INBOX", "path"),
        ("ftp://user:password@example.com", "userinfo"),
        ("smtp://user@example.com:587", "userinfo"),
        ("dns://example.com:53", "port"),
        ("dns://192.0.2.1", "host"),
        ("dns://[::1]", "host"),
        ("dns://example.com/?type=MX", "path"),
        ("tls://exa\tmple.com", "character"),
        ("wss://example.com/" + "\N{SNOWMAN}" * 700, "length"),
    ],
)
def test_each_bad_url_is_refused(url: str, code: str) -> None:
    with pytest.raises(BadUrl) as refused:
        normalise_target(url)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("scheme", "setting", "value", "unfit"),
    [
        ("https", "method", "HEAD", None),
        ("tcp", "method", "HEAD", "method"),
        ("wss", "accepted_status", "101", "accepted_status"),
        ("tls", "follow_redirects", False, "follow_redirects"),
        ("dns", "max_redirects", 0, "max_redirects"),
        ("tls", "verify_tls", False, None),
        ("http", "verify_tls", False, None),
        ("tcp", "verify_tls", False, "verify_tls"),
        ("ws", "verify_tls", False, "verify_tls"),
        ("ftp", "verify_tls", False, "verify_tls"),
        ("smtp", "verify_tls", False, None),
    ],
)
def test_settings_that_a_kind_has_no_use_for_are_found(scheme: str, setting: str, value: object, unfit: str | None) -> None:
    assert unfit_setting(scheme, PLAIN) is None
    assert unfit_setting(scheme, PLAIN | {setting: value}) == unfit
