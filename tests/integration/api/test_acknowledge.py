"""Incidents are acknowledged by the API, and by a link in a message, which a mail scanner that follows it does not do."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from core.api import edge
from core.api.accounts.models import Membership, Role
from core.api.accounts.services import api_key_create
from core.api.channels.models import Channel
from core.api.incidents.models import Alert, Incident, Outbox
from core.contracts.channel_links import link_url
from core.contracts.incident_links import GOOD_FOR, IncidentLink, acknowledge_url
from tests.integration.api.calls import problem
from tests.integration.api.conftest import Caller, Edge
from tests.integration.api.test_incidents import NOW, channel_of, facts_of, incident_of, monitor_of


def told_incident(caller: Caller, *, resolved: bool = False) -> Incident:
    """An outage that people were told of."""
    incident = incident_of(monitor_of(caller.workspace), resolved=resolved)
    Alert.objects.create(
        workspace=caller.workspace,
        monitor=incident.monitor,
        incident=incident,
        alert_type="down",
        order_key=incident.id,
        sequence=1,
        facts=facts_of(incident),
        created_at=NOW,
        routed_at=NOW,
    )
    return incident


def address(incident: Incident) -> str:
    return f"/api/v1/incidents/{incident.id}/acknowledge/"


def link_to(incident: Incident, channel: Channel, until: Any = None) -> str:
    link = IncidentLink(channel.id, incident.id, until or timezone.now() + GOOD_FOR)
    return acknowledge_url(edge.vault_cipher(), "https://x", link).removeprefix("https://x")


def test_a_person_takes_an_outage_on_once_and_gives_it_back(alice: Caller, outside: Edge) -> None:
    incident = told_incident(alice)
    first = alice.client.post(address(incident))
    assert first.status_code == 200
    assert first.json()["acknowledged_by"] == alice.user.name
    assert alice.client.post(address(incident)).json() == first.json()
    alert = Alert.objects.get(alert_type="acknowledged")
    assert (alert.incident_id, alert.order_key, alert.sequence) == (incident.id, incident.id, 2)
    assert outside.tasks.sent == [("handle_alert", (str(alert.id),))]
    assert [row.detail_type for row in Outbox.objects.all()] == ["IncidentAcknowledged"]
    listed = alice.client.get("/api/v1/incidents/", {"acknowledged": "true"}).json()["results"]
    assert [row["id"] for row in listed] == [str(incident.id)]
    assert alice.client.get("/api/v1/incidents/", {"acknowledged": "false"}).json()["results"] == []
    back = alice.client.delete(address(incident)).json()
    assert (back["acknowledged_at"], back["acknowledged_by"]) == (None, "")
    assert alice.client.delete(address(incident)).status_code == 200
    assert Alert.objects.filter(alert_type="unacknowledged").count() == 1


def test_a_program_takes_it_on_by_the_name_of_its_key(alice: Caller, outside: Edge) -> None:
    incident = told_incident(alice)
    program = APIClient()
    _, secret = api_key_create(workspace=alice.workspace, name="pager", role=Role.EDITOR, created_by=alice.user)
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert program.post(address(incident)).json()["acknowledged_by"] == "API key “pager”"


def test_an_outage_that_is_over_says_so(alice: Caller, outside: Edge) -> None:
    incident = told_incident(alice, resolved=True)
    for answer in (alice.client.post(address(incident)), alice.client.delete(address(incident))):
        assert "ended at 2026-11-23 12:03:00 UTC" in problem(answer, "conflict")["detail"]


def test_viewers_and_strangers_may_not(alice: Caller, bob: Caller, outside: Edge) -> None:
    incident = told_incident(alice)
    problem(bob.client.post(address(incident)), "not-found")
    Membership.objects.filter(user=alice.user).update(role=Role.VIEWER)
    problem(alice.client.post(address(incident)), "forbidden")
    problem(APIClient().post(address(incident)), "unauthenticated")
    assert Incident.objects.get().acknowledged_at is None


def test_a_get_of_the_link_asks_and_a_post_takes_it_on(alice: Caller, outside: Edge) -> None:
    incident, channel = told_incident(alice), channel_of(alice.workspace)
    page = Client().get(link_to(incident, channel))
    assert page.status_code == 200
    assert "<form" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert Incident.objects.get().acknowledged_at is None
    for _ in range(2):
        done = Client().post(link_to(incident, channel)).content.decode()
        assert "Ops (email) has taken it on" in done
        assert "<form" not in done
    assert Incident.objects.get().acknowledged_by == "Ops (email)"
    assert Alert.objects.filter(alert_type="acknowledged").count() == 1
    assert "<form" not in Client().get(link_to(incident, channel)).content.decode()
    assert Client().put(link_to(incident, channel)).status_code == 405


def test_the_page_of_an_outage_that_is_over_says_so(alice: Caller, outside: Edge) -> None:
    incident, channel = told_incident(alice, resolved=True), channel_of(alice.workspace)
    for answer in (Client().get(link_to(incident, channel)), Client().post(link_to(incident, channel))):
        assert "The outage ended at 2026-11-23 12:03:00 UTC." in answer.content.decode()


def test_names_are_escaped(alice: Caller, outside: Edge) -> None:
    incident, channel = told_incident(alice), channel_of(alice.workspace)
    type(incident.monitor).objects.update(name="<b>Shop</b>")
    assert "&lt;b&gt;Shop" in Client().get(link_to(incident, channel)).content.decode()


@pytest.mark.parametrize("token", ["nonsense", "A" * 70, "ü"])
def test_a_link_that_is_not_ours(alice: Caller, outside: Edge, token: str) -> None:
    assert Client().post(f"/acknowledge/{token}/").status_code == 404


def test_a_link_is_good_for_its_channel_its_workspace_and_its_time(alice: Caller, bob: Caller, outside: Edge) -> None:
    incident, channel = told_incident(alice), channel_of(alice.workspace)
    assert Client().post(link_to(incident, channel, timezone.now() - timedelta(seconds=1))).status_code == 404
    assert Client().post(link_to(incident, channel_of(bob.workspace))).status_code == 404
    for purpose in ("verify", "unsubscribe"):
        other = link_url(edge.vault_cipher(), "x", purpose, channel.id, 1)[1:]
        assert Client().post(other.replace(purpose, "acknowledge")).status_code == 404
    link = link_to(incident, channel)
    channel.delete()
    assert Client().post(link).status_code == 404
    assert Incident.objects.get().acknowledged_at is None
