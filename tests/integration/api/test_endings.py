"""What ends, in the API: the certificate that a website showed, its domain, and the switches for notices about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from core.api.monitors.models import Certificate, Domain, Monitor, Website
from core.flows.certificates import record_chains
from tests.certificates import seen_chain
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = NOW + timedelta(days=40)


@pytest.fixture(autouse=True)
def any_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are not resolved."""
    monkeypatch.setattr(settings, "PRIVATE_TARGETS", True)


def create(caller: Caller, **values: Any) -> dict[str, Any]:
    answer = caller.client.post("/api/v1/websites/", {"name": "Shop", "url": "https://shop.test/", **values}, format="json")
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def show(site: dict[str, Any], **seen: Any) -> None:
    """As a check does, on the connection of the test."""
    connection.ensure_connection()
    monitor_id = Monitor.objects.get(uid=site["id"]).id
    record_chains(connection.connection, {monitor_id: seen_chain("shop.test", END, **seen)}, NOW)


def test_the_certificate_of_a_website_is_shown_with_its_chain(alice: Caller) -> None:
    site = create(alice)
    show(site)
    shown = alice.client.get(f"/api/v1/websites/{site['id']}/certificate/").json()
    assert shown == {
        "host": "shop.test",
        "port": 443,
        "fingerprint_sha256": seen_chain("shop.test", END).fingerprint,
        "not_before": "2026-01-10T12:00:00Z",
        "not_after": "2026-04-10T12:00:00Z",
        "valid": True,
        "error": "",
        "first_seen_at": "2026-03-01T12:00:00Z",
        "seen_at": "2026-03-01T12:00:00Z",
        "chain": [
            {
                "subject": "CN=shop.test",
                "issuer": "CN=Test Authority",
                "names": ["shop.test"],
                "not_before": "2026-01-10T12:00:00Z",
                "not_after": "2026-04-10T12:00:00Z",
                "serial": shown["chain"][0]["serial"],
                "fingerprint_sha256": seen_chain("shop.test", END).fingerprint,
            }
        ],
    }
    assert int(shown["chain"][0]["serial"], 16) > 0


@pytest.mark.parametrize(
    ("seen", "valid", "error"),
    [({"error": "self-signed certificate"}, False, "self-signed certificate"), ({"verified": False}, None, "")],
)
def test_a_chain_that_was_refused_or_not_verified_says_so(
    alice: Caller, seen: dict[str, Any], valid: bool | None, error: str
) -> None:
    site = create(alice)
    show(site, **seen)
    shown = alice.client.get(f"/api/v1/websites/{site['id']}/certificate/").json()
    assert (shown["valid"], shown["error"]) == (valid, error)


def test_without_a_certificate_there_is_nothing(alice: Caller, bob: Caller) -> None:
    site = create(alice)
    problem(alice.client.get(f"/api/v1/websites/{site['id']}/certificate/"), "not-found")
    show(site)
    problem(bob.client.get(f"/api/v1/websites/{site['id']}/certificate/"), "not-found")


@pytest.mark.parametrize(
    ("url", "kept"), [("https://shop.test/other", True), ("https://shop.test:8443/", False), ("http://shop.test/", False)]
)
def test_the_certificate_of_another_server_is_forgotten(alice: Caller, url: str, kept: bool) -> None:
    site = create(alice)
    show(site)
    assert alice.client.patch(f"/api/v1/websites/{site['id']}/", {"url": url}, format="json").status_code == 200
    assert Certificate.objects.exists() is kept


def test_notices_about_the_certificate_can_be_turned_off(alice: Caller) -> None:
    site = create(alice)
    assert site["certificate_notices"] is True
    changed = alice.client.patch(f"/api/v1/websites/{site['id']}/", {"certificate_notices": False}, format="json").json()
    assert changed["certificate_notices"] is False
    assert Website.objects.get().certificate_notices is False
    assert create(alice, certificate_notices=False)["certificate_notices"] is False
    refused = alice.client.patch(f"/api/v1/websites/{site['id']}/", {"certificate_notices": "no"}, format="json")
    assert fields(refused) == {"certificate_notices": "invalid"}


def test_deleting_a_website_takes_its_certificate(alice: Caller) -> None:
    site = create(alice)
    show(site)
    assert alice.client.delete(f"/api/v1/websites/{site['id']}/").status_code == 204
    assert not Certificate.objects.exists()


def domain_of(caller: Caller, site: dict[str, Any]) -> Any:
    return caller.client.get(f"/api/v1/websites/{site['id']}/domain/")


def test_a_domain_is_watched_by_those_who_ask_for_it(alice: Caller, bob: Caller) -> None:
    site = create(alice, url="https://www.shop.co.uk/", domain_expiry=True)
    assert site["domain_expiry"] is True
    waiting = {"domain": "shop.co.uk", "state": "waiting", "ends_at": None, "registrar": None, "failure": None}
    assert domain_of(alice, site).json() == {**waiting, "answered_at": None, "asked_at": None, "next_at": None}
    problem(domain_of(bob, site), "not-found")
    other = create(alice)
    assert other["domain_expiry"] is False
    problem(domain_of(alice, other), "not-found")


@pytest.mark.parametrize(
    ("asking", "failure", "state"),
    [(True, "", "known"), (True, "the registry answered with status 500", "unknown"), (False, "", "off")],
)
def test_what_the_registry_said_is_shown(
    alice: Caller, monkeypatch: pytest.MonkeyPatch, asking: bool, failure: str, state: str
) -> None:
    monkeypatch.setattr(settings, "DOMAIN_EXPIRY", asking)
    site = create(alice, url="https://www.shop.com/", domain_expiry=True)
    Domain.objects.create(
        name="shop.com", ends_at=END, registrar="Registrar Inc.", failure=failure, answered_at=NOW, asked_at=NOW, next_at=END
    )
    shown = domain_of(alice, site).json()
    assert (shown["state"], shown["failure"]) == (state, failure or None)
    assert (shown["ends_at"], shown["registrar"]) == ("2026-04-10T12:00:00Z", "Registrar Inc.")
    assert shown["next_at"] == ("2026-04-10T12:00:00Z" if asking else None)


@pytest.mark.parametrize("url", ["http://93.184.216.34/", "http://localhost/", "https://someone.github.io/"])
def test_what_has_no_domain_of_its_own_cannot_be_watched(alice: Caller, url: str) -> None:
    values = {"name": "Shop", "url": url, "domain_expiry": True}
    refused = alice.client.post("/api/v1/websites/", values, format="json")
    assert fields(refused) == {"domain_expiry": "no_domain"}


def test_the_domain_follows_the_url_and_can_be_let_go(alice: Caller) -> None:
    site = create(alice, url="https://www.shop.com/", domain_expiry=True)

    def edit(**changes: Any) -> Any:
        return alice.client.patch(f"/api/v1/websites/{site['id']}/", changes, format="json")

    assert edit(url="https://www.store.com/").json()["domain_expiry"] is True
    assert domain_of(alice, site).json()["domain"] == "store.com"
    assert fields(edit(url="http://93.184.216.34/")) == {"domain_expiry": "no_domain"}
    assert edit(url="http://93.184.216.34/", domain_expiry=False).json()["domain_expiry"] is False
    problem(domain_of(alice, site), "not-found")
    assert edit(name="Store").json()["domain_expiry"] is False
