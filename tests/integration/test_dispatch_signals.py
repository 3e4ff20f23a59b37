"""What alert_dispatch says of itself: a metric for each receipt, as CloudWatch reads it, and lines by which a message can be followed."""

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest

from lambdas.alert_dispatch import handler as dispatch_handler
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import Dispatch, alert_request, dispatch_environment
from tests.integration.test_dispatch import queued
from tests.receivers import WebhookEndpoint, webhook_endpoint
from tests.unit.test_channels import SECRET


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


def lines(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def metrics(said: str) -> list[tuple[str, dict[str, str], float]]:
    """Name, dimensions and value of each metric, as CloudWatch reads them out of a line."""
    found = []
    for line in lines(said):
        for told in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            assert told["Namespace"] == "UptimeMonitor"
            [dimensions] = told["Dimensions"]
            for metric in told["Metrics"]:
                assert metric["Unit"] == "Count"
                [value] = line[metric["Name"]]
                found.append((metric["Name"], {name: line[name] for name in dimensions}, value))
    return found


def test_each_receipt_is_a_metric_by_the_kind_of_channel(
    dispatch: Dispatch, hook: WebhookEndpoint, capfd: pytest.CaptureFixture[str]
) -> None:
    channel = dispatch.channel("webhook", {"url": hook.url(), "secret": SECRET})
    good, bad = queued(dispatch, alert_request(channel)), queued(dispatch, alert_request(channel))
    assert dispatch.invoke(good) == []
    hook.status = 503
    assert dispatch.invoke(bad) == [bad["messageId"]]
    by_kind = {"service": "alert_dispatch", "channel_kind": "webhook"}
    assert metrics(capfd.readouterr().out) == [("AlertDelivered", by_kind, 1.0), ("AlertFailed", by_kind, 1.0)]


@pytest.mark.parametrize(("status", "events"), [(200, ["receipt.published"]), (503, ["receipt.published", "message.waits"])])
def test_lines_say_which_delivery_it_was_and_nothing_that_is_secret(
    dispatch: Dispatch, hook: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, status: int, events: list[str]
) -> None:
    written = StringIO()
    monkeypatch.setattr(dispatch_handler.logger.registered_handler, "stream", written)
    hook.status = status
    request = alert_request(dispatch.channel("webhook", {"url": hook.url("/token-in-the-path"), "secret": SECRET}))
    dispatch.invoke(queued(dispatch, request))
    said = lines(written.getvalue())
    assert [line["message"] for line in said] == events
    followed = {"delivery_id": str(request.data.delivery_id), "generation": 1, "receives": 1, "service": "alert_dispatch"}
    assert [{name: line[name] for name in followed} for line in said] == [followed] * len(said)
    assert not any(secret in written.getvalue() for secret in (SECRET, SECRET.removeprefix("whsec_"), "token-in-the-path"))
    written.truncate(0)
    dispatch_handler.logger.warning("something else")
    assert "delivery_id" not in lines(written.getvalue().lstrip("\0"))[0], "what comes after it is not of that delivery"
