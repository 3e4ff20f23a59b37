"""When alerts are grouped: shown to everybody in a workspace, changed by those who may, explained at deliveries."""

from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from core.api.incidents.models import AlertGroup
from tests.integration.api.calls import problem
from tests.integration.api.conftest import Caller
from tests.integration.api.test_incidents import channel_of, delivery_of, incident_of, monitor_of

ADDRESS = "/api/v1/alert-grouping/"
DEFAULT = {"group_after": 5, "group_within_s": 60}
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_it_is_on_until_somebody_says_otherwise(alice: Caller, bob: Caller) -> None:
    assert alice.client.get(ADDRESS).json() == DEFAULT
    answer = alice.client.patch(ADDRESS, {"group_after": 0}, format="json")
    assert answer.json() == DEFAULT | {"group_after": 0}
    assert alice.client.get(ADDRESS).json() == DEFAULT | {"group_after": 0}
    assert bob.client.get(ADDRESS).json() == DEFAULT, "each workspace has its own"
    assert alice.client.patch(ADDRESS, {}, format="json").json() == DEFAULT | {"group_after": 0}


@pytest.mark.parametrize(
    "body", [{"group_after": -1}, {"group_after": 1001}, {"group_within_s": 0}, {"group_within_s": 3601}, {"x": 1}]
)
def test_nonsense_is_refused(alice: Caller, body: dict[str, Any]) -> None:
    problem(alice.client.patch(ADDRESS, body, format="json"), "validation")
    assert alice.client.get(ADDRESS).json() == DEFAULT


def test_viewers_look_and_do_not_change(alice: Caller) -> None:
    key = alice.client.post("/api/v1/api-keys/", {"name": "tv", "role": "viewer"}, format="json").json()["key"]
    viewer = APIClient()
    viewer.credentials(HTTP_X_API_KEY=key)
    assert viewer.get(ADDRESS).json() == DEFAULT
    problem(viewer.patch(ADDRESS, {"group_after": 1}, format="json"), "forbidden")


@pytest.mark.parametrize(("state", "words"), [("requested", "Told together with others"), ("delivered", "told this together")])
def test_a_delivery_says_that_it_was_told_with_others(alice: Caller, state: str, words: str) -> None:
    channel = channel_of(alice.workspace)
    group = AlertGroup.objects.create(workspace=alice.workspace, channel=channel, opened_at=NOW, folded_at=NOW, due_at=NOW)
    incident = incident_of(monitor_of(alice.workspace))
    delivery_of(incident, channel, state=state, group=group, group_revision=1, receipt_due_at=None)
    [told] = alice.client.get("/api/v1/deliveries/").json()["results"]
    assert words in told["explanation"]


def test_a_channel_is_deleted_with_its_groups(alice: Caller) -> None:
    channel = channel_of(alice.workspace)
    group = AlertGroup.objects.create(workspace=alice.workspace, channel=channel, opened_at=NOW, folded_at=NOW, due_at=NOW)
    delivery_of(incident_of(monitor_of(alice.workspace)), channel, group=group, group_revision=1, receipt_due_at=None)
    assert alice.client.delete(f"/api/v1/channels/{channel.id}/").status_code == 204
    assert not AlertGroup.objects.exists()
