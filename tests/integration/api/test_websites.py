"""Websites: what is accepted, what an edit does to a check under way, and what is shown."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import TestCase
from django.utils import timezone

from core.api.monitors.models import CheckResult, Monitor, WebsiteState
from core.domain.outcomes import Outcome, Reason
from core.domain.schedule import next_check_at
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller, Edge

SITE = {"name": "Shop", "url": "http://192.0.2.1/"}


pytestmark = pytest.mark.usefixtures("names")


def create(caller: Caller, **values: Any) -> dict[str, Any]:
    answer = caller.client.post("/api/v1/websites/", {"name": "Shop", "url": "http://shop.test/", **values}, format="json")
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def state_of(site: dict[str, Any]) -> WebsiteState:
    return WebsiteState.objects.get(monitor__uid=site["id"])


def put_under_way(site: dict[str, Any], **values: Any) -> None:
    """As if a worker held the lease, and a confirmation was under way."""
    held = {"lease_id": uuid4(), "leased_until": timezone.now() + timedelta(seconds=30), "failures": 2}
    WebsiteState.objects.filter(monitor__uid=site["id"]).update(**held | values)


def test_a_new_website_is_due_at_once_and_shows_its_defaults(alice: Caller) -> None:
    site = create(alice, url="HTTP://Shop.TEST:80/a#part", tags=["eu", "eu", "web"])
    assert site["url"] == "http://shop.test/a"
    assert (site["interval_s"], site["retry_interval_s"], site["timeout_ms"]) == (60, 10, 10_000)
    assert (site["state"], site["last_check"], site["tags"]) == ("new", None, ["eu", "web"])
    assert abs(datetime.fromisoformat(site["next_check_at"]) - timezone.now()) < timedelta(seconds=30)
    assert alice.client.get(f"/api/v1/websites/{site['id']}/").json() == site


def test_defaults_fit_a_short_interval(alice: Caller) -> None:
    site = create(alice, interval_s=5)
    assert (site["retry_interval_s"], site["timeout_ms"]) == (5, 5000)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"url": "gopher://shop.test/"}, "url", "scheme"),
        ({"url": "http://user:pass@shop.test/"}, "url", "userinfo"),
        ({"url": "http://127.0.0.1/"}, "url", "refused_address"),
        ({"url": "http://0x7f.1/"}, "url", "refused_address"),
        ({"url": "http://localhost:8000/"}, "url", "refused_address"),
        ({"url": "http://api.localhost/"}, "url", "refused_address"),
        ({"url": "http://169.254.169.254/latest/"}, "url", "refused_address"),
        ({"url": "http://[::ffff:10.0.0.1]/"}, "url", "refused_address"),
        ({"url": "http://inside.test/"}, "url", "refused_address"),
        ({"url": "nonsense"}, "url", "scheme"),
        ({"url": None}, "url", "null"),
        ({"url": 5}, "url", "invalid"),
        ({"name": ""}, "name", "blank"),
        ({"name": "x" * 101}, "name", "max_length"),
        ({"name": "a\x00b"}, "name", "null_characters_not_allowed"),
        ({"name": "a\ud800b"}, "name", "surrogate_characters_not_allowed"),
        ({"method": "BREW"}, "method", "invalid_choice"),
        ({"interval_s": 4}, "interval_s", "min_value"),
        ({"interval_s": 86_401}, "interval_s", "max_value"),
        ({"interval_s": "60"}, "interval_s", "invalid"),
        ({"interval_s": True}, "interval_s", "invalid"),
        ({"interval_s": 60.5}, "interval_s", "invalid"),
        ({"interval_s": 10**30}, "interval_s", "max_value"),
        ({"timeout_ms": 999}, "timeout_ms", "min_value"),
        ({"interval_s": 10, "timeout_ms": 11_000}, "timeout_ms", "too_long"),
        ({"interval_s": 10, "retry_interval_s": 11}, "retry_interval_s", "too_long"),
        ({"failure_threshold": 0}, "failure_threshold", "min_value"),
        ({"recovery_threshold": 11}, "recovery_threshold", "max_value"),
        ({"accepted_status": "200-"}, "accepted_status", "invalid"),
        ({"verify_tls": "yes"}, "verify_tls", "invalid"),
        ({"tags": "web"}, "tags", "not_a_list"),
        ({"tags": ["ok", ""]}, "tags.1", "blank"),
        ({"colour": "red"}, "colour", "unknown_field"),
        ({"a\ud800": 1}, "a?", "unknown_field"),
    ],
)
def test_each_bad_field_is_named(
    alice: Caller, names: dict[str, tuple[str, ...]], change: dict[str, Any], field: str, code: str
) -> None:
    names["inside.test"] = ("10.0.0.1", "127.0.0.1")
    body = json.dumps({"name": "Shop", "url": "http://shop.test/"} | change)
    answer = alice.client.post("/api/v1/websites/", body, content_type="application/json")
    assert fields(answer) == {field: code}
    assert Monitor.objects.count() == 0


def test_all_errors_come_at_once(alice: Caller) -> None:
    answer = alice.client.post("/api/v1/websites/", {"interval_s": 1, "url": "x"}, format="json")
    assert fields(answer) == {"name": "required", "interval_s": "min_value", "url": "scheme"}


def test_a_name_with_one_good_address_or_none_is_accepted(alice: Caller, names: dict[str, tuple[str, ...]]) -> None:
    names["both.test"] = ("10.0.0.1", "93.184.216.34")
    create(alice, url="http://both.test/")
    create(alice, url="http://not-yet.test/")


def test_private_targets_are_a_setting_and_metadata_never(alice: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PRIVATE_TARGETS", True)
    create(alice, url="http://127.0.0.1:8080/")
    create(alice, url="http://localhost/")
    body = {"name": "x", "url": "http://169.254.169.254/"}
    assert fields(alice.client.post("/api/v1/websites/", body, format="json")) == {"url": "refused_address"}


@pytest.mark.parametrize(
    "change", [{"url": "http://shop.test/other"}, {"method": "HEAD"}, {"timeout_ms": 2000}, {"verify_tls": False}]
)
def test_a_changed_check_voids_what_is_under_way_and_is_due_at_once(alice: Caller, change: dict[str, Any]) -> None:
    site = create(alice)
    put_under_way(site, next_check_at=timezone.now() + timedelta(minutes=5), state="down")
    edited = alice.client.patch(f"/api/v1/websites/{site['id']}/", change, format="json").json()
    state = state_of(site)
    assert (state.lease_id, state.leased_until, state.failures, state.first_failure_at) == (None, None, 0, None)
    assert state.next_check_at is not None
    assert state.next_check_at <= timezone.now()
    assert Monitor.objects.get(uid=site["id"]).website.config_version == 2
    assert edited["state"] == "down", "until a check says otherwise"


def test_a_new_name_leaves_the_check_alone(alice: Caller) -> None:
    site = create(alice)
    put_under_way(site)
    before = state_of(site)
    edited = alice.client.patch(f"/api/v1/websites/{site['id']}/", {"name": "Store", "tags": ["a"]}, format="json").json()
    assert (edited["name"], edited["tags"]) == ("Store", ["a"])
    after = state_of(site)
    assert (after.lease_id, after.next_check_at, after.failures) == (before.lease_id, before.next_check_at, 2)
    assert Monitor.objects.get(uid=site["id"]).website.config_version == 1


def test_an_unchanged_value_changes_nothing(alice: Caller) -> None:
    site = create(alice)
    put_under_way(site)
    alice.client.patch(f"/api/v1/websites/{site['id']}/", {"url": "http://shop.test", "interval_s": 60}, format="json")
    assert state_of(site).lease_id is not None
    assert Monitor.objects.get(uid=site["id"]).website.config_version == 1


def test_a_shorter_interval_brings_the_next_check_forward_in_phase(alice: Caller) -> None:
    site = create(alice, interval_s=3600)
    monitor = Monitor.objects.get(uid=site["id"])
    WebsiteState.objects.filter(monitor=monitor).update(next_check_at=timezone.now() + timedelta(minutes=50))
    alice.client.patch(f"/api/v1/websites/{site['id']}/", {"interval_s": 20}, format="json")
    due = state_of(site).next_check_at
    assert due is not None
    assert due <= timezone.now() + timedelta(seconds=20)
    assert next_check_at(monitor.id, 20, due - timedelta(microseconds=1)) == due


def test_a_new_interval_voids_a_check_that_would_schedule_by_the_old_one(alice: Caller) -> None:
    site = create(alice, interval_s=3600)
    due = timezone.now() - timedelta(seconds=1)
    put_under_way(site, next_check_at=due)
    alice.client.patch(f"/api/v1/websites/{site['id']}/", {"interval_s": 20}, format="json")
    state = state_of(site)
    assert (state.lease_id, state.next_check_at, state.failures) == (None, due, 2)


def test_an_edit_must_fit_what_stays(alice: Caller) -> None:
    site = create(alice)
    answer = alice.client.patch(f"/api/v1/websites/{site['id']}/", {"interval_s": 5}, format="json")
    assert fields(answer) == {"timeout_ms": "too_long"}
    assert alice.client.get(f"/api/v1/websites/{site['id']}/").json()["interval_s"] == 60


def test_pausing_and_resuming_keeps_the_phase_and_repeats_harmlessly(alice: Caller) -> None:
    site = create(alice)
    put_under_way(site)
    for _ in range(2):
        paused = alice.client.post(f"/api/v1/websites/{site['id']}/pause/").json()
        assert paused["paused_at"] is not None
        assert paused["next_check_at"] is None
    assert state_of(site).lease_id is None
    problem(alice.client.post(f"/api/v1/websites/{site['id']}/check-now/"), "conflict")
    alice.client.patch(f"/api/v1/websites/{site['id']}/", {"url": "http://shop.test/b"}, format="json")
    assert state_of(site).next_check_at is None, "editing does not resume"
    resumed = alice.client.post(f"/api/v1/websites/{site['id']}/resume/").json()
    due = datetime.fromisoformat(resumed["next_check_at"])
    monitor = Monitor.objects.get(uid=site["id"])
    assert resumed["paused_at"] is None
    assert next_check_at(monitor.id, 60, due - timedelta(microseconds=1)) == due
    again = alice.client.post(f"/api/v1/websites/{site['id']}/resume/").json()
    assert again["next_check_at"] == resumed["next_check_at"]


def test_check_now_makes_it_due_and_tells_the_fleet(alice: Caller, outside: Edge) -> None:
    site = create(alice)
    WebsiteState.objects.update(next_check_at=timezone.now() + timedelta(minutes=5))
    assert alice.client.post(f"/api/v1/websites/{site['id']}/check-now/").status_code == 202
    due = state_of(site).next_check_at
    assert due is not None
    assert due <= timezone.now()
    assert outside.tasks.sent == [("check_single_website", (site["id"],))]


@pytest.mark.parametrize(
    ("call", "body", "looks"),
    [
        ("post ", {"name": "new", "url": "http://shop.test/new"}, 1),
        ("patch {id}/", {"url": "http://shop.test/other"}, 1),
        ("patch {id}/", {"interval_s": 30}, 1),
        ("patch {id}/", {"name": "Store"}, 0),
        ("post {id}/resume/", {}, 1),
        ("post {id}/pause/", {}, 0),
    ],
)
def test_what_is_due_sooner_is_looked_for_once_it_is_committed(
    alice: Caller, outside: Edge, call: str, body: dict[str, Any], looks: int
) -> None:
    """Where little is checked, due websites are looked for every four seconds."""
    site = create(alice)
    method, path = call.split(" ")
    if "resume" in path:
        alice.client.post(f"/api/v1/websites/{site['id']}/pause/")
    with TestCase.captureOnCommitCallbacks(execute=True):
        getattr(alice.client, method)(f"/api/v1/websites/{path.format(id=site['id'])}", body, format="json")
        assert outside.tasks.looks == 0, "who looks now does not see it yet"
    assert outside.tasks.looks == looks


def test_the_last_check_and_the_results_are_shown(alice: Caller) -> None:
    site = create(alice)
    at = datetime.now(UTC)
    monitor = Monitor.objects.get(uid=site["id"])
    facts = {"last_checked_at": at, "last_outcome": Outcome.DOWN, "last_reason": Reason.HTTP_STATUS, "last_status_code": 503}
    WebsiteState.objects.update(**facts, last_total_us=12_345, failures=1)
    shown = alice.client.get(f"/api/v1/websites/{site['id']}/").json()
    assert shown["last_check"] | {"at": None} == {
        "at": None,
        "outcome": "down",
        "reason": "http_status",
        "status_code": 503,
        "duration_ms": 12.345,
    }
    assert shown["consecutive_failures"] == 1
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO check_result (monitor_id, checked_at, total_us, outcome, reason, status_code) VALUES (%s, %s, 1500, %s, %s, 200)",
            [(monitor.id, at - timedelta(hours=n), Outcome.UP if n else Outcome.DOWN, Reason.OK) for n in range(60)],
        )
    assert CheckResult.objects.count() == 60
    page = alice.client.get(f"/api/v1/websites/{site['id']}/results/", {"page_size": 7}).json()
    assert page["results"][0]["outcome"] == "down"
    assert page["results"][0]["duration_ms"] == 1.5
    seen = [result["at"] for result in page["results"]]
    while page["next"]:
        page = alice.client.get(page["next"].removeprefix("http://monitor.test")).json()
        seen += [result["at"] for result in page["results"]]
    assert len(set(seen)) == 60
    assert seen == sorted(seen, reverse=True)
    downs = alice.client.get(f"/api/v1/websites/{site['id']}/results/", {"outcome": "down"}).json()["results"]
    assert len(downs) == 1
    since = {"since": (at - timedelta(hours=2, minutes=30)).isoformat()}
    assert len(alice.client.get(f"/api/v1/websites/{site['id']}/results/", since).json()["results"]) == 3


def test_deleting_takes_everything_of_the_website(alice: Caller) -> None:
    site = create(alice)
    assert alice.client.delete(f"/api/v1/websites/{site['id']}/").status_code == 204
    problem(alice.client.get(f"/api/v1/websites/{site['id']}/"), "not-found")
    assert not WebsiteState.objects.exists()


def test_lists_filter_by_state_tag_name_and_pause(alice: Caller) -> None:
    shop = create(alice, name="Big Shop", tags=["eu"])
    blog = create(alice, name="Blog", tags=["us", "eu"])
    alice.client.post(f"/api/v1/websites/{blog['id']}/pause/")
    WebsiteState.objects.filter(monitor__uid=shop["id"]).update(state="up")

    def found(**query: str) -> set[str]:
        return {site["name"] for site in alice.client.get("/api/v1/websites/", query).json()["results"]}

    assert found() == {"Big Shop", "Blog"}
    assert found(state="up") == {"Big Shop"}
    assert found(tag="us") == {"Blog"}
    assert found(tag="e") == set()
    assert found(name="SHOP") == {"Big Shop"}
    assert found(paused="true") == {"Blog"}
    assert found(paused="false") == {"Big Shop"}
    assert fields(alice.client.get("/api/v1/websites/", {"paused": "maybe"})) == {"paused": "invalid"}
    assert fields(alice.client.get("/api/v1/websites/", {"stat": "up"})) == {"stat": "unknown_field"}
    assert fields(alice.client.get("/api/v1/websites/?state=up&state=down")) == {"state": "repeated"}


def test_others_find_nothing_behind_any_address(alice: Caller, bob: Caller) -> None:
    site = create(alice)
    address = f"/api/v1/websites/{site['id']}/"
    for method, path in [
        ("get", ""),
        ("patch", ""),
        ("delete", ""),
        ("post", "pause/"),
        ("post", "resume/"),
        ("post", "check-now/"),
        ("get", "results/"),
    ]:
        problem(getattr(bob.client, method)(address + path, format="json"), "not-found")
    problem(alice.client.get(f"/api/v1/heartbeats/{site['id']}/"), "not-found")
    assert bob.client.get("/api/v1/websites/").json()["results"] == []
