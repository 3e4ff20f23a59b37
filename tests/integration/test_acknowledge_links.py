"""The link in a message, as the handler makes it, and the order of what is told about who has taken an outage on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from standardwebhooks import Webhook

from core.contracts import events
from core.contracts.channel_vault import VaultCipher
from core.contracts.incident_links import GOOD_FOR, opened
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import BEGAN, VAULT_KEY, Dispatch, alert_request, dispatch_environment, sqs_record
from tests.receivers import WebhookEndpoint, webhook_endpoint
from tests.unit.test_channels import SECRET


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


@pytest.fixture
def channel(dispatch: Dispatch, hook: WebhookEndpoint) -> UUID:
    return dispatch.channel("webhook", {"url": hook.url(), "secret": SECRET})


def told(hook: WebhookEndpoint) -> list[dict[str, Any]]:
    return [Webhook(SECRET).verify(received.body, received.headers) for received in hook.received]


def about(channel: UUID, incident: UUID, alert_type: str, sequence: int, **facts: Any) -> dict[str, Any]:
    known = events.IncidentFacts(id=incident, reason="timeout", detail="", began_at=BEGAN, opened_at=BEGAN, **facts)
    return sqs_record(alert_request(channel, alert_type=alert_type, order_key=incident, sequence=sequence, incident=known))


def test_the_link_of_an_outage_names_channel_and_incident_and_ends_after_30_days(
    dispatch: Dispatch, hook: WebhookEndpoint, channel: UUID
) -> None:
    incident, before = uuid4(), datetime.now(UTC)
    assert dispatch.invoke(about(channel, incident, "down", 1)) == []
    [message] = told(hook)
    url = message["data"]["acknowledge"]
    assert url.startswith("http://127.0.0.1:8000/acknowledge/")
    assert f"Acknowledge: {url}" in message["data"]["text"]
    link = opened(VaultCipher([VAULT_KEY]), url.rstrip("/").rpartition("/")[2])
    assert link
    assert (link.channel_id, link.incident_id) == (channel, incident)
    second = timedelta(seconds=1)
    assert before + GOOD_FOR - second <= link.until <= datetime.now(UTC) + GOOD_FOR + second


def test_what_is_taken_on_or_over_has_no_link(dispatch: Dispatch, hook: WebhookEndpoint, channel: UUID) -> None:
    incident = uuid4()
    taken = {"acknowledged_at": BEGAN, "acknowledged_by": "Ada"}
    dispatch.invoke(about(channel, incident, "acknowledged", 2, **taken))
    dispatch.invoke(about(channel, incident, "unacknowledged", 3))
    dispatch.invoke(about(channel, incident, "recovered", 1_000_000, resolved_at=BEGAN))
    assert ["acknowledge" in message["data"] for message in told(hook)] == [False, True, False]
    assert told(hook)[0]["data"]["title"] == "ACKNOWLEDGED: Shop - by Ada"


def test_nobody_hears_who_looks_after_it_once_it_is_over(dispatch: Dispatch, hook: WebhookEndpoint, channel: UUID) -> None:
    incident = uuid4()
    dispatch.invoke(about(channel, incident, "recovered", 1_000_000, resolved_at=BEGAN))
    assert dispatch.invoke(about(channel, incident, "acknowledged", 2, acknowledged_at=BEGAN, acknowledged_by="Ada")) == []
    assert [message["type"] for message in told(hook)] == ["alert.recovered"]
    receipts = dispatch.new_receipts()
    assert [getattr(receipt, "superseded_by", None) for receipt in receipts] == [None, 1_000_000]


def test_a_late_outage_is_left_out_where_who_has_taken_it_on_was_told(
    dispatch: Dispatch, hook: WebhookEndpoint, channel: UUID
) -> None:
    incident = uuid4()
    dispatch.invoke(about(channel, incident, "acknowledged", 2, acknowledged_at=BEGAN, acknowledged_by="Ada"))
    dispatch.invoke(about(channel, incident, "down", 1))
    [message] = told(hook)
    assert "Shop is down, and Ada looks after it." in message["data"]["text"], "one message tells the whole story"
