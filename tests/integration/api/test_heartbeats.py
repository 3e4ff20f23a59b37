"""Heartbeats: provisioned before they are shown, deadlines that follow the schedule, pings and bodies."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from core.api.monitors.models import EdgeOrphan, HeartbeatState, Monitor
from core.flows.rollups import aggregate
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller, Edge


def create(caller: Caller, **values: Any) -> dict[str, Any]:
    answer = caller.client.post("/api/v1/heartbeats/", {"name": "Backup", **values}, format="json")
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def state_of(beat: dict[str, Any]) -> HeartbeatState:
    return HeartbeatState.objects.get(monitor__uid=beat["id"])


def set_up(beat: dict[str, Any], last: datetime, **values: Any) -> None:
    """As if a success had come in at `last`, an hour's period and a minute's grace."""
    sequences = {"verdict_sequence": 5, "success_sequence": 5, "last_sequence": 5}
    times = {"last_success_at": last, "last_ping_at": last, "anchor_at": last, "due_at": last + timedelta(seconds=3600)}
    expected = {"state": "up", "deadline_at": last + timedelta(seconds=3660)}
    HeartbeatState.objects.filter(monitor__uid=beat["id"]).update(**sequences | times | expected | values)


def test_a_new_heartbeat_is_at_the_edge_and_expects_nothing_yet(alice: Caller, outside: Edge) -> None:
    beat = create(alice, period_s=3600, grace_s=60)
    assert beat["ping_url"] == f"http://ping.test/api/ping/{beat['id']}/"
    assert outside.heartbeats.items == {UUID(beat["id"]): alice.workspace.id}
    assert (beat["state"], beat["deadline_at"], beat["pings"]) == ("new", None, 0)
    assert alice.client.get(f"/api/v1/heartbeats/{beat['id']}/").json() == beat


def test_without_the_edge_nothing_is_created(alice: Caller, outside: Edge) -> None:
    outside.heartbeats.reachable = False
    answer = alice.client.post("/api/v1/heartbeats/", {"name": "Backup"}, format="json")
    problem(answer, "edge-unreachable")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert Monitor.objects.count() == 0
    assert EdgeOrphan.objects.count() == 1, "whether the item was made is not known: the sweep looks"


def test_a_heartbeat_that_was_created_leaves_no_note_and_a_deleted_one_does(alice: Caller, outside: Edge) -> None:
    beat = create(alice)
    assert EdgeOrphan.objects.count() == 0
    alice.client.delete(f"/api/v1/heartbeats/{beat['id']}/")
    assert [str(note.heartbeat_id) for note in EdgeOrphan.objects.all()] == [beat["id"]]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"period_s": 9}, "period_s"), ({"grace_s": 0}, "grace_s"), ({"period_s": 366 * 86_400}, "period_s"), ({"url": "x"}, "url")],
)
def test_each_bad_field_is_named(alice: Caller, change: dict[str, Any], field: str) -> None:
    assert list(fields(alice.client.post("/api/v1/heartbeats/", {"name": "Backup"} | change, format="json"))) == [field]


def test_deleting_removes_it_at_the_edge_too(alice: Caller, outside: Edge) -> None:
    beat = create(alice)
    assert alice.client.delete(f"/api/v1/heartbeats/{beat['id']}/").status_code == 204
    assert outside.heartbeats.items == {}
    assert Monitor.objects.count() == 0


def test_deleting_does_not_wait_for_the_edge(alice: Caller, outside: Edge) -> None:
    beat = create(alice)
    outside.heartbeats.reachable = False
    assert alice.client.delete(f"/api/v1/heartbeats/{beat['id']}/").status_code == 204
    assert Monitor.objects.count() == 0


def test_a_new_schedule_counts_from_the_last_ping(alice: Caller) -> None:
    beat = create(alice, period_s=3600, grace_s=60)
    last = timezone.now() - timedelta(minutes=10)
    set_up(beat, last)
    alice.client.patch(f"/api/v1/heartbeats/{beat['id']}/", {"period_s": 7200, "grace_s": 120}, format="json")
    assert state_of(beat).deadline_at == last + timedelta(seconds=7320)


def test_a_new_schedule_that_was_missed_already_gives_its_grace_from_now(alice: Caller) -> None:
    beat = create(alice, period_s=3600, grace_s=60)
    set_up(beat, timezone.now() - timedelta(minutes=30))
    alice.client.patch(f"/api/v1/heartbeats/{beat['id']}/", {"period_s": 60}, format="json")
    deadline = state_of(beat).deadline_at
    assert deadline is not None
    assert timedelta(seconds=30) < deadline - timezone.now() <= timedelta(seconds=60)


@pytest.mark.parametrize("state", ["new", "down"])
def test_what_expects_nothing_expects_nothing_after_an_edit(alice: Caller, state: str) -> None:
    beat = create(alice)
    HeartbeatState.objects.update(state=state)
    alice.client.patch(f"/api/v1/heartbeats/{beat['id']}/", {"period_s": 600}, format="json")
    assert state_of(beat).deadline_at is None


def test_a_new_name_leaves_the_deadline_alone(alice: Caller) -> None:
    beat = create(alice, period_s=3600, grace_s=60)
    set_up(beat, timezone.now(), deadline_at=timezone.now() + timedelta(seconds=5))
    before = state_of(beat).deadline_at
    alice.client.patch(f"/api/v1/heartbeats/{beat['id']}/", {"name": "Nightly"}, format="json")
    assert state_of(beat).deadline_at == before


def test_pause_ends_expectation_and_resume_gives_a_whole_period(alice: Caller) -> None:
    beat = create(alice, period_s=3600, grace_s=60)
    set_up(beat, timezone.now() - timedelta(days=3))
    for _ in range(2):
        paused = alice.client.post(f"/api/v1/heartbeats/{beat['id']}/pause/").json()
        assert paused["deadline_at"] is None
        assert paused["paused_at"] is not None
    resumed = alice.client.post(f"/api/v1/heartbeats/{beat['id']}/resume/").json()
    assert (resumed["state"], resumed["paused_at"]) == ("new", None)
    deadline = datetime.fromisoformat(resumed["deadline_at"])
    assert timedelta(seconds=3600) < deadline - timezone.now() <= timedelta(seconds=3660)
    again = alice.client.post(f"/api/v1/heartbeats/{beat['id']}/resume/").json()
    assert again["deadline_at"] == resumed["deadline_at"]
    moved = alice.client.patch(f"/api/v1/heartbeats/{beat['id']}/", {"period_s": 7200}, format="json").json()
    assert datetime.fromisoformat(moved["deadline_at"]) == deadline + timedelta(seconds=3600)


def test_a_down_heartbeat_stays_down_over_a_pause(alice: Caller) -> None:
    beat = create(alice)
    HeartbeatState.objects.update(state="down")
    alice.client.post(f"/api/v1/heartbeats/{beat['id']}/pause/")
    resumed = alice.client.post(f"/api/v1/heartbeats/{beat['id']}/resume/").json()
    assert (resumed["state"], resumed["deadline_at"]) == ("down", None)


def insert_pings(beat: dict[str, Any], count: int) -> list[UUID]:
    monitor = Monitor.objects.get(uid=beat["id"])
    at = timezone.now()
    ids = [uuid4() for _ in range(count)]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ping VALUES (%s, %s, %s, %s, %s, 0, false, %s, 'POST', '192.0.2.9', 'curl')",
            [
                # Three at each time: the order of those is that of their sequences.
                (ping_id, monitor.id, n, at + timedelta(seconds=n // 3), None if n % 5 else 7, "success" if n % 5 else "fail")
                for n, ping_id in enumerate(ids)
            ],
        )
    return ids


def test_pings_are_listed_latest_first_across_equal_times(alice: Caller) -> None:
    beat = create(alice)
    insert_pings(beat, 23)
    page = alice.client.get(f"/api/v1/heartbeats/{beat['id']}/pings/", {"page_size": 4}).json()
    seen = [ping["sequence"] for ping in page["results"]]
    while page["next"]:
        page = alice.client.get(page["next"].removeprefix("http://monitor.test")).json()
        seen += [ping["sequence"] for ping in page["results"]]
    assert seen == list(range(22, -1, -1))
    fails = alice.client.get(f"/api/v1/heartbeats/{beat['id']}/pings/", {"kind": "fail"}).json()["results"]
    assert {ping["exit_status"] for ping in fails} == {7}


def test_the_body_of_a_ping_comes_from_the_edge_as_it_was(alice: Caller, bob: Caller, outside: Edge) -> None:
    beat = create(alice)
    with_body, without = insert_pings(beat, 2)
    outside.heartbeats.bodies[with_body] = b"<script>\xff\x00"
    address = f"/api/v1/heartbeats/{beat['id']}/pings/{with_body}/body/"
    answer = alice.client.get(address)
    assert answer.content == b"<script>\xff\x00"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    problem(bob.client.get(address), "not-found")
    problem(alice.client.get(f"/api/v1/heartbeats/{beat['id']}/pings/{without}/body/"), "not-found")
    problem(alice.client.get(f"/api/v1/heartbeats/{create(alice)['id']}/pings/{with_body}/body/"), "not-found")
    outside.heartbeats.reachable = False
    problem(alice.client.get(address), "edge-unreachable")


def test_others_find_nothing_behind_any_address(alice: Caller, bob: Caller) -> None:
    beat = create(alice)
    address = f"/api/v1/heartbeats/{beat['id']}/"
    for method, path in [("get", ""), ("patch", ""), ("delete", ""), ("post", "pause/"), ("post", "resume/"), ("get", "pings/")]:
        problem(getattr(bob.client, method)(address + path, format="json"), "not-found")
    problem(alice.client.get(f"/api/v1/websites/{beat['id']}/"), "not-found")


def test_a_ping_tells_of_its_run(alice: Caller) -> None:
    beat = create(alice)
    [ping_id] = insert_pings(beat, 1)
    rid, at = uuid4(), timezone.now().replace(microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ping SET rid = %s, pinged_at = %s, started_at = %s, due_at = %s", [rid, at, at - timedelta(seconds=90.5), at]
        )
    [ping] = alice.client.get(f"/api/v1/heartbeats/{beat['id']}/pings/").json()["results"]
    assert (ping["id"], ping["rid"], ping["duration_s"]) == (str(ping_id), str(rid), 90.5)
    assert ping["due_at"] == ping["at"]


def test_statistics_of_a_heartbeat_without_pings_are_empty(alice: Caller) -> None:
    answer = alice.client.get(f"/api/v1/heartbeats/{create(alice)['id']}/statistics/").json()
    assert [window["window"] for window in answer["windows"]] == ["24h", "7d", "30d"]
    for window in answer["windows"]:
        assert (window["successes"], window["failures"], window["run_time_s"], window["drift_s"]) == (0, 0, None, None)


def test_statistics_are_over_three_windows(alice: Caller, bob: Caller) -> None:
    """A run of a second more than the one before it, every three hours, each five seconds late; two of every day are in no window."""
    beat = create(alice, period_s=10_800)
    monitor, now = Monitor.objects.get(uid=beat["id"]), timezone.now()
    Monitor.objects.filter(pk=monitor.pk).update(created_at=now - timedelta(days=60))
    ends = [(number + 1, now - timedelta(minutes=90, hours=3 * number)) for number in range(400)]
    with connection.cursor() as cursor:
        cursor.executemany(
            """INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, method, source_ip, user_agent, body_size, body_truncated,
                started_at, due_at)
            VALUES (gen_random_uuid(), %s, %s, %s, 'success', 'GET', '', '', 0, false, %s, %s)""",
            [(monitor.pk, -n, at, at - timedelta(seconds=n), at - timedelta(seconds=5)) for n, at in ends],
        )
    address = f"/api/v1/heartbeats/{beat['id']}/statistics/"
    by_pings = alice.client.get(address).json()
    assert [window["successes"] for window in by_pings["windows"]] == [8, 56, 240]
    day, _, month = by_pings["windows"]
    assert {name: day["run_time_s"][name] for name in ("count", "min", "mean", "max")} == {
        "count": 8,
        "min": 1,
        "mean": 4.5,
        "max": 8,
    }
    for percent, exact in ((50, 120), (90, 216), (99, 238)):
        assert month["run_time_s"][f"p{percent}"] == pytest.approx(exact, rel=0.05)
    assert {name: month["drift_s"][name] for name in ("count", "mean", "max")} == {"count": 240, "mean": 5, "max": 5}
    assert month["drift_s"]["p95"] == pytest.approx(5, rel=0.05)
    while aggregate(connection.connection, timezone.now(), limit=500).hours:
        pass
    assert alice.client.get(address).json()["windows"][2]["run_time_s"] == month["run_time_s"]
    assert fields(alice.client.get(address, {"window": "24h"})) == {"window": "unknown_field"}
    problem(bob.client.get(address), "not-found")
