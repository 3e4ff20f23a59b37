"""The AWS resources of one environment, made through the AWS API: tables, bucket, bus, rules, queues, secret, sender.

On AWS the CDK stacks make them; this makes the same for one box and for tests, against any endpoint.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

import boto3

from core.contracts.names import EVENT_SOURCE, Names
from core.contracts.queues import RETENTION_S, Queue, queues
from core.contracts.tables import Table, tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient


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
    """The three tables, empty."""
    for table in tables(names):
        _create_table(dynamodb, table)


def _create_table(dynamodb: Any, table: Table) -> None:
    keys = [(table.partition, "HASH"), *([(table.sort, "RANGE")] if table.sort else [])]
    dynamodb.create_table(
        TableName=table.name,
        KeySchema=[{"AttributeName": key.name, "KeyType": role} for key, role in keys],
        AttributeDefinitions=[{"AttributeName": key.name, "AttributeType": key.type} for key, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    if table.ttl:
        dynamodb.update_time_to_live(TableName=table.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl})


def _create_queue(sqs: "SQSClient", queue: Queue) -> str:
    """Make a queue and its dead letters; returns its ARN."""
    dead = _arn(
        sqs, sqs.create_queue(QueueName=Names.dead_letters(queue.name), Attributes={"MessageRetentionPeriod": str(RETENTION_S)})
    )
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
