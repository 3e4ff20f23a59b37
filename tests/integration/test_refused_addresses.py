"""A channel whose host leads to an address that must not be connected to: when that is believed, and of whom."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.contracts import events
from lambdas.alert_dispatch.errors import retry_delay_s
from lambdas.alert_dispatch.posting import Answer, Poster
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.integration.test_dispatch import NOW, hook, queued, webhook_channel
from tests.receivers import WebhookEndpoint

__all__ = ["hook"]  # a fixture


@dataclass
class Guarded:
    """Private addresses are refused, as everywhere but at home; the time is the test's own."""

    dispatch: Dispatch
    now: datetime = NOW

    def attempt(self, record: dict[str, Any], after_s: int = 0) -> tuple[bool, bool]:
        """Whether the attempt is final, and whether it disables the channel."""
        self.now += timedelta(seconds=after_s)
        self.dispatch.invoke(record)
        [said] = self.dispatch.new_receipts()
        assert isinstance(said, events.AlertFailed)
        assert "127.0.0.1 is not allowed" in said.error
        assert said.error_type == ("permanent" if said.final else "transient")
        return said.final, said.disable_channel


@pytest.fixture
def guarded(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    with dispatch_environment(aws, monkeypatch) as running:
        monkeypatch.setenv("PRIVATE_TARGETS", "false")
        held = Guarded(running)
        monkeypatch.setattr("lambdas.alert_dispatch.wiring.utc_now", lambda: held.now)
        yield held


def test_a_refused_address_is_never_connected_to(guarded: Guarded, hook: WebhookEndpoint) -> None:
    """In the end it disables the channel."""
    record = queued(guarded.dispatch, alert_request(webhook_channel(guarded.dispatch, hook)))
    waits = [0, *(retry_delay_s(attempt) for attempt in range(1, 5))]
    assert [guarded.attempt(record, wait_s) for wait_s in waits] == [(False, False)] * 4 + [(True, True)]
    assert hook.received == []


def test_refusals_of_long_ago_and_a_refusal_after_other_trouble_are_passing(guarded: Guarded, hook: WebhookEndpoint) -> None:
    channel = webhook_channel(guarded.dispatch, hook)
    record = queued(guarded.dispatch, alert_request(channel))
    assert guarded.attempt(record) == (False, False)
    assert guarded.attempt(record, 3600) == (False, False)
    guarded.now += timedelta(seconds=60)
    with pytest.MonkeyPatch.context() as at_home:
        at_home.setattr(Poster, "_send", lambda *_, **__: Answer(204))
        assert guarded.dispatch.invoke(sqs_record(alert_request(channel))) == []
    [taken] = guarded.dispatch.new_receipts()
    assert isinstance(taken, events.AlertDelivered)
    assert guarded.attempt(record, 120) == (False, False)
    assert guarded.attempt(record, 120) == (True, True)


def test_a_service_at_a_refused_address_is_our_trouble(guarded: Guarded, hook: WebhookEndpoint) -> None:
    channel = guarded.dispatch.channel("teams", {"url": hook.url("/workflows/x")})
    record = queued(guarded.dispatch, alert_request(channel, channel_kind="teams"))
    assert [guarded.attempt(record, 600) for _ in range(3)] == [(False, False)] * 3
    assert hook.received == []
