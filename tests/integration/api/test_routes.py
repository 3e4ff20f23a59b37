"""Routes of alerts: what they may say, in which order they come, and what a write decides again."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from core.adapters.store import routes as store
from core.api.channels.models import Channel
from core.api.incidents.models import Alert, AlertStep, Incident
from core.api.monitors.models import Monitor
from core.api.routes import services
from core.api.routes.models import AlertRoute
from core.domain.alert_routes import Match, QuietHours, Severity, Step
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller
from tests.integration.api.test_maintenance import held_alert, website

ADDRESS = "/api/v1/routes/"
HOUR = timedelta(hours=1)
EVERY_DAY = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


@pytest.fixture
def channels(alice: Caller) -> list[str]:
    """The ids of two channels of the workspace."""
    made = [Channel.objects.create(workspace=alice.workspace, name=f"c{n}", kind="webhook") for n in range(2)]
    return [str(channel.id) for channel in made]


def ladder(channels: list[str], **changes: Any) -> dict[str, Any]:
    """A route that uses everything."""
    return {
        "name": "Ladder",
        "match": {"tags": ["db", "db"], "topics": ["outages"], "severities": ["critical", "warning"]},
        "steps": [{"after_s": 0, "channels": channels[:1]}, {"after_s": 600, "channels": channels[1:]}],
        "repeat_s": 1800,
        "quiet_hours": {"start_time": "22:00", "end_time": "07:30", "time_zone": "Europe/Riga", "weekdays": ["friday", "monday"]},
    } | changes


def create(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    answer = caller.client.post(ADDRESS, body, format="json")
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def test_what_is_given_comes_back_and_is_what_the_router_reads(alice: Caller, channels: list[str]) -> None:
    made = create(alice, ladder(channels))
    assert made["match"] == {
        "monitors": [],
        "tags": ["db"],
        "kinds": [],
        "topics": ["outages"],
        "severities": ["critical", "warning"],
    }
    assert made["steps"] == ladder(channels)["steps"]
    assert made["quiet_hours"] == {
        "start_time": "22:00",
        "end_time": "07:30",
        "weekdays": ["monday", "friday"],
        "time_zone": "Europe/Riga",
        "critical_too": False,
    }
    assert (made["position"], made["enabled"], made["repeat_s"]) == (1, True, 1800)
    assert alice.client.get(f"{ADDRESS}{made['id']}/").json() == made
    again = create(alice, {key: made[key] for key in ("name", "match", "steps", "repeat_s", "quiet_hours")})
    assert again["quiet_hours"] == made["quiet_hours"], "an answer can be sent back"
    stored = AlertRoute.objects.get(pk=made["id"])
    columns = ("name", "monitors", "tags", "kinds", "topics", "severities", "steps", "repeat_s", "quiet_hours")
    read = store.read_route([_as_selected(column, getattr(stored, column)) for column in columns])
    topics, severities = frozenset({"outages"}), frozenset({"critical", "warning"})
    assert read.match == Match(tags=frozenset({"db"}), topics=topics, severities=severities)
    assert [step.after for step in read.steps] == [timedelta(), timedelta(minutes=10)]
    assert isinstance(read.steps[0], Step)
    assert isinstance(read.quiet, QuietHours)
    assert read.quiet.weekdays == {0, 4}
    assert read.repeat == timedelta(minutes=30)


def _as_selected(column: str, value: Any) -> Any:
    return json.dumps(value) if column in {"steps", "quiet_hours"} else value


def test_the_least_that_a_route_needs(alice: Caller, channels: list[str]) -> None:
    made = create(alice, {"name": "All", "steps": [{"after_s": 0, "channels": channels}]})
    assert made["match"] == {"monitors": [], "tags": [], "kinds": [], "topics": [], "severities": []}
    assert (made["repeat_s"], made["quiet_hours"]) == (None, None)
    quiet = alice.client.patch(
        f"{ADDRESS}{made['id']}/", {"quiet_hours": {"start_time": "22:00", "end_time": "07:00"}}, format="json"
    ).json()["quiet_hours"]
    assert (quiet["weekdays"], quiet["time_zone"], quiet["critical_too"]) == (EVERY_DAY, "UTC", False)
    gone = alice.client.patch(f"{ADDRESS}{made['id']}/", {"quiet_hours": None}, format="json").json()
    assert gone["quiet_hours"] is None


def test_routes_come_in_the_order_in_which_they_are_asked(alice: Caller, channels: list[str]) -> None:
    body = {"steps": [{"after_s": 0, "channels": channels}]}
    for name, more in (("b", {}), ("c", {}), ("a", {"position": 1}), ("d", {})):
        create(alice, body | {"name": name} | more)
    page = alice.client.get(ADDRESS, {"page_size": 3}).json()
    assert [route["name"] for route in page["results"]] == ["b", "a", "c"], "of one position, the older is first"
    following = alice.client.get(page["next"]).json()
    assert [route["name"] for route in following["results"]] == ["d"]
    assert alice.client.get(following["previous"]).json()["results"] == page["results"]
    last = alice.client.get(ADDRESS).json()["results"][-1]
    alice.client.patch(f"{ADDRESS}{last['id']}/", {"position": 1, "name": "first?"}, format="json")
    read = [route.name for route in AlertRoute.objects.order_by("position", "id")]
    assert read == ["b", "a", "first?", "c"]


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"steps": []}, "steps", "required"),
        ({"steps": None}, "steps", "null"),
        ({"steps": [{"after_s": 0}]}, "steps.0.channels", "required"),
        ({"steps": [{"after_s": 0, "channels": []}]}, "steps.0.channels", "min_length"),
        ({"steps": [{"after_s": 7 * 86_400 + 1, "channels": ["A"]}]}, "steps.0.after_s", "max_value"),
        ({"steps": [{"after_s": 9, "channels": ["A"]}, {"after_s": 9, "channels": ["B"]}]}, "steps.1.after_s", "too_early"),
        ({"steps": [{"after_s": 0, "channels": ["A"]}, {"after_s": 9, "channels": ["A"]}]}, "steps.1.channels.0", "repeated"),
        ({"steps": [{"after_s": 0, "channels": ["A", "?"]}]}, "steps.0.channels.1", "not_found"),
        ({"steps": [{"after_s": n, "channels": ["A"]} for n in range(11)]}, "steps", "max_length"),
        ({"repeat_s": 59}, "repeat_s", "min_value"),
        ({"position": 0}, "position", "min_value"),
        ({"match": {"monitors": [str(uuid4())]}}, "match.monitors.0", "not_found"),
        ({"match": {"kinds": ["server"]}}, "match.kinds.0", "invalid_choice"),
        ({"match": {"severity": ["info"]}}, "match.severity", "unknown_field"),
        ({"quiet_hours": {"start_time": "22:00"}}, "quiet_hours.end_time", "required"),
        ({"quiet_hours": {"start_time": "22:00", "end_time": "22:00"}}, "quiet_hours.end_time", "contradiction"),
        ({"quiet_hours": {"start_time": "22:00", "end_time": "7"}}, "quiet_hours.end_time", "invalid"),
        (
            {"quiet_hours": {"start_time": "22:00", "end_time": "07:00", "time_zone": "Riga"}},
            "quiet_hours.time_zone",
            "invalid",
        ),
    ],
)
@pytest.mark.parametrize("edit", [False, True])
def test_what_a_route_may_not_say(
    alice: Caller, channels: list[str], *, change: dict[str, Any], field: str, code: str, edit: bool
) -> None:
    change = _with_ids(change, dict(zip("AB", channels, strict=True)))
    if edit:
        made = create(alice, ladder(channels))
        answer = alice.client.patch(f"{ADDRESS}{made['id']}/", change, format="json")
        assert alice.client.get(f"{ADDRESS}{made['id']}/").json() == made
    else:
        answer = alice.client.post(ADDRESS, ladder(channels) | change, format="json")
    assert fields(answer) == {field: code}


def _with_ids(change: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    if not change.get("steps"):
        return change
    steps = [
        step | {"channels": [ids.get(uid, str(uuid4())) for uid in step["channels"]]} if "channels" in step else step
        for step in change["steps"]
    ]
    return change | {"steps": steps}


def test_what_was_deleted_may_stay_where_it_is(alice: Caller, channels: list[str]) -> None:
    shop = website(alice)
    made = create(alice, ladder(channels, match={"monitors": [shop["id"]]}))
    Channel.objects.filter(pk=channels[0]).delete()
    alice.client.delete(f"/api/v1/websites/{shop['id']}/")
    same = alice.client.patch(f"{ADDRESS}{made['id']}/", {"match": made["match"], "steps": made["steps"]}, format="json")
    assert same.status_code == 200, same.content
    assert same.json()["match"]["monitors"] == [shop["id"]], "a route for one monitor must not become a route for all"


def test_there_is_an_end_to_how_many(alice: Caller, channels: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_ROUTES", 1)
    create(alice, ladder(channels))
    problem(alice.client.post(ADDRESS, ladder(channels), format="json"), "conflict")


def test_others_see_none_of_it(alice: Caller, bob: Caller, channels: list[str]) -> None:
    made = create(alice, ladder(channels))
    address = f"{ADDRESS}{made['id']}/"
    assert [bob.client.get(address).status_code, bob.client.delete(address).status_code] == [404, 404]
    assert bob.client.get(ADDRESS).json()["results"] == []
    answer = bob.client.post(ADDRESS, ladder(channels), format="json")
    assert fields(answer) == {"steps.0.channels.0": "not_found"}


def test_every_write_has_what_waits_decided_again(alice: Caller, channels: list[str]) -> None:
    made = create(alice, ladder(channels))
    address = f"{ADDRESS}{made['id']}/"
    writes: list[tuple[Callable[[], Any], int]] = [
        (lambda: alice.client.patch(address, {"name": "Other"}, format="json"), 200),
        (lambda: alice.client.delete(address), 204),
        (lambda: alice.client.post(ADDRESS, ladder(channels), format="json"), 201),
    ]
    for write, status in writes:
        alert, step = held_alert(alice), waiting_step(alice)
        assert write().status_code == status
        alert.refresh_from_db()
        step.refresh_from_db()
        assert alert.due_at is not None
        assert alert.due_at <= timezone.now()
        assert step.due_at <= timezone.now()


def waiting_step(caller: Caller) -> AlertStep:
    """An outage of which somebody is to be told in an hour."""
    now = timezone.now()
    monitor = Monitor.objects.get(uid=website(caller)["id"])
    incident = Incident.objects.create(workspace=caller.workspace, monitor=monitor, reason=1, began_at=now, opened_at=now)
    return AlertStep.objects.create(incident=incident, due_at=now + HOUR, told_at=now, reminded_at=now)


def test_a_monitor_goes_with_what_was_to_be_told_of_it(alice: Caller) -> None:
    step = waiting_step(alice)
    assert alice.client.delete(f"/api/v1/websites/{step.incident.monitor.uid}/").status_code == 204
    assert not AlertStep.objects.exists()


@pytest.mark.parametrize("kind", ["websites", "heartbeats"])
def test_monitors_say_how_much_they_matter(alice: Caller, kind: str) -> None:
    body = {"name": "Shop", "url": "https://93.184.216.34/"} if kind == "websites" else {"name": "Backup"}
    made = alice.client.post(f"/api/v1/{kind}/", body, format="json").json()
    assert made["severity"] == "critical"
    changed = alice.client.patch(f"/api/v1/{kind}/{made['id']}/", {"severity": "info"}, format="json").json()
    assert changed["severity"] == "info"
    assert Monitor.objects.get(uid=made["id"]).severity == Severity.INFO
    bad = alice.client.patch(f"/api/v1/{kind}/{made['id']}/", {"severity": "grave"}, format="json")
    assert fields(bad) == {"severity": "invalid_choice"}


@pytest.mark.parametrize(
    ("chosen_by", "held", "sentence"),
    [
        ("", "", "Sent."),
        ("route", "", "Sent, by the route “Nights”."),
        ("route", "quiet_hours", "Sent, after it was held while its route has quiet hours, by the route “Nights”."),
        ("fallback", "", "Sent, to every channel, because the route “Nights” leads to none that is enabled."),
    ],
)
def test_an_alert_says_by_which_route_it_went(alice: Caller, chosen_by: str, held: str, sentence: str) -> None:
    alert = held_alert(alice)
    name = "Nights" if chosen_by else ""
    Alert.objects.filter(pk=alert.pk).update(routed_at=timezone.now(), held_reason=held, chosen_by=chosen_by, route_name=name)
    answer = alice.client.get(f"/api/v1/alerts/{alert.id}/").json()
    assert (answer["route"], answer["explanation"]) == (name, sentence)
