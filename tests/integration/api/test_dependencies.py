"""What depends on what: no cycles, nothing of others, gone with the parent; and alerts that say whether people were told."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from core.api.incidents.models import Alert, HeldReason, Incident
from core.api.monitors.models import Monitor
from core.domain.alert_words import explain_alert
from core.domain.outcomes import Reason
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def website(caller: Caller, parent: str | None = None) -> str:
    body = {"name": "Shop", "url": "https://93.184.216.34/", "depends_on": parent}
    answer = caller.client.post("/api/v1/websites/", body, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["depends_on"] == parent
    return str(answer.json()["id"])


def heartbeat(caller: Caller, parent: str | None = None) -> str:
    answer = caller.client.post("/api/v1/heartbeats/", {"name": "Backup", "depends_on": parent}, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["depends_on"] == parent
    return str(answer.json()["id"])


def depend(caller: Caller, child: str, parent: str | None, kind: str = "websites") -> Any:
    return caller.client.patch(f"/api/v1/{kind}/{child}/", {"depends_on": parent}, format="json")


def test_any_kind_depends_on_any(alice: Caller) -> None:
    router = website(alice)
    host = heartbeat(alice, router)
    shop = website(alice, host)
    assert depend(alice, shop, router).json()["depends_on"] == router
    assert depend(alice, host, None, "heartbeats").json()["depends_on"] is None


def test_no_monitor_depends_on_itself_however_far_around(alice: Caller) -> None:
    first = website(alice)
    second = website(alice, first)
    third = heartbeat(alice, second)
    for parent in (first, second, third):
        assert fields(depend(alice, first, parent)) == {"depends_on": "cycle"}
    assert Monitor.objects.get(uid=first).depends_on_id is None


def test_chains_end(alice: Caller) -> None:
    last = website(alice)
    for _ in range(9):
        last = website(alice, last)
    body = {"name": "Shop", "url": "https://93.184.216.34/", "depends_on": website(alice, last)}
    assert fields(alice.client.post("/api/v1/websites/", body, format="json")) == {"depends_on": "too_deep"}


def test_only_what_exists_here(alice: Caller, bob: Caller) -> None:
    shop, theirs = website(alice), website(bob)
    assert fields(depend(alice, shop, theirs)) == {"depends_on": "not_found"}
    assert fields(depend(alice, shop, str(uuid4()))) == {"depends_on": "not_found"}
    assert fields(depend(alice, shop, "router")) == {"depends_on": "invalid"}


def test_a_parent_that_is_deleted_leaves_its_children_alone(alice: Caller) -> None:
    router = website(alice)
    shop = website(alice, router)
    outage(alice, shop, caused_by=outage(alice, router))
    assert alice.client.delete(f"/api/v1/websites/{router}/").status_code == 204
    assert alice.client.get(f"/api/v1/websites/{shop}/").json()["depends_on"] is None
    assert alice.client.get("/api/v1/incidents/").json()["results"][0]["caused_by"] is None


def outage(caller: Caller, uid: str, caused_by: Incident | None = None) -> Incident:
    monitor = Monitor.objects.get(uid=uid)
    return Incident.objects.create(
        workspace=caller.workspace,
        monitor=monitor,
        reason=Reason.TIMEOUT,
        began_at=NOW,
        opened_at=NOW,
        detail="",
        caused_by=caused_by,
    )


def alert(caller: Caller, incident: Incident, **columns: Any) -> Alert:
    return Alert.objects.create(
        workspace=caller.workspace,
        monitor=incident.monitor,
        incident=incident,
        alert_type="down",
        order_key=incident.id,
        sequence=1,
        facts={},
        **({"created_at": NOW, "dropped": False, "held_reason": ""} | columns),
    )


def test_an_incident_names_its_cause(alice: Caller) -> None:
    router = website(alice)
    cause = outage(alice, router)
    incident = outage(alice, website(alice, router), caused_by=cause)
    assert alice.client.get(f"/api/v1/incidents/{incident.id}/").json()["caused_by"] == str(cause.id)
    assert alice.client.get(f"/api/v1/incidents/{cause.id}/").json()["caused_by"] is None


def test_alerts_say_whether_people_were_told_and_why_not(alice: Caller, bob: Caller) -> None:
    incident = outage(alice, website(alice))
    made = [
        alert(alice, incident),
        alert(alice, incident, due_at=NOW + timedelta(hours=1), held_reason="maintenance"),
        alert(alice, incident, routed_at=NOW, held_reason="flapping", dropped=True),
        alert(alice, incident, routed_at=NOW, due_at=None, held_reason="dependency"),
    ]
    listed = {one["id"]: one for one in alice.client.get("/api/v1/alerts/").json()["results"]}
    waiting, held, dropped, sent = (listed[str(one.id)] for one in made)
    assert (waiting["state"], waiting["due_at"], waiting["reason"]) == ("waiting", None, "")
    assert (held["state"], held["due_at"], held["reason"]) == ("held", "2026-11-23T13:00:00Z", "maintenance")
    assert held["explanation"] == "Held while a maintenance window lasts; decided again by 2026-11-23 13:00:00 UTC."
    assert (dropped["state"], dropped["decided_at"]) == ("dropped", "2026-11-23T12:00:00Z")
    assert dropped["explanation"] == "Not sent: the monitor was flapping and changed again."
    assert sent["state"] == "sent"
    assert sent["explanation"].startswith("Sent, after it was held while what the monitor depends on")
    for state, one in (("waiting", waiting), ("held", held), ("dropped", dropped), ("sent", sent)):
        assert alice.client.get("/api/v1/alerts/", {"state": state}).json()["results"] == [one]
    assert alice.client.get(f"/api/v1/alerts/{sent['id']}/").json() == sent
    assert len(alice.client.get("/api/v1/alerts/", {"incident": str(incident.id)}).json()["results"]) == 4
    assert alice.client.get("/api/v1/alerts/", {"monitor": str(uuid4())}).json()["results"] == []
    assert bob.client.get("/api/v1/alerts/").json()["results"] == []
    problem(bob.client.get(f"/api/v1/alerts/{sent['id']}/"), "not-found")


@pytest.mark.parametrize("reason", HeldReason.values)
def test_every_reason_has_its_sentence(reason: str) -> None:
    assert len(explain_alert(Alert(routed_at=NOW, dropped=True, held_reason=reason))) > len("Not sent: .") + len(reason)


@pytest.mark.parametrize("reason", sorted({*HeldReason.values} - {HeldReason.UNTOLD}))
def test_every_reason_to_hold_has_its_sentence(reason: str) -> None:
    shortest = "Held while ; decided again by 2026-11-23 12:00:00 UTC."
    assert len(explain_alert(Alert(due_at=NOW, held_reason=reason))) > len(shortest) + len(reason)
