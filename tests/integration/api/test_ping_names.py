"""Slugs and ping keys: unique in a workspace, at the edge before anybody sees them, and gone there when they are gone here."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from core.api.accounts.models import Workspace
from core.api.monitors.models import HeartbeatState, Monitor
from core.domain.heartbeat_watch import EdgeOptions
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller, Edge
from tests.integration.api.test_heartbeats import create, insert_pings, set_up, state_of

BEATS = "/api/v1/heartbeats/"


def patch(caller: Caller, beat: dict[str, Any], **changes: Any) -> Any:
    return caller.client.patch(f"{BEATS}{beat['id']}/", changes, format="json")


def slugs(caller: Caller, outside: Edge) -> dict[str, str]:
    return {slug: str(uid) for (workspace, slug), uid in outside.names.slugs.items() if workspace == caller.workspace.id}


def test_a_heartbeat_gets_a_slug_made_of_its_name(alice: Caller, bob: Caller, outside: Edge) -> None:
    found = [create(alice, name=name) for name in ("Nightly backup", "nightly  BACKUP", "start")]
    assert [beat["slug"] for beat in found] == ["nightly-backup", "nightly-backup-2", "heartbeat-start"]
    assert create(bob, name="Nightly backup")["slug"] == "nightly-backup", "of another workspace"
    assert slugs(alice, outside) == {beat["slug"]: beat["id"] for beat in found}
    assert outside.heartbeats.options[UUID(found[1]["id"])] == EdgeOptions("nightly-backup-2")
    assert alice.workspace.ping_key in outside.names.keys


def test_a_name_that_a_ping_has_just_taken_at_the_edge_is_passed_over(alice: Caller, outside: Edge) -> None:
    outside.names.slugs[alice.workspace.id, "backup"] = uuid4()
    beat = create(alice)
    assert beat["slug"] == "backup-2"
    assert outside.heartbeats.options[UUID(beat["id"])].slug == "backup-2"
    answer = alice.client.post(BEATS, {"name": "Backup", "slug": "backup"}, format="json")
    assert fields(answer) == {"slug": "unique"}
    assert Monitor.objects.count() == 1


def test_a_slug_is_given_once(alice: Caller, outside: Edge) -> None:
    create(alice, slug="dump")
    assert fields(alice.client.post(BEATS, {"name": "x", "slug": "dump"}, format="json")) == {"slug": "unique"}
    other = create(alice, slug="other")
    assert fields(patch(alice, other, slug="dump")) == {"slug": "unique"}
    assert outside.heartbeats.options[UUID(other["id"])].slug == "other"


@pytest.mark.parametrize("slug", ["start", "7", "-1", "Upper", "a b", "", "ä", "x" * 65, None, 7])
def test_a_slug_must_fit_into_a_ping_url(alice: Caller, slug: Any) -> None:
    assert list(fields(alice.client.post(BEATS, {"name": "x", "slug": slug}, format="json"))) == ["slug"]


def test_another_slug_ends_the_one_before(alice: Caller, outside: Edge) -> None:
    beat = create(alice)
    changed = patch(alice, beat, slug="dump").json()
    assert (changed["slug"], slugs(alice, outside)) == ("dump", {"dump": beat["id"]})
    assert outside.heartbeats.options[UUID(beat["id"])].slug == "dump"
    outside.names.reachable = False
    problem(patch(alice, beat, slug="third"), "edge-unreachable")
    assert Monitor.objects.get().slug == "dump"
    assert patch(alice, beat, name="Renamed").json()["slug"] == "dump"


def test_what_the_edge_applies_is_there_before_it_is_shown(alice: Caller, outside: Edge) -> None:
    filters = {"fail": ["ERROR", "ошибка "], "otherwise": "fail"}
    beat = create(alice, post_only=True, filters=filters, period_s=3600, grace_s=60)
    at_edge = outside.heartbeats.options[UUID(beat["id"])]
    assert (beat["post_only"], beat["filters"]) == (True, filters)
    assert (at_edge.post_only, '"otherwise": "fail"' in at_edge.filters) == (True, True)
    set_up(beat, timezone.now(), deadline_at=timezone.now() + timedelta(seconds=5))
    before = state_of(beat).deadline_at
    changed = patch(alice, beat, post_only=False, filters=None).json()
    assert (changed["post_only"], changed["filters"]) == (False, None)
    assert outside.heartbeats.options[UUID(beat["id"])] == EdgeOptions("backup")
    assert HeartbeatState.objects.get().deadline_at == before
    outside.heartbeats.reachable = False
    problem(patch(alice, beat, post_only=True), "edge-unreachable")


@pytest.mark.parametrize(
    "filters", [{"fail": "ERROR"}, {"fail": [""]}, {"otherwise": "success"}, {"stop": ["x"]}, {"fail": ["x"] * 21}, [], "x"]
)
def test_filters_are_words_by_kind(alice: Caller, filters: Any) -> None:
    answer = alice.client.post(BEATS, {"name": "x", "filters": filters}, format="json")
    assert all(name.startswith("filters") for name in fields(answer))


def test_the_ping_key_is_good_before_it_is_shown(alice: Caller, outside: Edge) -> None:
    shown = alice.client.get("/api/v1/ping-key/").json()
    assert shown["ping_url"] == f"http://ping.test/api/ping/{shown['ping_key']}/{{slug}}/"
    assert outside.names.keys[shown["ping_key"]].workspace_id == alice.workspace.id
    outside.names.reachable = False
    problem(alice.client.get("/api/v1/ping-key/"), "edge-unreachable")


def test_a_replaced_key_is_good_for_its_grace_and_the_one_before_is_not(alice: Caller, outside: Edge) -> None:
    first = alice.client.get("/api/v1/ping-key/").json()["ping_key"]
    second = alice.client.post("/api/v1/ping-key/replace/", {"grace_s": 3600}, format="json").json()
    until = datetime.fromisoformat(second["replaced_key_until"])
    assert timedelta(minutes=59) < until - timezone.now() <= timedelta(hours=1)
    assert outside.names.keys[second["ping_key"]].valid_until is None
    assert outside.names.keys[first].valid_until == until
    third = alice.client.post("/api/v1/ping-key/replace/", {"grace_s": 0}, format="json").json()
    assert set(outside.names.keys) == {third["ping_key"]}
    assert len({first, second["ping_key"], third["ping_key"]}) == 3


def test_without_the_edge_the_key_stays(alice: Caller, outside: Edge) -> None:
    outside.names.reachable = False
    problem(alice.client.post("/api/v1/ping-key/replace/", {}, format="json"), "edge-unreachable")
    assert Workspace.objects.get(pk=alice.workspace.pk).ping_key == alice.workspace.ping_key


def test_who_only_looks_does_not_see_the_key(alice: Caller) -> None:
    made = alice.client.post("/api/v1/api-keys/", {"name": "viewer", "role": "viewer"}, format="json").json()
    alice.client.credentials(HTTP_X_API_KEY=made["key"])
    problem(alice.client.get("/api/v1/ping-key/"), "forbidden")
    problem(alice.client.post("/api/v1/ping-key/replace/", {}, format="json"), "forbidden")


def test_a_body_is_found_by_the_pings_number(alice: Caller, bob: Caller, outside: Edge) -> None:
    beat = create(alice)
    outside.heartbeats.bodies[insert_pings(beat, 2)[1]] = b"\xff<b>"
    answer = alice.client.get(f"{BEATS}{beat['id']}/pings/1/body/")
    assert (answer.content, answer.headers["Content-Type"]) == (b"\xff<b>", "application/octet-stream")
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Content-Disposition"][:10]) == ("nosniff", "attachment")
    for caller, number in ((alice, 0), (alice, 7), (bob, 1)):
        problem(caller.client.get(f"{BEATS}{beat['id']}/pings/{number}/body/"), "not-found")
