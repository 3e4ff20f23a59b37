"""Schedules in the API: given or guessed, refused with a reason, shown ahead; states as they are now."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from core.api.accounts.models import Role
from core.api.heartbeats import views
from core.api.monitors.models import Heartbeat, HeartbeatState, Monitor
from core.flows.heartbeats import apply_pings
from tests.heartbeats import pinged
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller

RIGA = {"time_zone": "Europe/Riga"}
NOON = {"schedule": "0 12 * * *", **RIGA}


def create(caller: Caller, **values: Any) -> dict[str, Any]:
    answer = caller.client.post("/api/v1/heartbeats/", {"name": "Backup", **values}, format="json")
    assert answer.status_code == 201, answer.content
    body: dict[str, Any] = answer.json()
    return body


def patch(caller: Caller, beat: dict[str, Any], **changes: Any) -> Any:
    return caller.client.patch(f"/api/v1/heartbeats/{beat['id']}/", changes, format="json")


def read(caller: Caller, beat: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = caller.client.get(f"/api/v1/heartbeats/{beat['id']}/").json()
    return body


def ping(beat: dict[str, Any], sequence: int, at: datetime, kind: Any = "success", rid: UUID | None = None) -> None:
    """A ping, on the way that the inbox takes."""
    with connection.cursor() as cursor:
        assert cursor.connection
        apply_pings(cursor.connection, [pinged(UUID(beat["id"]), sequence, at, kind, rid=rid)], at)


@contextmanager
def seen_at(now: datetime) -> Iterator[None]:
    """Let the views of heartbeats see another time; logins keep theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "timezone", SimpleNamespace(now=lambda: now))
        yield


@pytest.mark.parametrize(
    ("asked", "kind", "schedule", "period_s"),
    [
        ({}, "period", None, 86_400),
        ({"period_s": 300, **RIGA}, "period", None, 300),
        ({"schedule_kind": "period", "period_s": 300}, "period", None, 300),
        (NOON, "cron", "0 12 * * *", None),
        ({"schedule": " @hourly "}, "cron", "@hourly", None),
        ({"schedule": "Mon..Fri 12:00"}, "oncalendar", "Mon..Fri 12:00", None),
        ({"schedule": "12:00\n18:00 Europe/Riga", "schedule_kind": "oncalendar"}, "oncalendar", "12:00\n18:00 Europe/Riga", None),
    ],
)
def test_the_kind_is_given_or_guessed(alice: Caller, asked: dict[str, Any], kind: str, schedule: str, period_s: int) -> None:
    beat = create(alice, **asked)
    assert (beat["schedule_kind"], beat["schedule"], beat["period_s"]) == (kind, schedule, period_s)
    assert beat["time_zone"] == asked.get("time_zone", "UTC")


@pytest.mark.parametrize(
    ("asked", "field", "message"),
    [
        ({"schedule": "0 12 * * *", "period_s": 60}, "schedule", "cannot be given together with `period_s`"),
        ({"schedule": "0 25 * * *"}, "schedule", "the hour (25) is not valid"),
        ({"schedule": "tomorrow"}, "schedule", "is neither five fields of cron nor OnCalendar (tomorrow: bad day-of-week)"),
        ({"schedule": "12:00", "schedule_kind": "cron"}, "schedule", "a cron expression has five fields"),
        ({"schedule": "2020-01-01"}, "schedule", "has no time left that is still to come"),
        ({"schedule_kind": "cron"}, "schedule", "is needed for the kind cron"),
        ({"schedule_kind": "cron", "period_s": 60}, "period_s", "is not for the kind cron"),
        ({"schedule_kind": "period", "schedule": "12:00"}, "schedule", "is not for the kind period"),
        ({"schedule_kind": "hourly"}, "schedule_kind", "not a valid choice"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "is no time zone of the IANA database"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "is no time zone of the IANA database"),
        ({"min_run_s": 3601}, "min_run_s", "is more than a run may take (3600 s"),
        ({"min_run_s": 61, "max_run_s": 60}, "min_run_s", "is more than a run may take (60 s"),
        ({"failure_threshold": 21}, "failure_threshold", "20"),
        ({"failure_threshold": 0}, "failure_threshold", "1"),
        ({"early_s": -1}, "early_s", "0"),
        ({"sticky_pause": "yes"}, "sticky_pause", "boolean"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(alice: Caller, asked: dict[str, Any], field: str, message: str) -> None:
    answer = alice.client.post("/api/v1/heartbeats/", {"name": "Backup"} | asked, format="json")
    assert list(fields(answer)) == [field]
    assert message in answer.json()["errors"][0]["message"]
    assert not Monitor.objects.exists()


def test_a_schedule_can_be_changed_into_any_other(alice: Caller) -> None:
    beat = create(alice, **NOON)
    assert patch(alice, beat, schedule="13:30").json()["schedule_kind"] == "oncalendar"
    moved = patch(alice, beat, time_zone="America/New_York").json()
    assert (moved["schedule"], moved["time_zone"]) == ("13:30", "America/New_York")
    assert fields(patch(alice, beat, schedule_kind="cron")).keys() == {"schedule"}
    assert fields(patch(alice, beat, schedule_kind="period")).keys() == {"period_s"}
    periodic = patch(alice, beat, period_s=600).json()
    assert (periodic["schedule_kind"], periodic["schedule"], periodic["period_s"]) == ("period", None, 600)
    assert periodic["time_zone"] == "America/New_York"


def test_an_edit_counts_from_the_last_ping(alice: Caller) -> None:
    beat = create(alice, period_s=3600, grace_s=600)
    with seen_at(datetime(2026, 11, 23, 12, 5, tzinfo=UTC)):
        ping(beat, 1, datetime(2026, 11, 23, 12, tzinfo=UTC))
        changed = patch(alice, beat, schedule="30 * * * *", **RIGA).json()
    assert (changed["expected_at"], changed["deadline_at"]) == ("2026-11-23T12:30:00Z", "2026-11-23T12:40:00Z")
    assert Heartbeat.objects.get().period_s == 3600, "how often it is due, for what compares heartbeats"


def test_states_are_what_is_true_now(alice: Caller) -> None:
    noon = datetime(2026, 11, 23, 10, tzinfo=UTC)
    beats = {name: create(alice, name=name, grace_s=600, **NOON) for name in ("new", "up", "late", "down", "paused", "running")}
    for name in ("up", "late", "paused", "running"):
        ping(beats[name], 1, noon - timedelta(days=1))
    ping(beats["up"], 2, noon - timedelta(seconds=5))
    ping(beats["down"], 1, noon, "fail")
    ping(beats["running"], 2, noon + timedelta(seconds=30), "start", UUID(int=7))
    with seen_at(noon + timedelta(minutes=5)):
        alice.client.post(f"/api/v1/heartbeats/{beats['paused']['id']}/pause/")
        for name, beat in beats.items():
            assert read(alice, beat)["state"] == name
            listed = alice.client.get("/api/v1/heartbeats/", {"state": name}).json()["results"]
            assert [found["name"] for found in listed] == [name]
        late, running = read(alice, beats["late"]), read(alice, beats["running"])
    expected = "expected at 12:00 Europe/Riga (cron 0 12 * * *), grace 10 min, last ping"
    assert late["explanation"] == f"{expected} 2026-11-22 12:00"
    assert running["runs"] == [{"rid": str(UUID(int=7)), "started_at": "2026-11-23T10:00:30Z"}]
    assert running["explanation"] == f"{expected} 12:00:30; running since 12:00:30"
    problem(alice.client.get("/api/v1/heartbeats/", {"state": "dead"}), "validation")


def test_a_run_that_ended_does_not_run(alice: Caller) -> None:
    beat = create(alice)
    now = timezone.now()
    ping(beat, 2, now, "success", UUID(int=7))
    ended = read(alice, beat)
    assert (ended["state"], ended["runs"]) == ("up", [])
    assert HeartbeatState.objects.get().runs, "its start is waited for"


def test_failures_in_a_row_are_shown(alice: Caller) -> None:
    beat = create(alice, failure_threshold=3)
    now = timezone.now()
    ping(beat, 1, now)
    ping(beat, 2, now, "fail")
    shown = read(alice, beat)
    assert (shown["state"], shown["failures"]) == ("up", 1)
    assert shown["explanation"].endswith("1 of 3 failures in a row")


def test_a_sticky_pause_ends_by_hand_only(alice: Caller) -> None:
    beat = create(alice, sticky_pause=True)
    now = timezone.now()
    ping(beat, 1, now)
    alice.client.post(f"/api/v1/heartbeats/{beat['id']}/pause/")
    ping(beat, 2, now + timedelta(hours=1))
    shown = read(alice, beat)
    assert (shown["state"], shown["pings"], shown["explanation"].partition("; ")[2]) == ("paused", 2, "only a person ends that")
    assert alice.client.get(f"/api/v1/heartbeats/{beat['id']}/pings/").json()["results"][0]["sequence"] == 2
    alice.client.post(f"/api/v1/heartbeats/{beat['id']}/resume/")
    assert read(alice, beat)["state"] == "new"


def test_a_preview_of_a_schedule_that_is_not_stored(alice: Caller) -> None:
    with seen_at(datetime(2026, 10, 24, 9, 30, tzinfo=UTC)):
        answer = alice.client.post("/api/v1/heartbeats/preview/", NOON | {"count": 2}, format="json")
        period = alice.client.post("/api/v1/heartbeats/preview/", {"period_s": 60, "count": 1}, format="json").json()
    assert answer.json() == {
        "schedule_kind": "cron",
        "rule": "cron 0 12 * * *",
        "time_zone": "Europe/Riga",
        "times": [
            {"at": "2026-10-25T10:00:00Z", "local": "2026-10-25T12:00:00+02:00"},
            {"at": "2026-10-26T10:00:00Z", "local": "2026-10-26T12:00:00+02:00"},
        ],
    }
    assert (period["rule"], period["times"][0]["at"]) == ("every 1 min", "2026-10-24T09:31:00Z")
    assert not Monitor.objects.exists()
    bad = alice.client.post("/api/v1/heartbeats/preview/", {"schedule": "nonsense", "count": 101}, format="json")
    assert fields(bad).keys() == {"count"}
    assert fields(alice.client.post("/api/v1/heartbeats/preview/", {"schedule": "nonsense"}, format="json")).keys() == {
        "schedule"
    }


def test_who_may_only_look_may_preview(alice: Caller) -> None:
    alice.workspace.memberships.update(role=Role.VIEWER)
    assert alice.client.post("/api/v1/heartbeats/preview/", NOON, format="json").status_code == 200
    problem(alice.client.post("/api/v1/heartbeats/", {"name": "Backup"}, format="json"), "forbidden")


def test_the_next_times_of_a_heartbeat_begin_with_what_it_waits_for(alice: Caller, bob: Caller) -> None:
    beat = create(alice, period_s=3600)
    address = f"/api/v1/heartbeats/{beat['id']}/expected/"
    with seen_at(datetime(2026, 11, 23, 12, 50, tzinfo=UTC)):
        ping(beat, 1, datetime(2026, 11, 23, 12, 20, tzinfo=UTC))
        times = alice.client.get(address, {"count": 2}).json()["times"]
    assert [time["at"] for time in times] == ["2026-11-23T13:20:00Z", "2026-11-23T14:20:00Z"]
    assert len(alice.client.get(address).json()["times"]) == 5
    for bad in ({"count": "0"}, {"count": "101"}, {"count": "x"}, {"count": "00050000"}, {"number": "5"}):
        problem(alice.client.get(address, bad), "validation")
    problem(bob.client.get(address), "not-found")


def test_of_a_date_there_is_one_time(alice: Caller) -> None:
    year = timezone.now().year + 1
    beat = create(alice, schedule=f"{year}-06-01 12:00")
    times = alice.client.get(f"/api/v1/heartbeats/{beat['id']}/expected/").json()["times"]
    assert [time["at"] for time in times] == [f"{year}-06-01T12:00:00Z"]
