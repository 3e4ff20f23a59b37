"""Heartbeats that are written down somewhere else: there after the call, once, whatever was there before."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from core.api.monitors.models import Heartbeat, Monitor
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller, Edge, make_caller
from tests.integration.api.test_heartbeats import create
from tests.integration.api.test_races import in_a_thread

ADDRESS = "/api/v1/heartbeats/by-slug/dump/"
WANTED = {"name": "Dump", "period_s": 3600, "grace_s": 60, "tags": ["db"]}


def put(caller: Caller, **wanted: Any) -> Any:
    return caller.client.put(ADDRESS, wanted, format="json")


def test_the_first_call_creates_and_the_next_changes_what_is_given(alice: Caller, bob: Caller) -> None:
    made = put(alice, **WANTED)
    assert (made.status_code, made.json()["slug"], made.json()["period_s"]) == (201, "dump", 3600)
    again = put(alice, **WANTED)
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert Heartbeat.objects.get().config_version == 1, "saying it again changes nothing"
    changed = put(alice, grace_s=120).json()
    assert (changed["grace_s"], changed["period_s"], changed["tags"], changed["name"]) == (120, 3600, ["db"], "Dump")
    assert alice.client.get(ADDRESS).json() == changed
    problem(bob.client.get(ADDRESS), "not-found")
    assert put(bob, **WANTED).status_code == 201, "of another workspace"


def test_one_that_was_made_otherwise_is_changed(alice: Caller) -> None:
    beat = create(alice, slug="dump")
    answer = put(alice, schedule="0 3 * * *")
    assert (answer.status_code, answer.json()["id"], answer.json()["schedule_kind"]) == (200, beat["id"], "cron")


def test_what_is_missing_or_does_not_fit_creates_nothing(alice: Caller) -> None:
    assert fields(put(alice, period_s=60)) == {"name": "required"}
    assert fields(put(alice, **WANTED, slug="other")) == {"slug": "contradiction"}
    assert fields(put(alice, **WANTED, priod=60)) == {"priod": "unknown_field"}
    assert fields(alice.client.put("/api/v1/heartbeats/by-slug/Start/", WANTED, format="json")) == {"slug": "invalid"}
    assert Monitor.objects.count() == 0


def test_a_slug_that_is_taken_and_stays_so_is_refused(alice: Caller, outside: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first ping has it at the edge, and the core does not hear of it."""
    waited: list[float] = []
    monkeypatch.setattr("core.api.heartbeats.by_slug.time.sleep", waited.append)
    outside.names.slugs[alice.workspace.id, "dump"] = uuid4()
    assert fields(put(alice, **WANTED)) == {"slug": "unique"}
    assert 1 < sum(waited) < 5


def test_eight_calls_at_once_make_one_heartbeat(committed_database: str, outside: Edge) -> None:
    caller = make_caller("alice@example.com")

    def call(_number: int) -> int:
        status: int = put(caller, **WANTED).status_code
        return status

    with ThreadPoolExecutor(8) as threads:
        answers = Counter(done.result(60) for done in [threads.submit(in_a_thread(lambda n=n: call(n))) for n in range(8)])
    assert answers == {201: 1, 200: 7}
    assert Monitor.objects.count() == 1
