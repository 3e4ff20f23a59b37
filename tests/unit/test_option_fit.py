"""Options and kinds of check: what goes together."""

from typing import Any

import msgspec
import pytest

from core.domain.option_fit import check_fit
from core.domain.request_options import BadOption, RequestOptions, parse_options
from core.domain.schemes import SCHEMES

BASIC = {"kind": "basic", "username": "joe", "password": "pw"}
BEARER = {"kind": "bearer", "token": "t"}
KEYWORD = {"kind": "keyword", "text": "ok"}
DAYS = {"kind": "certificate_days", "at_least": 14}
SERVER = {"kind": "header", "name": "Server"}
NOT_HTTP = sorted(name for name, kind in SCHEMES.items() if not kind.is_http)
PROXY = {"url": "socks5h://gate.example.com:1080", "username": "joe", "password": "pw"}


def fit(scheme: str, options: dict[str, Any]) -> None:
    check_fit(parse_options(options), scheme=scheme, method="GET", timeout_ms=5000)


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("https", {"headers": [{"name": "A", "value": "b"}], "auth": BEARER, "assertions": [KEYWORD, DAYS, SERVER]}),
        (
            "tcp",
            {"tcp": {"send": "PING\r\n", "expect": "PONG"}, "ip_version": 6, "connect_to": "192.0.2.1", "degraded_after_ms": 9},
        ),
        ("tls", {"assertions": [DAYS], "min_tls_version": "1.3", "connect_to": "192.0.2.1"}),
        ("dns", {"dns": {"record_type": "MX"}, "degraded_after_ms": 100}),
        ("smtp", {"starttls": True, "auth": BASIC, "assertions": [KEYWORD, DAYS], "min_tls_version": "1.3"}),
        ("smtp", {"auth": BASIC, "assertions": [KEYWORD]}),
        ("smtps", {"auth": BASIC, "assertions": [DAYS]}),
        ("imap", {"starttls": True}),
        ("imaps", {"assertions": [{"kind": "regex", "pattern": "IDLE"}]}),
        ("ftp", {"auth": BASIC, "assertions": [KEYWORD]}),
        ("ftps", {"auth": BASIC, "assertions": [DAYS]}),
        ("ws", {"headers": [{"name": "Sec-WebSocket-Protocol", "value": "chat"}], "auth": BEARER, "assertions": [SERVER]}),
        ("wss", {"assertions": [DAYS, SERVER], "min_tls_version": "1.2"}),
    ],
)
def test_what_fits_is_accepted(scheme: str, options: dict[str, Any]) -> None:
    fit(scheme, options)


@pytest.mark.parametrize(
    ("scheme", "options", "field", "code"),
    [
        ("https", {"tcp": {"expect": "x"}}, "tcp", "not_with_kind"),
        ("https", {"dns": {}}, "dns", "not_with_kind"),
        ("http", {"starttls": True}, "starttls", "not_with_kind"),
        ("tcp", {"headers": [{"name": "A", "value": "b"}]}, "headers", "not_with_kind"),
        ("tcp", {"assertions": [KEYWORD]}, "assertions", "not_with_kind"),
        ("tls", {"assertions": [DAYS, KEYWORD]}, "assertions.1.kind", "not_with_kind"),
        ("tls", {"auth": BASIC}, "auth", "not_with_kind"),
        ("dns", {"ip_version": 4}, "ip_version", "not_with_kind"),
        ("dns", {"connect_to": "a.example"}, "connect_to", "not_with_kind"),
        ("smtp", {"auth": BEARER}, "auth.kind", "not_with_kind"),
        ("smtp", {"body": "x"}, "body", "not_with_kind"),
        ("smtp", {"assertions": [DAYS]}, "starttls", "required"),
        ("imap", {"min_tls_version": "1.3"}, "starttls", "required"),
        ("smtps", {"starttls": True}, "starttls", "not_with_kind"),
        ("ftp", {"starttls": True}, "starttls", "not_with_kind"),
        ("ftp", {"assertions": [DAYS]}, "assertions.0.kind", "not_with_kind"),
        ("ftp", {"min_tls_version": "1.3"}, "min_tls_version", "not_with_kind"),
        ("ws", {"assertions": [DAYS]}, "assertions.0.kind", "not_with_kind"),
        ("wss", {"auth": {**BASIC, "kind": "digest"}}, "auth.kind", "not_with_kind"),
        ("wss", {"headers": [{"name": "Sec-WebSocket-Key", "value": "x"}]}, "headers.0.name", "not_settable"),
        ("tcp", {"degraded_after_ms": 5001}, "degraded_after_ms", "too_long"),
    ],
)
def test_what_means_nothing_is_refused(scheme: str, options: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(BadOption) as refused:
        fit(scheme, options)
    assert (refused.value.field, refused.value.code) == (field, code)


def test_kinds_name_options_that_exist_and_every_option_has_a_kind() -> None:
    named = frozenset().union(*(kind.options for kind in SCHEMES.values()))
    assert named == {field.name for field in msgspec.structs.fields(RequestOptions)}


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_ways_of_http_are_of_http(scheme: str) -> None:
    fit(scheme, {"proxy": PROXY, "http_version": "2", "refuse_downgrade": True, "name_server": "9.9.9.9"})


@pytest.mark.parametrize("scheme", NOT_HTTP)
@pytest.mark.parametrize("options", [{"proxy": PROXY}, {"http_version": "1.1"}, {"refuse_downgrade": True}])
def test_the_ways_of_http_are_of_no_other_kind(scheme: str, options: dict[str, Any]) -> None:
    with pytest.raises(BadOption) as refused:
        fit(scheme, options)
    assert (refused.value.field, refused.value.code) == (*options, "not_with_kind")


@pytest.mark.parametrize("scheme", sorted(set(NOT_HTTP) - {"dns"}))
def test_every_kind_that_connects_takes_a_name_server(scheme: str) -> None:
    fit(scheme, {"name_server": "9.9.9.9:5353"})


def test_there_is_one_way_to_name_the_server_of_a_dns_check() -> None:
    fit("dns", {"dns": {"server": "9.9.9.9"}})
    with pytest.raises(BadOption, match=r"dns\.server") as refused:
        fit("dns", {"dns": {"server": "9.9.9.9"}, "name_server": "9.9.9.9"})
    assert (refused.value.field, refused.value.code) == ("name_server", "not_with_kind")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_options_fit_every_kind(scheme: str) -> None:
    fit(scheme, {})
