"""What ends, in the API: the certificate that a website showed, and the switch for notices about it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from core.api.monitors.models import Certificate, Monitor, Website
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
