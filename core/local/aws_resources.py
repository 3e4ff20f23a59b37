"""The AWS resources of one environment, made through the AWS API: tables, bucket, bus, rules, queues, secret, sender.

On AWS the CDK stacks make them; this makes the same for one box and for tests, against any endpoint.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any, Final

import boto3

from core.contracts.channel_vault import ChannelVersion
from core.contracts.heartbeat_table import HeartbeatItem
from core.contracts.names import EVENT_SOURCE, Names

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient

DISPATCH_TIMEOUT_S: Final = 30
"""Time that alert_dispatch gets for one invocation."""

DISPATCH_KEY: Final = "id"
DISPATCH_TTL: Final = "expiration"
HEARTBEATS_TTL: Final = "expires_at"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, which events go to it, and when a message that nobody can handle goes to its dead letters."""

    name: str
    rule: str
    detail_types: tuple[str, ...]
    visibility_s: int
    max_receives: int


def queues(names: Names) -> tuple[Queue, ...]:
    """The queues of an environment. Visibility is six times what its consumer may take; alerts are tried for hours."""
    return (
        Queue(names.pings_queue, "pings", ("HeartbeatPinged",), 60, 5),
        Queue(names.alerts_queue, "alerts", ("AlertRequested",), 6 * DISPATCH_TIMEOUT_S, 60),
        Queue(names.receipts_queue, "receipts", ("AlertDelivered", "AlertFailed"), 60, 5),
    )


@dataclass(frozen=True, slots=True)
class AwsClients:
    """The clients that make the resources."""

    dynamodb: "DynamoDBClient"
    events: "EventBridgeClient"
    s3: "S3Client"
    sqs: "SQSClient"
    secretsmanager: "SecretsManagerClient"
    sesv2: "SESV2Client"

    @classmethod
    def make(cls, region: str, endpoint_url: str | None = None) -> "AwsClients":
        """Clients of one region; without `endpoint_url` botocore looks it up as usual."""
        session = boto3.Session(region_name=region)
        return cls(
            dynamodb=session.client("dynamodb", endpoint_url=endpoint_url),
            events=session.client("events", endpoint_url=endpoint_url),
            s3=session.client("s3", endpoint_url=endpoint_url),
            sqs=session.client("sqs", endpoint_url=endpoint_url),
            secretsmanager=session.client("secretsmanager", endpoint_url=endpoint_url),
            sesv2=session.client("sesv2", endpoint_url=endpoint_url),
        )


def create_resources(clients: AwsClients, names: Names, *, vault_keys: Sequence[str], email_from: str | None = None) -> None:
    """Make everything in an account that has none of it; the sender `email_from` only where mail goes through SES.

    Raises:
        botocore.exceptions.ClientError: a resource exists already, or the endpoint refused it.
    """
    create_tables(clients.dynamodb, names)
    region: Any = clients.s3.meta.region_name  # the stubs have regions as literals
    clients.s3.create_bucket(Bucket=names.ping_bodies_bucket, CreateBucketConfiguration={"LocationConstraint": region})
    clients.events.create_event_bus(Name=names.bus)
    for queue in queues(names):
        _route(clients.events, names.bus, queue, _create_queue(clients.sqs, queue))
    clients.secretsmanager.create_secret(Name=names.vault_key_secret, SecretString=",".join(vault_keys))
    if email_from:
        clients.sesv2.create_email_identity(EmailIdentity=parseaddr(email_from)[1])


def create_tables(dynamodb: "DynamoDBClient", names: Names) -> None:
    """The three tables; keys come from the contracts' models, so they cannot differ from what is written."""
    _create_table(dynamodb, names.heartbeats_table, _model_keys(HeartbeatItem), HEARTBEATS_TTL)
    _create_table(dynamodb, names.channel_vault_table, _model_keys(ChannelVersion), None)
    _create_table(dynamodb, names.dispatch_table, [(DISPATCH_KEY, "HASH", "S")], DISPATCH_TTL)


def _model_keys(model: Any) -> list[tuple[str, str, str]]:
    """Name, role and type of a PynamoDB model's keys, partition key first."""
    keys = [attribute for attribute in model.get_attributes().values() if attribute.is_hash_key or attribute.is_range_key]
    keys.sort(key=lambda attribute: not attribute.is_hash_key)
    return [(key.attr_name, "HASH" if key.is_hash_key else "RANGE", key.attr_type) for key in keys]


def _create_table(dynamodb: Any, table: str, keys: Sequence[tuple[str, str, str]], ttl: str | None) -> None:
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": name, "KeyType": role} for name, role, _ in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": type_} for name, _, type_ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    if ttl:
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": ttl})


def _create_queue(sqs: "SQSClient", queue: Queue) -> str:
    """Make a queue and its dead letters; returns its ARN."""
    dead = _arn(sqs, sqs.create_queue(QueueName=Names.dead_letters(queue.name), Attributes={"MessageRetentionPeriod": "1209600"}))
    redrive = {"deadLetterTargetArn": dead, "maxReceiveCount": queue.max_receives}
    attributes = {"VisibilityTimeout": str(queue.visibility_s), "RedrivePolicy": json.dumps(redrive)}
    return _arn(sqs, sqs.create_queue(QueueName=queue.name, Attributes=attributes))  # type: ignore[arg-type]  # keys are literals in the stubs


def _arn(sqs: "SQSClient", created: Any) -> str:
    attributes = sqs.get_queue_attributes(QueueUrl=created["QueueUrl"], AttributeNames=["QueueArn"])
    return attributes["Attributes"]["QueueArn"]


def _route(events: "EventBridgeClient", bus: str, queue: Queue, arn: str) -> None:
    pattern = {"source": [EVENT_SOURCE], "detail-type": list(queue.detail_types)}
    events.put_rule(Name=queue.rule, EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=queue.rule, EventBusName=bus, Targets=[{"Id": queue.rule, "Arn": arn}])
