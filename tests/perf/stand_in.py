"""The AWS stand-in of one box, for its own figure beside those of the product."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3

from core.contracts.event_examples import DATA
from core.contracts.events import AlertRequested, Metadata, encode
from core.contracts.names import EVENT_SOURCE, Names
from tests.conftest import free_port
from tests.processes import accepts, wait_until

READY_S = 60.0
RECEIVE_LIMIT = 10
EMPTY_POLLS = 5


@contextmanager
def stand_in(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """A running stand-in that knows the heartbeats of the database; its endpoint."""
    port = free_port()
    journal = folder / "journal"
    journal.mkdir()
    command = [sys.executable, "-m", "core.local.aws", "--port", str(port), "--journal", str(journal)]
    with (folder / "aws.log").open("ab") as log, subprocess.Popen(command, env=dict(environ), stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: accepts(port), READY_S, "the stand-in listening")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def events_per_s(endpoint: str, names: Names, region: str, count: int) -> float:
    """How many events a second get through: published one by one, received, deleted.

    Raises:
        RuntimeError: not all of them arrived.
    """
    bus = boto3.client("events", region_name=region, endpoint_url=endpoint)
    sqs = boto3.client("sqs", region_name=region, endpoint_url=endpoint)
    queue = sqs.get_queue_url(QueueName=names.alerts_queue)["QueueUrl"]
    began = time.perf_counter()
    for _ in range(count):
        bus.put_events(Entries=[_entry(names)])
    arrived = sum(_receive(sqs, queue) for _ in range(count // RECEIVE_LIMIT + EMPTY_POLLS))
    if arrived != count:
        raise RuntimeError(f"{arrived} of {count} events arrived")
    return count / (time.perf_counter() - began)


def _receive(sqs: Any, queue: str) -> int:
    messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=RECEIVE_LIMIT).get("Messages", [])
    for message in messages:
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return len(messages)


def _entry(names: Names) -> Any:
    data = next(example for example in DATA if isinstance(example, AlertRequested))
    metadata = Metadata(event_id=uuid4(), occurred_at=datetime.now(UTC), workspace_id=uuid4(), correlation_id=uuid4())
    detail = encode(metadata, data)
    return {"Source": EVENT_SOURCE, "DetailType": "AlertRequested", "Detail": detail, "EventBusName": names.bus}
