"""Check now, in the API: who waits, for how long, and what comes of it. The fleet's part is in tests/integration/test_wishes.py."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from django.conf import settings

from core.api.websites import checks
from tests.integration.api.calls import problem
from tests.integration.api.conftest import Caller, Edge
from tests.reports import good_report


@pytest.fixture(autouse=True)
def any_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are not resolved."""
    monkeypatch.setattr(settings, "PRIVATE_TARGETS", True)


def create(caller: Caller, **values: Any) -> dict[str, Any]:
    answer = caller.client.post("/api/v1/websites/", {"name": "Shop", "url": "http://shop.test/", **values}, format="json")
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def check(caller: Caller, site: dict[str, Any]) -> Any:
    return caller.client.post(f"/api/v1/websites/{site['id']}/check/")


def test_a_check_is_answered_with_all_that_is_known_of_it(alice: Caller, outside: Edge) -> None:
    site = create(alice)
    answer = check(alice, site)
    assert answer.status_code == 200
    assert answer.json() == msgspec.json.decode(msgspec.json.encode(good_report(UUID(site["id"]))))
    assert outside.tasks.sent == [("check_single_website", (site["id"],))]


def test_who_waits_asks_the_fleet_again_until_there_is_an_answer(
    alice: Caller, outside: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "FIRST_LOOK_S", 1e-9)
    site = create(alice)
    outside.checks.answers = [good_report(UUID(site["id"]))]
    assert check(alice, site).status_code == 200
    assert len(outside.tasks.sent) > 1


def test_who_waits_in_vain_is_told_where_to_look(alice: Caller, outside: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "GRACE_S", -0.9)
    outside.checks.silent = True
    assert check(alice, create(alice, timeout_ms=1000)).status_code == 202
    assert len(outside.tasks.sent) > 1


def test_what_takes_longer_can_be_fetched_later(alice: Caller, outside: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "WAITING_CHECKS", 0)
    site = create(alice)
    answer = check(alice, site)
    assert answer.status_code == 202
    [check_id] = outside.checks.asked
    where = f"/api/v1/websites/{site['id']}/checks/{check_id}/"
    assert answer.json() == {"id": str(check_id), "url": where}
    assert (answer.headers["Location"], answer.headers["Retry-After"]) == (where, "1")

    outside.checks.answers = [None]
    pending = alice.client.get(where)
    assert (pending.status_code, pending.json()["url"]) == (202, where)
    assert len(outside.tasks.sent) == 2, "whoever comes for it asks again, should the first task be lost"
    assert alice.client.get(where).json()["outcome"] == "up"


def test_only_so_many_requests_of_a_process_wait(alice: Caller, outside: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "WAITING_CHECKS", 1)
    checks._places.cache_clear()
    site = create(alice)
    assert checks._places().acquire(blocking=False)
    assert check(alice, site).status_code == 202
    checks._places().release()
    assert [check(alice, site).status_code for _ in range(3)] == [200, 200, 200]
    checks._places.cache_clear()


def test_a_paused_website_is_not_checked(alice: Caller, outside: Edge) -> None:
    site = create(alice)
    alice.client.post(f"/api/v1/websites/{site['id']}/pause/")
    problem(check(alice, site), "conflict")
    assert (outside.tasks.sent, outside.checks.asked) == ([], {})


def test_nobody_checks_or_reads_what_is_others(alice: Caller, bob: Caller, outside: Edge) -> None:
    site, other = create(alice), create(bob)
    problem(check(bob, site), "not-found")
    assert check(alice, site).status_code == 200
    [check_id] = outside.checks.asked
    problem(bob.client.get(f"/api/v1/websites/{site['id']}/checks/{check_id}/"), "not-found")
    problem(bob.client.get(f"/api/v1/websites/{other['id']}/checks/{check_id}/"), "not-found")
    problem(alice.client.get(f"/api/v1/websites/{site['id']}/checks/{uuid4()}/"), "not-found")


def test_without_redis_nobody_can_be_asked(alice: Caller, outside: Edge) -> None:
    site = create(alice)
    outside.checks.reachable = False
    answer = check(alice, site)
    problem(answer, "unavailable")
    assert answer.headers["Retry-After"] == "5"


def test_checks_are_throttled_by_caller(alice: Caller, bob: Caller, redis_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CHECKS_PER_MINUTE", 3)
    site, other = create(alice), create(bob)
    answers = [check(alice, site) for _ in range(8)]
    assert [answer.status_code for answer in answers].count(200) in (3, 6), "six where a minute ended meanwhile"
    refused = next(answer for answer in answers if answer.status_code == 429)
    problem(refused, "throttled")
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert check(bob, other).status_code == 200
    assert alice.client.get(f"/api/v1/websites/{site['id']}/").status_code == 200
