"""The record that keeps repetition from becoming duplication: one for each delivery and generation, for seven days."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from core.contracts.events import AlertDelivered, AlertRequested, Detail
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.receivers import WebhookEndpoint, webhook_endpoint
from tests.unit.test_channels import SECRET

KEPT = timedelta(days=7)


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def request_(dispatch: Dispatch, hook: WebhookEndpoint) -> Detail[AlertRequested]:
    return alert_request(dispatch.channel("webhook", {"url": hook.url(), "secret": SECRET}))


def records(dispatch: Dispatch) -> dict[str, Any]:
    """Those in the dispatch table; orders and targets are there as well."""
    items = dispatch.aws.client("dynamodb").scan(TableName=dispatch.aws.names.dispatch_table)["Items"]
    return {item["id"]["S"]: item for item in items if item["id"]["S"].startswith("delivery#")}


def test_a_generation_has_a_record_with_its_receipt_for_seven_days(dispatch: Dispatch, request_: Detail[AlertRequested]) -> None:
    before = datetime.now(UTC)
    assert dispatch.invoke(sqs_record(request_)) == []
    [(first, record)] = records(dispatch).items()
    assert record["status"] == {"S": "COMPLETED"}
    assert str(request_.data.delivery_id) in record["data"]["S"]
    expires = datetime.fromtimestamp(int(record["expiration"]["N"]), UTC)
    assert before + KEPT - timedelta(seconds=1) <= expires <= datetime.now(UTC) + KEPT
    dispatch.invoke(sqs_record(structs.replace(request_, data=structs.replace(request_.data, generation=2))))
    dispatch.invoke(sqs_record(request_, attempt=2))
    assert len(records(dispatch)) == 2, "by generation, and not by message"
    assert records(dispatch)[first] == record


def test_a_message_that_comes_after_its_record_is_gone_is_known_all_the_same(
    dispatch: Dispatch, hook: WebhookEndpoint, request_: Detail[AlertRequested]
) -> None:
    assert dispatch.invoke(sqs_record(request_)) == []
    [key] = records(dispatch)
    dispatch.aws.client("dynamodb").update_item(
        TableName=dispatch.aws.names.dispatch_table,
        Key={"id": {"S": key}},
        UpdateExpression="SET expiration = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
    dispatch.new_receipts()
    assert dispatch.invoke(sqs_record(request_, attempt=2)) == []
    [receipt] = dispatch.new_receipts()
    assert isinstance(receipt, AlertDelivered)
    assert receipt.superseded_by is None
    assert len(hook.received) == 1
