"""Checks other than HTTP over the API: the scheme of the URL is the kind, and what means nothing to a kind is refused."""

import json
from typing import Any

import pytest
from django.conf import settings

from core.api.monitors.models import Monitor, Website
from core.domain.request_options import MASK, load_options, parse_options
from tests.integration.api.calls import fields
from tests.integration.api.conftest import Caller
from tests.integration.api.test_website_options import opened, website_of
from tests.integration.api.test_websites import create, state_of

pytestmark = pytest.mark.usefixtures("names")
BASIC = {"kind": "basic", "username": "joe", "password": "s3cret-word"}


def patch(alice: Caller, site: dict[str, Any], **changes: Any) -> Any:
    return alice.client.patch(f"/api/v1/websites/{site['id']}/", changes, format="json")


@pytest.mark.parametrize(
    ("url", "shown", "options"),
    [
        ("TCP://Shop.test:5432/", "tcp://shop.test:5432", {"tcp": {"send": "PING\r\n", "expect": "PONG"}}),
        ("tls://shop.test:443", "tls://shop.test", {"assertions": [{"kind": "certificate_days", "at_least": 14}]}),
        ("dns://shop.test", "dns://shop.test", {"dns": {"record_type": "MX", "values": ["10 mail.test"], "server": "9.9.9.9"}}),
        ("smtp://shop.test:587", "smtp://shop.test:587", {"starttls": True}),
        ("imaps://shop.test", "imaps://shop.test", {"min_tls_version": "1.3"}),
        ("ftp://shop.test", "ftp://shop.test", {"ip_version": 4, "name_server": "9.9.9.9:53"}),
        ("wss://shop.test/chat", "wss://shop.test/chat", {"degraded_after_ms": 500}),
    ],
)
def test_each_kind_is_made_by_its_scheme(alice: Caller, url: str, shown: str, options: dict[str, Any]) -> None:
    site = create(alice, url=url, options=options)
    assert site["url"] == shown
    assert parse_options(site["options"]) == parse_options(options) == load_options(json.dumps(website_of(site).options))
    assert state_of(site).next_check_at is not None
    assert patch(alice, site, url=shown, options=site["options"], method="GET").status_code == 200
    assert website_of(site).config_version == 1, "what is shown, sent back, changes nothing"


def test_defaults_that_mean_nothing_are_shown_and_harmless(alice: Caller) -> None:
    site = create(alice, url="tcp://shop.test:80")
    assert (site["method"], site["accepted_status"], site["options"]) == ("GET", "200-299", {})
    assert patch(alice, site, name="Other").json()["name"] == "Other"


def test_a_password_of_a_mailbox_is_a_secret(alice: Caller) -> None:
    site = create(alice, url="imaps://shop.test", options={"auth": BASIC})
    assert site["options"]["auth"]["password"] == MASK
    assert opened(site).auth is not None
    assert "s3cret" not in str(website_of(site).options)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"url": "gopher://shop.test"}, "url", "scheme"),
        ({"url": "tcp://shop.test"}, "url", "port"),
        ({"url": "tcp://shop.test:80/x"}, "url", "path"),
        ({"url": "ftp://joe:pw@shop.test"}, "url", "userinfo"),
        ({"url": "tcp://10.0.0.1:80"}, "url", "refused_address"),
        ({"url": "tcp://inside.test:80"}, "url", "refused_address"),
        ({"url": "ws://localhost/"}, "url", "refused_address"),
        ({"url": "smtp://shop.test"}, "url", "port_closed"),
        ({"url": "tcp://shop.test:25"}, "url", "port_closed"),
        ({"url": "http://shop.test:25/"}, "url", "port_closed"),
        ({"url": "tcp://shop.test:80", "method": "HEAD"}, "method", "not_with_kind"),
        ({"url": "wss://shop.test/", "accepted_status": "101"}, "accepted_status", "not_with_kind"),
        ({"url": "tls://shop.test", "follow_redirects": False}, "follow_redirects", "not_with_kind"),
        ({"url": "dns://shop.test", "verify_tls": False}, "verify_tls", "not_with_kind"),
        ({"url": "tls://shop.test", "options": {"headers": [{"name": "A", "value": "b"}]}}, "options.headers", "not_with_kind"),
        ({"url": "tcp://shop.test:80", "options": {"tcp": {"send": "x"}}}, "options.tcp", "invalid"),
        ({"url": "https://shop.test/", "options": {"dns": {}}}, "options.dns", "not_with_kind"),
        ({"url": "dns://shop.test", "options": {"name_server": "9.9.9.9"}}, "options.name_server", "not_with_kind"),
        ({"url": "ws://shop.test/", "options": {"http_version": "1.1"}}, "options.http_version", "not_with_kind"),
        ({"url": "tcp://shop.test:80", "options": {"proxy": {"url": "http://p.test:80"}}}, "options.proxy", "not_with_kind"),
        ({"url": "tcp://shop.test:80", "options": {"name_server": "10.0.0.53"}}, "options.name_server", "refused_address"),
        ({"url": "dns://shop.test", "options": {"dns": {"values": ["::1"]}}}, "options.dns.values.0", "invalid"),
        ({"url": "dns://shop.test", "options": {"dns": {"server": "10.0.0.53"}}}, "options.dns.server", "refused_address"),
        ({"url": "dns://shop.test", "options": {"dns": {"server": "localhost:53"}}}, "options.dns.server", "refused_address"),
        ({"url": "dns://shop.test", "options": {"dns": {"server": "a/b"}}}, "options.dns.server", "invalid"),
        ({"url": "imap://shop.test", "options": {"min_tls_version": "1.3"}}, "options.starttls", "required"),
    ],
)
def test_what_means_nothing_is_refused(
    alice: Caller, names: dict[str, tuple[str, ...]], body: dict[str, Any], field: str, code: str
) -> None:
    names["inside.test"] = ("192.168.0.1",)
    answer = alice.client.post("/api/v1/websites/", {"name": "Shop", **body}, format="json")
    assert fields(answer) == {field: code}
    assert Monitor.objects.count() == 0


def test_mail_servers_can_be_checked_where_the_port_is_open(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SMTP_PORT_25_OPEN", True)
    assert create(alice, url="smtp://shop.test")["url"] == "smtp://shop.test"


def test_a_name_whose_records_are_watched_may_lead_anywhere(alice: Caller, names: dict[str, tuple[str, ...]]) -> None:
    names["inside.test"] = ("192.168.0.1",)
    create(alice, url="dns://inside.test")


def test_a_name_server_with_a_name_is_judged_by_its_addresses(alice: Caller, names: dict[str, tuple[str, ...]]) -> None:
    names["ns.test"] = ("127.0.0.1",)
    body = {"name": "Shop", "url": "dns://shop.test", "options": {"dns": {"server": "ns.test"}}}
    assert fields(alice.client.post("/api/v1/websites/", body, format="json")) == {"options.dns.server": "refused_address"}
    names["ns.test"] = ("9.9.9.9",)
    assert alice.client.post("/api/v1/websites/", body, format="json").status_code == 201


def test_an_edit_of_the_kind_must_fit_what_stays(alice: Caller) -> None:
    site = create(alice, url="https://shop.test/", method="HEAD")
    assert fields(patch(alice, site, url="tcp://shop.test:443")) == {"method": "not_with_kind"}
    assert patch(alice, site, url="tcp://shop.test:443", method="GET").status_code == 200
    assert patch(alice, site, options={"tcp": {"expect": "hello"}}).status_code == 200
    assert fields(patch(alice, site, url="https://shop.test/")) == {"options.tcp": "not_with_kind"}
    assert patch(alice, site, url="https://shop.test/", options={"tcp": None}).json()["options"] == {}
    assert Website.objects.get().config_version == 4
