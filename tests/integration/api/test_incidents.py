"""Incidents and deliveries: shown to their workspace, filtered, and explained."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.api.accounts.models import Workspace
from core.api.channels.models import Channel
from core.api.incidents.models import Alert, Delivery, Incident
from core.api.monitors.models import Monitor, Website, WebsiteState
from core.domain.outcomes import Reason
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def monitor_of(workspace: Workspace, name: str = "Shop") -> Monitor:
    monitor = Monitor.objects.create(workspace=workspace, kind="website", name=name, created_at=NOW)
    Website.objects.create(monitor=monitor, url="http://192.0.2.1/")
    WebsiteState.objects.create(monitor=monitor)
    return monitor


def incident_of(monitor: Monitor, opened_at: datetime = NOW, *, resolved: bool = False) -> Incident:
    return Incident.objects.create(
        workspace=monitor.workspace,
        monitor=monitor,
        reason=Reason.CONNECT_REFUSED,
        detail="connection refused",
        began_at=opened_at - timedelta(seconds=20),
        opened_at=opened_at,
        resolved_at=opened_at + timedelta(minutes=3) if resolved else None,
    )


def facts_of(incident: Incident) -> dict[str, Any]:
    """What the alert about an outage says."""
    monitor = {"id": str(incident.monitor.uid), "kind": "website", "name": incident.monitor.name, "target": "http://192.0.2.1/"}
    times = {"began_at": incident.began_at.isoformat(), "opened_at": incident.opened_at.isoformat()}
    return {"monitor": monitor, "incident": {"id": str(incident.id), "reason": "connect_refused", "detail": "", **times}}


def delivery_of(incident: Incident, channel: Channel, **values: Any) -> Delivery:
    alert = Alert.objects.create(
        workspace=incident.workspace,
        monitor=incident.monitor,
        incident=incident,
        alert_type="down",
        order_key=incident.id,
        sequence=1,
        facts=facts_of(incident),
        created_at=NOW,
    )
    facts = {"state": "requested", "requested_at": NOW, "config_version": 1, "receipt_due_at": NOW + timedelta(minutes=5)}
    return Delivery.objects.create(
        workspace=incident.workspace, alert=alert, channel=channel, **{"generation": 1, "attempts": 0} | facts | values
    )


def channel_of(workspace: Workspace) -> Channel:
    return Channel.objects.create(workspace=workspace, name="Ops", kind="email", config_ciphertext="secret", summary="ops@x")


def test_incidents_latest_first_with_their_monitors(alice: Caller) -> None:
    shop, blog = monitor_of(alice.workspace), monitor_of(alice.workspace, "Blog")
    old = incident_of(shop, NOW - timedelta(days=1), resolved=True)
    new = incident_of(shop)
    other = incident_of(blog, NOW - timedelta(hours=1))
    results = alice.client.get("/api/v1/incidents/").json()["results"]
    assert [row["id"] for row in results] == [str(new.id), str(other.id), str(old.id)]
    assert results[0] == {
        "id": str(new.id),
        "monitor": {"id": str(shop.uid), "kind": "website", "name": "Shop"},
        "reason": "connect_refused",
        "detail": "connection refused",
        "began_at": "2026-11-23T11:59:40Z",
        "opened_at": "2026-11-23T12:00:00Z",
        "resolved_at": None,
        "acknowledged_at": None,
        "acknowledged_by": "",
        "caused_by": None,
    }
    assert alice.client.get(f"/api/v1/incidents/{new.id}/").json() == results[0]

    def found(**query: str) -> list[str]:
        return [row["id"] for row in alice.client.get("/api/v1/incidents/", query).json()["results"]]

    assert found(monitor=str(blog.uid)) == [str(other.id)]
    assert found(open="true", monitor=str(shop.uid)) == [str(new.id)]
    assert found(open="false") == [str(old.id)]
    assert found(until=NOW.isoformat()) == [str(other.id), str(old.id)]
    assert fields(alice.client.get("/api/v1/incidents/", {"monitor": "x\x00"})) == {"monitor": "invalid"}
    assert fields(alice.client.get("/api/v1/incidents/", {"since": "yesterday"})) == {"since": "invalid"}
    assert alice.client.get("/api/v1/incidents/", {"since": "2026-11-23T12:00:00+19:18"}).status_code == 200
    assert fields(alice.client.get("/api/v1/incidents/", {"until": "0001-01-01T00:00:00+01:00"})) == {"until": "invalid"}


@pytest.mark.parametrize(
    ("values", "explanation"),
    [
        ({}, "On its way; asked for again if nothing is heard by 2026-11-23 12:05:00 UTC."),
        (
            {"attempts": 1, "error": "HTTP 500", "error_type": "transient", "retry_at": NOW + timedelta(seconds=10)},
            "The last attempt failed (HTTP 500); the next is at 2026-11-23 12:00:10 UTC.",
        ),
        ({"state": "delivered", "attempts": 2, "finished_at": NOW}, "The channel took the message after 2 attempts."),
        (
            {"state": "failed", "attempts": 1, "error": "HTTP 410", "finished_at": NOW},
            "Given up after 1 attempt: HTTP 410",
        ),
        (
            {"state": "superseded", "finished_at": NOW},
            "Not sent: a later message about the same incident had already told the whole story.",
        ),
    ],
)
def test_a_delivery_explains_itself(alice: Caller, values: dict[str, Any], explanation: str) -> None:
    incident = incident_of(monitor_of(alice.workspace))
    delivery = delivery_of(incident, channel_of(alice.workspace), **values)
    shown = alice.client.get(f"/api/v1/deliveries/{delivery.id}/").json()
    assert shown["explanation"] == explanation
    assert (shown["incident"], shown["alert_type"], shown["channel"]["name"]) == (str(incident.id), "down", "Ops")


def test_deliveries_filter_by_incident_alert_channel_and_state(alice: Caller) -> None:
    channel, other = channel_of(alice.workspace), channel_of(alice.workspace)
    incident = incident_of(monitor_of(alice.workspace))
    first = delivery_of(incident, channel)
    second = delivery_of(incident_of(monitor_of(alice.workspace)), other, state="delivered", finished_at=NOW)

    def found(**query: str) -> set[str]:
        return {row["id"] for row in alice.client.get("/api/v1/deliveries/", query).json()["results"]}

    assert found() == {str(first.id), str(second.id)}
    assert found(incident=str(incident.id)) == {str(first.id)}
    assert found(alert=str(second.alert_id)) == {str(second.id)}
    assert found(channel=str(other.id)) == {str(second.id)}
    assert found(state="delivered") == {str(second.id)}
    assert fields(alice.client.get("/api/v1/deliveries/", {"state": "lost"})) == {"state": "invalid_choice"}


def test_a_test_of_a_channel_has_neither_incident_nor_monitor(alice: Caller) -> None:
    channel = channel_of(alice.workspace)
    alert = Alert.objects.create(
        workspace=alice.workspace,
        alert_type="test",
        order_key=channel.id,
        sequence=1,
        facts={},
        only_channel=channel,
        created_at=NOW,
    )
    Delivery.objects.create(
        workspace=alice.workspace,
        alert=alert,
        channel=channel,
        config_version=1,
        state="requested",
        requested_at=NOW,
        generation=1,
        attempts=0,
    )
    [shown] = alice.client.get("/api/v1/deliveries/").json()["results"]
    assert (shown["incident"], shown["monitor"], shown["alert_type"]) == (None, None, "test")


def test_an_incident_tells_why_people_were_told_or_not(alice: Caller, bob: Caller) -> None:
    incident = incident_of(monitor_of(alice.workspace))
    delivery_of(incident, channel_of(alice.workspace), state="delivered", attempts=1, finished_at=NOW)
    Alert.objects.update(routed_at=NOW)
    shown = alice.client.get(f"/api/v1/incidents/{incident.id}/deliveries/").json()
    assert (shown["incident"], shown["monitor"]) == (str(incident.id), "Shop")
    assert shown["steps"][-1] == {
        "at": "2026-11-23T12:00:00Z",
        "what": "delivery",
        "subject": "Ops (email)",
        "text": "The channel took the message after 1 attempt.",
    }
    problem(bob.client.get(f"/api/v1/incidents/{incident.id}/deliveries/"), "not-found")


def test_others_see_neither(alice: Caller, bob: Caller) -> None:
    incident = incident_of(monitor_of(alice.workspace))
    delivery = delivery_of(incident, channel_of(alice.workspace))
    problem(bob.client.get(f"/api/v1/incidents/{incident.id}/"), "not-found")
    problem(bob.client.get(f"/api/v1/deliveries/{delivery.id}/"), "not-found")
    assert bob.client.get("/api/v1/incidents/").json()["results"] == []
    assert bob.client.get("/api/v1/deliveries/", {"incident": str(incident.id)}).json()["results"] == []
