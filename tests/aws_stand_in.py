"""moto as AWS for the tests: one server for each test process, emptied and set up anew for each test."""

import json
import logging
import os
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from core.contracts.heartbeat_table import HeartbeatItem, bind_table
from core.contracts.names import EVENT_SOURCE, Names
from tests.environment import aws_socket

REGION = "eu-west-1"
ENVIRONMENT = "test"
ROUTES = {
    "pings": ["HeartbeatPinged"],
    "alerts": ["AlertRequested"],
    "receipts": ["AlertDelivered", "AlertFailed"],
}


@dataclass(frozen=True, slots=True)
class AwsStandIn:
    """Where the stand-in listens, and what is in it."""

    endpoint_url: str
    names: Names
    region: str
    queue_urls: dict[str, str]

    def client(self, service: str) -> Any:
        """A boto3 client of the stand-in; `Any` because the stubs tell services apart by literals."""
        return boto3.client(service, region_name=self.region, endpoint_url=self.endpoint_url)  # type: ignore[call-overload]  # name is a variable


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """A running moto server, where the environment has said from the start that AWS is."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = _server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield os.environ["AWS_ENDPOINT_URL"]
    server.shutdown()
    thread.join(10)


def _server() -> Any:
    """moto over HTTP, one request at a time except for long polls: its transactions roll back what other threads wrote meanwhile."""
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415  (half a second that only these tests need)
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415  (as above)

    moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("HTTP_X_AMZ_TARGET") == "AmazonSQS.ReceiveMessage":
            return moto(environ, start_response)
        with turn:
            return moto(environ, start_response)

    aws_socket.listen()
    return make_server("127.0.0.1", 0, serve, threaded=True, request_handler=MotoRequestHandler, fd=aws_socket.fileno())


@pytest.fixture
def aws(aws_endpoint: str) -> AwsStandIn:
    """An empty AWS with the heartbeat table, the bus, and its rules to the three queues."""
    urllib.request.urlopen(urllib.request.Request(f"{aws_endpoint}/moto-api/reset", method="POST"), timeout=10).close()
    stand_in = AwsStandIn(aws_endpoint, Names(ENVIRONMENT), REGION, {})
    bind_table(stand_in.names.heartbeats_table, REGION)
    HeartbeatItem.create_table(wait=True)
    constraint = {"LocationConstraint": REGION}
    for bucket in (stand_in.names.ping_bodies_bucket, stand_in.names.ping_mail_bucket):
        stand_in.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=constraint)
    events, sqs = stand_in.client("events"), stand_in.client("sqs")
    events.create_event_bus(Name=stand_in.names.bus)
    for noun, detail_types in ROUTES.items():
        queue = getattr(stand_in.names, f"{noun}_queue")
        dead = sqs.create_queue(QueueName=Names.dead_letters(queue))["QueueUrl"]
        redrive = {"deadLetterTargetArn": _arn(sqs, dead), "maxReceiveCount": 5}
        url = sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "30", "RedrivePolicy": json.dumps(redrive)})[
            "QueueUrl"
        ]
        stand_in.queue_urls.update({noun: url, f"{noun}-dead": dead})
        pattern = {"source": [EVENT_SOURCE], "detail-type": detail_types}
        events.put_rule(Name=noun, EventBusName=stand_in.names.bus, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=noun, EventBusName=stand_in.names.bus, Targets=[{"Id": noun, "Arn": _arn(sqs, url)}])
    return stand_in


def _arn(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])
