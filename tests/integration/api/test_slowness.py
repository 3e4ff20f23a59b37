"""Whoever wants to be told of slowness says so with the website."""

from typing import Any

import pytest
from django.db import connection

from core.api.monitors.models import Website
from tests.integration.api.calls import fields
from tests.integration.api.conftest import Caller
from tests.integration.api.test_websites import create

ADDRESS = "http://93.184.216.34/"


def change(alice: Caller, site: dict[str, Any], **values: Any) -> Any:
    return alice.client.patch(f"/api/v1/websites/{site['id']}/", values, format="json")


def test_nobody_is_told_unless_they_ask(alice: Caller) -> None:
    site = create(alice, url=ADDRESS)
    assert site["degraded_threshold"] == 0
    changed = change(alice, site, degraded_threshold=5, options={"degraded_after_ms": 800})
    assert changed.json()["degraded_threshold"] == 5
    assert Website.objects.get().degraded_threshold == 5
    assert change(alice, site, degraded_threshold=0, options={"degraded_after_ms": None}).json()["degraded_threshold"] == 0
    asked = create(alice, url=ADDRESS, degraded_threshold=1, options={"degraded_after_ms": 800})
    assert asked["degraded_threshold"] == 1


@pytest.mark.parametrize(("value", "code"), [(61, "max_value"), (-1, "min_value"), ("3", "invalid"), (None, "null")])
def test_a_number_of_checks_is_one(alice: Caller, value: Any, code: str) -> None:
    site = create(alice, url=ADDRESS, options={"degraded_after_ms": 800})
    assert fields(change(alice, site, degraded_threshold=value)) == {"degraded_threshold": code}


def test_it_means_nothing_without_a_limit(alice: Caller) -> None:
    site = create(alice, url=ADDRESS)
    assert fields(change(alice, site, degraded_threshold=3)) == {"degraded_threshold": "no_limit"}
    change(alice, site, degraded_threshold=3, options={"degraded_after_ms": 800})
    assert fields(change(alice, site, options={"degraded_after_ms": None})) == {"degraded_threshold": "no_limit"}


def test_a_website_can_be_deleted_while_people_know_that_it_is_slow(alice: Caller) -> None:
    site = create(alice, url=ADDRESS)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO slow_website SELECT id, now(), now(), gen_random_uuid() FROM monitor")
        assert alice.client.delete(f"/api/v1/websites/{site['id']}/").status_code == 204
        cursor.execute("SELECT count(*) FROM slow_website")
        assert cursor.fetchone() == (0,)
