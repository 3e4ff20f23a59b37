"""The website loop with Amazon SQS as Celery's broker: the same fleet and tasks, and the AWS stand-in's queues in place of Redis' lists."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import boto3
import psycopg
import pytest
from botocore.exceptions import BotoCoreError

from core.adapters.task_queue import TaskQueue
from core.contracts.tasks import QUEUES
from core.env import SettingError
from tests.aws_stand_in import REGION, AwsStandIn
from tests.conftest import free_port
from tests.fleet import Fleet, Target
from tests.waiting import until
from tests.websites import make_website, make_workspace

ACCOUNT = "123456789012"
START_S = 90.0


@pytest.fixture
def broker_url(aws: AwsStandIn) -> str:
    """Queues of this test's own, as the estate makes them."""
    prefix = f"tasks-{uuid4().hex[:8]}-"
    client = boto3.client("sqs", region_name=REGION, endpoint_url=aws.endpoint_url)
    for name in QUEUES:
        client.create_queue(QueueName=f"{prefix}{name}", Attributes={"VisibilityTimeout": "300"})
    return f"sqs://{REGION}/{ACCOUNT}/{prefix}"


@pytest.fixture
def target() -> Iterator[Target]:
    served = Target()
    yield served
    served.close()


@pytest.fixture
def fleet(aws: AwsStandIn, broker_url: str, database_url: str, valkey_url: str, tmp_path: Path) -> Iterator[Fleet]:
    environ = {"DATABASE_URL": database_url, "REDIS_URL": valkey_url, "BROKER_URL": broker_url, "PRIVATE_TARGETS": "true"}
    running = Fleet(tmp_path, {**environ, "AWS_ENDPOINT_URL": aws.endpoint_url})
    yield running
    running.close()


def column(connection: psycopg.Connection, query: str) -> list[object]:
    found = [row[0] for row in connection.execute(query)]
    connection.commit()
    return found


def test_an_outage_and_its_end_are_found(fleet: Fleet, target: Target, connection: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    settings = {"url": target.url, "interval_s": 3, "retry_interval_s": 1, "failure_threshold": 2, "timeout_ms": 2000}
    make_website(connection, make_workspace(connection, now), now, **settings)
    connection.commit()
    fleet.start()
    until(lambda: column(connection, "SELECT state FROM website_state") == ["up"], START_S)
    target.status = 500
    until(lambda: column(connection, "SELECT alert_type FROM alert") == ["down"], START_S)
    target.status = 200
    until(lambda: column(connection, "SELECT alert_type FROM alert ORDER BY sequence") == ["down", "recovered"], START_S)
    until(lambda: column(connection, "SELECT count(*) FROM alert WHERE routed_at IS NULL") == [0], START_S)
    assert fleet.alive()
    assert "Traceback" not in fleet.log("worker") + fleet.log("schedule") + fleet.log("beat")
    assert [fleet.stop(name, START_S) for name in ("beat", "schedule", "worker")] == [0, 0, 0]


def test_tasks_wait_in_their_queues_and_are_counted(aws: AwsStandIn, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    queue = TaskQueue(broker_url)
    assert queue.send("check_single_website", "some-id")
    queue.kick_alerts([uuid4() for _ in range(3)])
    assert queue.lengths(QUEUES) == {"checks": 1, "schedule": 0, "alerts": 1, "default": 0}
    queue.close()


@pytest.mark.timeout(60)
def test_a_lost_broker_is_told_and_never_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    queue = TaskQueue(f"sqs://{REGION}/{ACCOUNT}/tasks-")
    assert queue.send("process_ping", "{}") is False
    with pytest.raises(BotoCoreError):
        queue.lengths(QUEUES)
    queue.close()


@pytest.mark.parametrize("url", ["sqs://eu-west-1", "sqs://eu-west-1/1234/tasks-", "sqs://eu-west-1/123456789012/a/b"])
def test_another_form_is_no_broker(url: str) -> None:
    with pytest.raises(SettingError, match="sqs://REGION/ACCOUNT/PREFIX"):
        TaskQueue(url)
