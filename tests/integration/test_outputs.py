"""From a ping that failed to a message that shows what the job said: PostgreSQL, the heartbeat table, S3, the handler, a webhook."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from core.contracts import events
from core.contracts.heartbeat_keys import body_key, ping_sort_key
from core.contracts.heartbeat_table import PingItem
from core.flows import alerts
from core.flows.heartbeats import apply_pings
from tests.aws_stand_in import AwsStandIn
from tests.dispatching import Dispatch, alert_request, dispatch_environment, sqs_record
from tests.fakes import FakeBus
from tests.heartbeats import make_heartbeat, minutes, pinged
from tests.integration.test_alert_flow import make_channel, pool
from tests.receivers import WebhookEndpoint, webhook_endpoint
from tests.unit.test_channels import SECRET

__all__ = ["pool"]  # a fixture

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def dispatch(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatch]:
    with dispatch_environment(aws, monkeypatch) as running:
        yield running


@pytest.fixture
def hook() -> Iterator[WebhookEndpoint]:
    with webhook_endpoint() as endpoint:
        yield endpoint


def keep(aws: AwsStandIn, heartbeat: UUID, ping: UUID, body: bytes, *, large: bool = False) -> None:
    """A ping as the edge keeps it."""
    key = body_key(str(heartbeat), str(ping)) if large else None
    if key:
        aws.client("s3").put_object(Bucket=aws.names.ping_bodies_bucket, Key=key, Body=body)
    PingItem(
        str(heartbeat),
        ping_sort_key(str(ping)),
        sequence=1,
        kind="fail",
        pinged_at=0,
        method="POST",
        expires_at=2**31,
        body=None if large else body,
        body_key=key,
    ).save()


def message(dispatch: Dispatch, hook: WebhookEndpoint, heartbeat: UUID, ping: UUID) -> dict[str, Any]:
    """What a webhook gets about a job whose ping this was."""
    channel = dispatch.channel("webhook", {"url": hook.url(), "secret": SECRET})
    facts = events.MonitorFacts(id=heartbeat, kind="heartbeat", name="backup", target="every 1 d")
    assert dispatch.invoke(sqs_record(alert_request(channel, monitor=facts, output_of=ping))) == []
    content: dict[str, Any] = json.loads(hook.received[-1].body)["data"]
    return content


@pytest.mark.parametrize("large", [False, True])
def test_the_message_shows_the_last_lines(dispatch: Dispatch, hook: WebhookEndpoint, large: bool) -> None:
    heartbeat, ping = uuid4(), uuid4()
    keep(dispatch.aws, heartbeat, ping, b"x\n" * (50_000 if large else 5) + b"no space left on device\n", large=large)
    told = message(dispatch, hook, heartbeat, ping)
    assert told["output"].endswith("\nno space left on device")
    assert len(told["output"]) <= 1024
    assert "    no space left on device" in told["text"]


def test_a_body_that_is_gone_or_cannot_be_read_costs_no_message(dispatch: Dispatch, hook: WebhookEndpoint) -> None:
    heartbeat, ping = uuid4(), uuid4()
    assert "output" not in message(dispatch, hook, heartbeat, ping), "expired"
    keep(dispatch.aws, heartbeat, ping, b"")
    PingItem(str(heartbeat), ping_sort_key(str(ping))).update([PingItem.body_key.set("nothing/here")])
    assert "output" not in message(dispatch, hook, heartbeat, ping), "its object is gone"
    dispatch.aws.client("dynamodb").delete_table(TableName=dispatch.aws.names.heartbeats_table)
    assert "output" not in message(dispatch, hook, heartbeat, ping), "nothing can be read"
    assert len(hook.received) == 3


@pytest.mark.parametrize("size", [0, 12])
def test_the_request_names_the_ping_and_never_holds_the_body(connection: psycopg.Connection, pool: Any, size: int) -> None:
    uid = make_heartbeat(connection, NOON)
    row = connection.execute("SELECT workspace_id FROM monitor WHERE uid = %s", (uid,)).fetchone()
    assert row
    make_channel(connection, row[0])
    connection.commit()
    sent = pinged(uid, 1, NOON, "fail", 3)
    failed = msgspec.structs.replace(sent, data=msgspec.structs.replace(sent.data, body_size=size))
    apply_pings(connection, [failed], NOON)
    bus = FakeBus()
    alerts.sweep(pool, bus, NOON + minutes(1))
    [request] = bus.requests()
    assert request.output_of == (failed.data.ping_id if size else None)
    apply_pings(connection, [pinged(uid, 2, NOON + minutes(2))], NOON + minutes(2))
    alerts.sweep(pool, bus, NOON + minutes(3))
    assert bus.requests()[-1].alert_type == "recovered"
    assert bus.requests()[-1].output_of is None
