"""Maintenance windows: what each kind needs, what it is about, when it is next, and what a write releases."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine

from core.api.incidents.models import Alert
from core.api.maintenance.models import MaintenanceWindow
from core.api.monitors.models import Monitor
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller

ADDRESS = "/api/v1/maintenance-windows/"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday."""

ONCE = {
    "name": "Move",
    "kind": "once",
    "starts_at": "2026-11-23T22:00:00Z",
    "ends_at": "2026-11-24T02:00:00Z",
    "all_monitors": True,
}
WEEKLY = {
    "name": "Patches",
    "kind": "weekly",
    "weekdays": ["sunday", "wednesday", "sunday"],
    "start_time": "02:30",
    "duration_s": 3600,
    "time_zone": "Europe/Berlin",
    "tags": ["db"],
}
CRON = {"name": "Backup", "kind": "cron", "cron": "0 3 1 * *", "duration_s": 7200, "all_monitors": True}


def create(caller: Caller, body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = caller.client.post(ADDRESS, body | changes, format="json")
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def website(caller: Caller, **settings: Any) -> dict[str, Any]:
    body = {"name": "Shop", "url": "https://93.184.216.34/"} | settings
    answer = caller.client.post("/api/v1/websites/", body, format="json")
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def held_alert(caller: Caller) -> Alert:
    """An alert that is held for hours."""
    monitor = Monitor.objects.get(uid=website(caller)["id"])
    return Alert.objects.create(
        workspace=caller.workspace,
        monitor=monitor,
        alert_type="down",
        order_key=uuid4(),
        sequence=1,
        facts={},
        created_at=NOW,
        due_at=NOW + timedelta(days=9999),
        held_reason="maintenance",
    )


@pytest.fixture(autouse=True)
def _monday(alice: Caller) -> Any:
    with time_machine.travel(NOW, tick=False):
        # The token of the login was made at another time.
        from core.api.accounts.services import user_log_in  # noqa: PLC0415  (after Django is set up)

        access = user_log_in(email="alice@example.com", password="correct horse battery").access
        alice.client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
        yield


def test_one_that_comes_once(alice: Caller) -> None:
    made = create(alice, ONCE)
    assert (made["active"], made["current"]) == (False, None)
    assert made["next"] == {"starts_at": "2026-11-23T22:00:00Z", "ends_at": "2026-11-24T02:00:00Z"}
    assert (made["weekdays"], made["start_time"], made["cron"], made["duration_s"]) == ([], None, "", None)
    assert alice.client.get(ADDRESS).json()["results"] == [made]
    assert alice.client.get(f"{ADDRESS}{made['id']}/").json() == made


def test_one_that_comes_every_week(alice: Caller) -> None:
    made = create(alice, WEEKLY)
    assert (made["weekdays"], made["start_time"], made["tags"]) == (["wednesday", "sunday"], "02:30", ["db"])
    assert (made["starts_at"], made["ends_at"]) == ("2026-11-23T12:00:00Z", None), "it repeats from now on"
    assert made["next"] == {"starts_at": "2026-11-25T01:30:00Z", "ends_at": "2026-11-25T02:30:00Z"}


def test_one_by_cron_that_lasts(alice: Caller) -> None:
    made = create(alice, CRON, cron="0 11 * * *")
    assert made["active"] is True
    assert made["current"] == {"starts_at": "2026-11-23T12:00:00Z", "ends_at": "2026-11-23T13:00:00Z"}, "not before it existed"
    earlier = create(alice, CRON, cron="0 11 * * *", starts_at="2026-11-01T00:00:00Z")
    assert earlier["current"] == {"starts_at": "2026-11-23T11:00:00Z", "ends_at": "2026-11-23T13:00:00Z"}
    assert earlier["next"]["starts_at"] == "2026-11-24T11:00:00Z"
    assert len(alice.client.get(ADDRESS, {"kind": "cron"}).json()["results"]) == 2
    assert alice.client.get(ADDRESS, {"kind": "once"}).json()["results"] == []


@pytest.mark.parametrize(
    ("body", "change", "field", "code"),
    [
        (ONCE, {"kind": "yearly"}, "kind", "invalid_choice"),
        (ONCE, {"starts_at": None}, "starts_at", "null"),
        (ONCE, {"ends_at": None}, "ends_at", "required"),
        (ONCE, {"ends_at": ONCE["starts_at"]}, "ends_at", "too_early"),
        (ONCE, {"ends_at": "9999-12-31T23:59:59Z"}, "ends_at", "invalid"),
        (ONCE, {"starts_at": "0001-01-01T00:00:00Z"}, "starts_at", "invalid"),
        (ONCE, {"duration_s": 600}, "duration_s", "not_for_this_kind"),
        (ONCE, {"start_time": "10:00"}, "start_time", "not_for_this_kind"),
        (ONCE, {"all_monitors": False}, "all_monitors", "required"),
        (ONCE, {"tags": ["db"]}, "all_monitors", "contradiction"),
        (ONCE, {"monitors": [str(uuid4())], "all_monitors": False}, "monitors.0", "not_found"),
        (ONCE, {"monitors": ["x"], "all_monitors": False}, "monitors.0", "invalid"),
        (ONCE, {"every": "day"}, "every", "unknown_field"),
        (WEEKLY, {"weekdays": []}, "weekdays", "required"),
        (WEEKLY, {"weekdays": ["caturday"]}, "weekdays.0", "invalid_choice"),
        (WEEKLY, {"start_time": "25:00"}, "start_time", "invalid"),
        (WEEKLY, {"start_time": 150}, "start_time", "invalid"),
        (WEEKLY, {"duration_s": 59}, "duration_s", "min_value"),
        (WEEKLY, {"duration_s": 604_801}, "duration_s", "max_value"),
        (WEEKLY, {"cron": "0 3 * * *"}, "cron", "not_for_this_kind"),
        (WEEKLY, {"time_zone": "Europe/Atlantis"}, "time_zone", "invalid"),
        (WEEKLY, {"time_zone": "Europe"}, "time_zone", "invalid"),
        (WEEKLY, {"time_zone": "../../etc/passwd"}, "time_zone", "invalid"),
        (CRON, {"cron": "every monday"}, "cron", "invalid"),
        (CRON, {"cron": "* * * * *"}, "cron", "invalid"),
        (CRON, {"weekdays": ["monday"]}, "weekdays", "not_for_this_kind"),
    ],
)
def test_each_bad_field_is_named(alice: Caller, body: dict[str, Any], change: dict[str, Any], field: str, code: str) -> None:
    assert fields(alice.client.post(ADDRESS, body | change, format="json")) == {field: code}
    assert MaintenanceWindow.objects.count() == 0


def test_what_is_left_out_is_named(alice: Caller) -> None:
    for missing in ("name", "kind"):
        body = {key: value for key, value in ONCE.items() if key != missing}
        assert fields(alice.client.post(ADDRESS, body, format="json")) == {missing: "required"}
    body = {key: value for key, value in ONCE.items() if key != "starts_at"}
    assert fields(alice.client.post(ADDRESS, body, format="json")) == {"starts_at": "required"}


def test_an_edit_is_checked_as_a_whole(alice: Caller) -> None:
    made = create(alice, WEEKLY)
    address = f"{ADDRESS}{made['id']}/"
    assert fields(alice.client.patch(address, {"ends_at": "2026-11-01T00:00:00Z"}, format="json")) == {"ends_at": "too_early"}
    assert fields(alice.client.patch(address, {"kind": "cron"}, format="json")) == {"kind": "unknown_field"}
    assert fields(alice.client.patch(address, {"tags": []}, format="json")) == {"all_monitors": "required"}
    ended = alice.client.patch(address, {"ends_at": "2026-11-29T00:00:00Z", "weekdays": ["sunday"]}, format="json").json()
    assert (ended["weekdays"], ended["next"], ended["start_time"]) == (["sunday"], None, "02:30")


def test_a_window_of_named_monitors_loses_those_that_are_deleted(alice: Caller, bob: Caller) -> None:
    shop, blog = website(alice), website(alice)
    made = create(alice, ONCE, all_monitors=False, monitors=[shop["id"], blog["id"], shop["id"]])
    assert made["monitors"] == [shop["id"], blog["id"]]
    alice.client.delete(f"/api/v1/websites/{shop['id']}/")
    assert alice.client.get(f"{ADDRESS}{made['id']}/").json()["monitors"] == [blog["id"]]


def test_it_belongs_to_its_workspace(alice: Caller, bob: Caller) -> None:
    made = create(alice, ONCE)
    theirs = Monitor.objects.create(workspace=bob.workspace, kind="website", name="theirs")
    body = ONCE | {"all_monitors": False, "monitors": [str(theirs.uid)]}
    assert fields(alice.client.post(ADDRESS, body, format="json")) == {"monitors.0": "not_found"}
    MaintenanceWindow.objects.update(workspace=bob.workspace)
    problem(alice.client.get(f"{ADDRESS}{made['id']}/"), "not-found")
    problem(alice.client.delete(f"{ADDRESS}{made['id']}/"), "not-found")
    assert alice.client.get(ADDRESS).json()["results"] == []


def test_viewers_look(alice: Caller) -> None:
    made = create(alice, ONCE)
    alice.user.memberships.update(role="viewer")
    assert alice.client.get(ADDRESS).status_code == 200
    problem(alice.client.post(ADDRESS, ONCE, format="json"), "forbidden")
    problem(alice.client.patch(f"{ADDRESS}{made['id']}/", {"name": "x"}, format="json"), "forbidden")
    problem(alice.client.delete(f"{ADDRESS}{made['id']}/"), "forbidden")


def test_every_write_has_what_is_held_decided_again(alice: Caller) -> None:
    alert = held_alert(alice)

    def due() -> datetime | None:
        alert.refresh_from_db()
        found = alert.due_at
        Alert.objects.update(due_at=NOW + timedelta(days=9999))
        return found

    made = create(alice, ONCE)
    assert due() == NOW
    alice.client.patch(f"{ADDRESS}{made['id']}/", {"name": "Another"}, format="json")
    assert due() == NOW
    assert alice.client.delete(f"{ADDRESS}{made['id']}/").status_code == 204
    assert due() == NOW
    shop = f"/api/v1/websites/{alert.monitor.uid if alert.monitor else ''}/"
    for action in ("pause", "resume"):
        alice.client.post(f"{shop}{action}/")
        assert due() == NOW
    for change in ({"tags": ["db"]}, {"depends_on": None}):
        alice.client.patch(shop, change, format="json")
        assert due() == NOW
    alice.client.patch(shop, {"name": "Shop 2"}, format="json")
    assert due() == NOW + timedelta(days=9999), "a name releases nothing"
