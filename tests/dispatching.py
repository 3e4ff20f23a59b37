"""alert_dispatch for tests: its tables in the stand-in, its events as the event source mapping hands them over."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from cryptography.fernet import Fernet

from core.contracts import channel_vault, events
from core.contracts.channel_vault import ChannelVersion, VaultCipher
from core.contracts.channels.registry import parse_config
from lambdas.alert_dispatch import handler as dispatch_handler
from tests.aws_stand_in import ENVIRONMENT, AwsStandIn

VAULT_KEY = Fernet.generate_key().decode()
BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Context:
    """What Lambda tells a handler about its call."""

    aws_request_id: str = "request-1"
    function_name: str = "alert_dispatch"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:alert_dispatch"
    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass
class Dispatch:
    """The handler against the stand-in."""

    aws: AwsStandIn
    receipts: list[tuple[str, events.AlertDelivered | events.AlertFailed]] = field(default_factory=list)

    def channel(self, kind: str, config: dict[str, Any], version: int = 1) -> UUID:
        """Put a channel into the vault; its id."""
        channel_id = uuid4()
        self.project(channel_id, kind, config, version)
        return channel_id

    def project(self, channel_id: UUID, kind: str, config: dict[str, Any], version: int = 1) -> None:
        sealed = VaultCipher([VAULT_KEY]).seal(msgspec.to_builtins(parse_config(kind, config, private_targets=True)))
        ChannelVersion(str(channel_id), version, kind=kind, workspace_id=str(uuid4()), ciphertext=sealed).save()

    def invoke(self, *records: dict[str, Any], context: Context | None = None) -> list[str]:
        """Call the handler as the event source mapping does; the ids of the failed messages."""
        answer = dispatch_handler.handler({"Records": list(records)}, context or Context())  # type: ignore[arg-type]  # a protocol
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def new_receipts(self) -> list[events.AlertDelivered | events.AlertFailed]:
        """Receipts that reached their queue since the last call."""
        sqs = self.aws.client("sqs")
        found: list[events.AlertDelivered | events.AlertFailed] = []
        while messages := sqs.receive_message(QueueUrl=self.aws.queue_urls["receipts"], MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                body = json.loads(message["Body"])
                receipt = events.decode(events.EVENT_TYPES[body["detail-type"]], json.dumps(body["detail"])).data
                assert isinstance(receipt, events.AlertDelivered | events.AlertFailed)
                found.append(receipt)
                sqs.delete_message(QueueUrl=self.aws.queue_urls["receipts"], ReceiptHandle=message["ReceiptHandle"])
        return found


@contextmanager
def dispatch_environment(aws: AwsStandIn, monkeypatch: pytest.MonkeyPatch, *, smtp_port: int = 1) -> Iterator[Dispatch]:
    """Tables and settings of alert_dispatch."""
    client = aws.client("dynamodb")
    client.create_table(
        TableName=aws.names.dispatch_table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    ChannelVersion._connection = None
    channel_vault.bind_table(aws.names.channel_vault_table, aws.region)
    ChannelVersion.create_table(wait=True)
    settings = {
        "UPTIME_ENV": ENVIRONMENT,
        "EMAIL_FROM": "Uptime Monitor <uptime@monitor.example>",
        "EMAIL_TRANSPORT": f"smtp://127.0.0.1:{smtp_port}",
        "PRIVATE_TARGETS": "true",
        "PUBLIC_URL": "http://127.0.0.1:8000",
        "CHANNEL_VAULT_KEYS": VAULT_KEY,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    dispatch_handler.wiring.cache_clear()
    yield Dispatch(aws)
    dispatch_handler.wiring.cache_clear()


def alert_request(channel_id: UUID, **changes: Any) -> events.Detail[events.AlertRequested]:
    """A request; `changes` replace fields of its data. Each incident is of a monitor of its own, unless they say another."""
    alert_type = changes.get("alert_type", "down")
    order_key = changes.get("order_key") or uuid4()
    data = events.AlertRequested(
        **{
            "delivery_id": uuid4(),
            "generation": 1,
            "alert_id": uuid4(),
            "alert_type": alert_type,
            "order_key": order_key,
            "sequence": 1_000_000 if alert_type == "recovered" else 1,
            "channel_id": channel_id,
            "channel_kind": "webhook",
            "config_version": 1,
            "monitor": events.MonitorFacts(
                id=UUID(int=order_key.int ^ 1), kind="website", name="Shop", target="https://shop.example.com/"
            ),
            "incident": events.IncidentFacts(id=order_key, reason="timeout", detail="", began_at=BEGAN, opened_at=BEGAN),
            **changes,
        }
    )
    metadata = events.Metadata(event_id=uuid4(), occurred_at=BEGAN, workspace_id=uuid4(), correlation_id=order_key)
    return events.Detail(metadata=metadata, data=data)


def sqs_record(
    request: events.Detail[events.AlertRequested] | None,
    *,
    attempt: int = 1,
    message_id: str = "",
    receipt: str = "unknown",
    body: str = "",
) -> dict[str, Any]:
    """A record as the event source mapping hands it over."""
    event = {"version": "0", "source": "uptimemonitor", "detail-type": "AlertRequested", "detail": msgspec.to_builtins(request)}
    return {
        "messageId": message_id or str(uuid4()),
        "receiptHandle": receipt,
        "body": body or json.dumps(event),
        "attributes": {"ApproximateReceiveCount": str(attempt), "SentTimestamp": "0", "SenderId": "s"},
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:test-uptimemonitor-alerts",
        "awsRegion": "eu-west-1",
    }
