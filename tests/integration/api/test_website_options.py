"""Options of websites over HTTP: what is kept, what is shown, and what the checker reads of it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from core.api import edge
from core.api.monitors.models import Monitor, Website, WebsiteState
from core.domain.outcomes import Outcome, Reason
from core.domain.request_options import MASK, RequestOptions, load_options, parse_options
from tests.integration.api.calls import fields
from tests.integration.api.conftest import Caller
from tests.integration.api.test_websites import create, put_under_way, state_of

ADDRESS = "http://93.184.216.34/"
OPTIONS: dict[str, Any] = {
    "headers": [{"name": "Accept", "value": "a/b"}, {"name": "X-Api-Key", "value": "s3cret-key"}],
    "auth": {"kind": "basic", "username": "joe", "password": "s3cret-word"},
    "assertions": [{"kind": "keyword", "text": "ok"}, {"kind": "json", "path": "$.a", "comparison": "equals", "value": 1}],
    "degraded_after_ms": 800,
}
SHOWN: dict[str, Any] = OPTIONS | {
    "headers": [{"name": "Accept", "value": "a/b"}, {"name": "X-Api-Key", "value": MASK}],
    "auth": {"kind": "basic", "username": "joe", "password": MASK},
}


def website_of(site: dict[str, Any]) -> Website:
    return Website.objects.get(monitor__uid=site["id"])


def opened(site: dict[str, Any]) -> RequestOptions:
    sealed = website_of(site).sealed_options
    assert sealed is not None
    return edge.option_seal().open(sealed)


def change(alice: Caller, site: dict[str, Any], **options: Any) -> Any:
    return alice.client.patch(f"/api/v1/websites/{site['id']}/", {"options": options}, format="json")


def without_defaults(options: dict[str, Any]) -> dict[str, Any]:
    """The answer leaves defaults out; those of assertions may be told."""
    return {name: value for name, value in options.items() if name != "assertions"}


def test_a_plain_website_has_no_options(alice: Caller) -> None:
    site = create(alice, url=ADDRESS)
    assert site["options"] == {}
    assert (website_of(site).options, website_of(site).sealed_options) == (None, None)
    assert create(alice, url=ADDRESS, options={})["options"] == {}
    assert website_of(site).options is None


def test_options_are_kept_and_their_secrets_never_come_out(alice: Caller) -> None:
    site = create(alice, url=ADDRESS, options=OPTIONS)
    assert without_defaults(site["options"]) == without_defaults(SHOWN)
    assert parse_options(site["options"]).assertions == parse_options(OPTIONS).assertions
    assert opened(site) == parse_options(OPTIONS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(w)::text FROM website w")
        (row,) = cursor.fetchone()
    assert "s3cret" not in row
    assert "s3cret" not in alice.client.get("/api/v1/websites/").content.decode()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name_server": "127.0.0.1"}, "options.name_server"),
        ({"name_server": "[fd00:ec2::253]:53"}, "options.name_server"),
        ({"connect_to": "169.254.169.254"}, "options.connect_to"),
        ({"proxy": {"url": "http://0x7f.1:3128"}}, "options.proxy.url"),
        ({"proxy": {"url": "socks5://[::ffff:10.0.0.1]:1080"}}, "options.proxy.url"),
    ],
)
def test_an_address_that_is_never_connected_to_is_refused_at_once(alice: Caller, options: dict[str, Any], field: str) -> None:
    body = {"name": "x", "url": ADDRESS, "options": options}
    answer = alice.client.post("/api/v1/websites/", body, format="json")
    assert fields(answer) == {field: "refused_address"}


def test_the_password_of_a_proxy_never_comes_out_and_is_kept(alice: Caller) -> None:
    proxy = {"url": "socks5h://93.184.216.34:1080", "username": "joe", "password": "s3cret-pass"}
    site = create(alice, url=ADDRESS, options={"proxy": proxy, "name_server": "9.9.9.9", "http_version": "2"})
    shown = proxy | {"password": MASK}
    assert site["options"] == {"proxy": shown, "name_server": "9.9.9.9", "http_version": "2"}
    assert change(alice, site, proxy=shown | {"url": "http://93.184.216.34:3128"}).status_code == 200
    assert opened(site).proxy == parse_options({"proxy": proxy | {"url": "http://93.184.216.34:3128"}}).proxy
    assert (website_of(site).options or {})["proxy"]["password"] == MASK
    assert fields(change(alice, site, http_version="3")) == {"options.http_version": "contradiction"}
    assert change(alice, site, proxy=None).status_code == 200
    assert website_of(site).sealed_options is None


def test_options_without_secrets_are_not_sealed(alice: Caller) -> None:
    site = create(alice, url=ADDRESS, options={"ip_version": 6})
    assert (website_of(site).options, website_of(site).sealed_options) == ({"ip_version": 6}, None)


def test_what_is_shown_sent_back_changes_nothing(alice: Caller) -> None:
    site = create(alice, url=ADDRESS, options=OPTIONS)
    put_under_way(site)
    assert change(alice, site, **site["options"]).status_code == 200
    assert state_of(site).lease_id is not None
    assert website_of(site).config_version == 1
    assert opened(site) == parse_options(OPTIONS)


def test_an_edit_keeps_what_it_does_not_name_and_is_due_at_once(alice: Caller) -> None:
    site = create(alice, url=ADDRESS, options=OPTIONS)
    put_under_way(site, next_check_at=timezone.now() + timedelta(minutes=5))
    edited = change(alice, site, degraded_after_ms=None, auth={"kind": "bearer", "token": "new"}).json()
    assert without_defaults(edited["options"]) == {"headers": SHOWN["headers"], "auth": {"kind": "bearer", "token": MASK}}
    assert opened(site).headers == parse_options(OPTIONS).headers
    state = state_of(site)
    assert (state.lease_id, state.failures, website_of(site).config_version) == (None, 0, 2)
    assert state.next_check_at is not None
    assert state.next_check_at <= timezone.now()


def test_the_last_secret_that_goes_takes_the_seal_with_it(alice: Caller) -> None:
    site = create(alice, url=ADDRESS, options=OPTIONS)
    edited = change(alice, site, auth=None, headers=[], assertions=[], degraded_after_ms=None)
    assert edited.json()["options"] == {}
    assert (website_of(site).options, website_of(site).sealed_options) == (None, None)


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"options": []}, "options", "invalid"),
        ({"options": None}, "options", "null"),
        ({"options": {"colour": "red"}}, "options", "invalid"),
        ({"options": {"headers": [{"name": "A\r\nB", "value": "x"}]}}, "options.headers.0.name", "character"),
        ({"options": {"headers": [{"name": "A", "value": "x\ny"}]}}, "options.headers.0.value", "character"),
        ({"options": {"auth": {"kind": "bearer", "token": MASK}}}, "options.auth", "nothing_stored"),
        ({"options": {"assertions": [{"kind": "regex", "pattern": "("}]}}, "options.assertions.0.pattern", "invalid"),
        ({"options": {"body": "x"}}, "options.body", "not_with_method"),
        ({"method": "HEAD", "options": {"assertions": [{"kind": "json", "path": "$"}]}}, "options.assertions", "not_with_method"),
        ({"options": {"connect_timeout_ms": 10_001}}, "options.connect_timeout_ms", "too_long"),
        ({"options": {"body": "\ud800"}}, "options.body", "character"),
    ],
)
def test_each_bad_option_is_named(alice: Caller, body: dict[str, Any], field: str, code: str) -> None:
    site = {"name": "Shop", "url": ADDRESS}
    answer = alice.client.post("/api/v1/websites/", json.dumps(site | body), content_type="application/json")
    assert fields(answer) == {field: code}
    assert Monitor.objects.count() == 0


def test_a_degraded_website_is_up_and_says_so(alice: Caller) -> None:
    site = create(alice, url=ADDRESS, options={"degraded_after_ms": 800})
    assert site["degraded"] is False
    found = {"state": "up", "last_outcome": Outcome.UP, "last_reason": Reason.DEGRADED, "last_checked_at": timezone.now()}
    WebsiteState.objects.update(**found)
    shown = alice.client.get(f"/api/v1/websites/{site['id']}/").json()
    assert (shown["state"], shown["degraded"]) == ("up", True)
    assert (shown["last_check"]["outcome"], shown["last_check"]["reason"]) == ("up", "degraded")


def test_an_edit_must_fit_the_options_that_stay(alice: Caller) -> None:
    site = create(alice, url=ADDRESS, method="POST", options={"body": "x"})
    answer = alice.client.patch(f"/api/v1/websites/{site['id']}/", {"method": "GET"}, format="json")
    assert fields(answer) == {"options.body": "not_with_method"}
    assert website_of(site).method == "POST"


def test_the_checker_reads_what_the_api_wrote(alice: Caller) -> None:
    site = create(alice, url=ADDRESS, options={"ip_version": 4, "assertions": OPTIONS["assertions"]})
    with connection.cursor() as cursor:
        cursor.execute("SELECT options::text FROM website")
        (text,) = cursor.fetchone()
    assert load_options(text) == parse_options({"ip_version": 4, "assertions": OPTIONS["assertions"]})
    assert site["options"]["ip_version"] == 4
