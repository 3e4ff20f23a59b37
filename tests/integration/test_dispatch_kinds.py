"""Each kind on the whole way through alert_dispatch: from its version in the vault to its receipt."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.contracts import events
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.integration.test_paging_services import GENIE_KEY, ROUTING_KEY, opsgenie, pagerduty
from tests.integration.test_phone_channels import BASICS, whatsapp
from tests.services import Call, Reply, always, service


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


CASES: list[tuple[str, Callable[[Call], Reply], dict[str, Any]]] = [
    ("pagerduty", pagerduty, {"routing_key": ROUTING_KEY}),
    ("opsgenie", opsgenie, {"api_key": GENIE_KEY}),
    ("whatsapp", whatsapp, BASICS),
]


@pytest.mark.parametrize(("kind", "judge", "config"), CASES)
def test_a_message_is_taken_and_a_shut_door_disables(
    dispatch: Dispatch, kind: str, judge: Callable[[Call], Reply], config: dict[str, Any]
) -> None:
    with service(judge) as running:
        channel = dispatch.channel(kind, {**config, "api": running.url})
        assert dispatch.invoke(sqs_record(alert_request(channel, channel_kind=kind))) == []
        assert len(running.calls) == 1
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertDelivered)
    refused = {"pagerduty": Reply(400, {"errors": ["Invalid routing key"]}), "opsgenie": Reply(401), "whatsapp": Reply(401)}[kind]
    with service(always(refused)) as running:
        channel = dispatch.channel(kind, {**config, "api": running.url})
        assert dispatch.invoke(sqs_record(alert_request(channel, channel_kind=kind))) == []
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertFailed)
    assert (receipt.error_type, receipt.final, receipt.disable_channel) == ("permanent", True, True)


def test_an_sms_is_published_on_the_operators_account(dispatch: Dispatch) -> None:
    channel = dispatch.channel("sms", {"to": "+49 151 2345678"})
    assert dispatch.invoke(sqs_record(alert_request(channel, channel_kind="sms"))) == []
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, events.AlertDelivered)
