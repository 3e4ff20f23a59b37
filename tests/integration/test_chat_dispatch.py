"""Chat channels on the whole way through alert_dispatch: from the vault, by the handler, to the service and the receipt."""

from collections.abc import Iterator

import msgspec
import pytest

from core.contracts import events
from core.contracts.channels import registry
from tests.aws_stand_in import AwsStandIn
from tests.chat_services import Reply, chat_service
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.integration.test_chat_senders import KINDS

GONE = {
    "slack webhook": Reply(404, b"no_service"),
    "slack bot": Reply(200, {"ok": False, "error": "token_revoked"}),
    "teams": Reply(404, {"error": {"code": "WorkflowNotFound"}}),
    "discord": Reply(404, {"code": 10015}),
    "telegram": Reply(403, {"ok": False, "description": "Forbidden: bot was blocked by the user"}),
    "ntfy": Reply(403, {"code": 40301, "error": "forbidden"}),
}


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


@pytest.mark.parametrize("name", KINDS)
def test_a_test_message_arrives_and_a_target_that_is_gone_disables_its_channel(dispatch: Dispatch, name: str) -> None:
    kind = KINDS[name]
    with chat_service(kind.judge) as service:
        config = kind.config(service)
        [word] = [word for word, shape in registry.KINDS.items() if isinstance(config, shape)]
        channel = dispatch.channel(word, msgspec.to_builtins(config))
        asked = alert_request(channel, alert_type="test", channel_kind=word, monitor=None, incident=None, text="Sent by hand.")
        assert dispatch.invoke(sqs_record(asked)) == []
        [receipt] = dispatch.new_receipts()
        assert isinstance(receipt, events.AlertDelivered)
        assert "Sent by hand." in service.received[0].body.decode().replace("\\", "")

        service.replies = [GONE[name]]
        another = dispatch.channel(word, msgspec.to_builtins(config))
        dispatch.invoke(sqs_record(alert_request(another, channel_kind=word)))
        [receipt] = dispatch.new_receipts()
        assert isinstance(receipt, events.AlertFailed)
        assert (receipt.error_type, receipt.final, receipt.disable_channel) == ("permanent", True, True)
        assert len(service.received) == 2
