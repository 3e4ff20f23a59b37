"""Monitors are muted until a time, for a while or for good; what is held for that is decided again when it changes."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core.api.incidents.models import Alert
from core.api.monitors.models import Monitor
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller, Edge
from tests.integration.api.test_incidents import NOW, incident_of, monitor_of


def mute(caller: Caller, monitor: Monitor, **how: Any) -> Any:
    return caller.client.post(f"/api/v1/websites/{monitor.uid}/mute/", how, format="json")


def test_for_a_while_until_a_time_and_for_good(alice: Caller, outside: Edge) -> None:
    shop = monitor_of(alice.workspace)
    before = timezone.now()
    assert mute(alice, shop, for_s=3600).status_code == 200
    shop.refresh_from_db()
    assert shop.muted_until
    assert before + timedelta(hours=1) <= shop.muted_until <= timezone.now() + timedelta(hours=1)
    until = (before + timedelta(days=2)).replace(microsecond=0)
    assert mute(alice, shop, until=until.isoformat()).json()["muted_until"] == until.isoformat().replace("+00:00", "Z")
    assert mute(alice, shop).json()["muted_until"] == "9999-12-31T23:59:59Z"
    unmuted = alice.client.delete(f"/api/v1/websites/{shop.uid}/mute/")
    assert (unmuted.status_code, unmuted.json()["muted_until"]) == (200, None)
    assert alice.client.delete(f"/api/v1/websites/{shop.uid}/mute/").status_code == 200


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ({"for_s": 59}, {"for_s": "min_value"}),
        ({"for_s": 366 * 86_400}, {"for_s": "max_value"}),
        ({"for_s": "60"}, {"for_s": "invalid"}),
        ({"until": "2020-01-01T00:00:00Z"}, {"until": "past"}),
        ({"until": "2999-01-01T00:00:00Z"}, {"until": "too_late"}),
        ({"until": "2999-01-01T00:00:00Z", "for_s": 60}, {"for_s": "contradiction"}),
        ({"hours": 1}, {"hours": "unknown_field"}),
    ],
)
def test_what_is_no_length_is_refused(alice: Caller, outside: Edge, how: dict[str, Any], wrong: dict[str, str]) -> None:
    shop = monitor_of(alice.workspace)
    assert fields(mute(alice, shop, **how)) == wrong
    shop.refresh_from_db()
    assert shop.muted_until is None


def test_heartbeats_too(alice: Caller, outside: Edge) -> None:
    made = alice.client.post("/api/v1/heartbeats/", {"name": "Backup"}, format="json").json()
    muted = alice.client.post(f"/api/v1/heartbeats/{made['id']}/mute/", {"for_s": 60}, format="json")
    assert muted.json()["muted_until"] is not None
    assert alice.client.delete(f"/api/v1/heartbeats/{made['id']}/mute/").json()["muted_until"] is None


def test_what_is_held_is_decided_again(alice: Caller, outside: Edge) -> None:
    shop = monitor_of(alice.workspace)
    incident = incident_of(shop)
    Alert.objects.create(
        workspace=alice.workspace,
        monitor=shop,
        incident=incident,
        alert_type="down",
        order_key=incident.id,
        sequence=1,
        facts={},
        created_at=NOW,
        due_at=timezone.now() + timedelta(days=300),
        held_reason="muted",
    )
    [held] = alice.client.get("/api/v1/alerts/", {"state": "held"}).json()["results"]
    assert held["reason"] == "muted"
    assert held["explanation"].startswith("Held while the monitor is muted")
    alice.client.delete(f"/api/v1/websites/{shop.uid}/mute/")
    due = Alert.objects.get().due_at
    assert due
    assert due <= timezone.now()


def test_a_list_finds_what_is_muted_now(alice: Caller, outside: Edge) -> None:
    shop, blog, old = (monitor_of(alice.workspace, name) for name in ("Shop", "Blog", "Old"))
    mute(alice, shop)
    Monitor.objects.filter(pk=old.pk).update(muted_until=timezone.now() - timedelta(seconds=1))

    def found(muted: str) -> set[str]:
        return {row["name"] for row in alice.client.get("/api/v1/websites/", {"muted": muted}).json()["results"]}

    assert found("true") == {"Shop"}
    assert found("false") == {blog.name, old.name}


def test_others_and_viewers_may_not(alice: Caller, bob: Caller, outside: Edge) -> None:
    shop = monitor_of(alice.workspace)
    problem(mute(bob, shop), "not-found")
