"""Sending tasks by name: to the right queue, and without harm when the broker is away."""

import base64
import json
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
import redis

from core.adapters.task_queue import KICK_BATCH, TaskQueue
from core.contracts.tasks import QUEUE_OF, QUEUES
from tests.conftest import free_port


@pytest.fixture
def broker(valkey_url: str) -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(valkey_url)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def queue(valkey_url: str) -> Iterator[TaskQueue]:
    sender = TaskQueue(valkey_url)
    yield sender
    sender.close()


def messages(broker: redis.Redis, name: str) -> list[tuple[str, list[object]]]:
    found = []
    for raw in broker.lrange(name, 0, -1):
        message = json.loads(raw)
        arguments, _, _ = json.loads(base64.b64decode(message["body"]))
        found.append((message["headers"]["task"], arguments))
    return found


def test_a_task_waits_in_its_own_queue(queue: TaskQueue, broker: redis.Redis) -> None:
    assert queue.send("check_single_website", "some-id")
    assert messages(broker, "checks") == [("check_single_website", ["some-id"])]
    assert queue.lengths(QUEUES) == {"checks": 1, "schedule": 0, "alerts": 0, "default": 0}


def test_every_alert_is_kicked_in_batches(queue: TaskQueue, broker: redis.Redis) -> None:
    alerts = [str(uuid4()) for _ in range(2 * KICK_BATCH + 1)]
    queue.kick_alerts(map(UUID, alerts))
    kicked = messages(broker, "alerts")
    assert sorted(len(arguments) for _, arguments in kicked) == [1, KICK_BATCH, KICK_BATCH]
    assert {name for name, _ in kicked} == {"handle_alert"}
    assert sorted(str(alert) for _, arguments in kicked for alert in arguments) == sorted(alerts)


def test_nothing_to_kick_is_no_task(queue: TaskQueue, broker: redis.Redis) -> None:
    queue.kick_alerts([])
    assert messages(broker, "alerts") == []


def test_a_task_that_nobody_runs_is_a_mistake(queue: TaskQueue) -> None:
    with pytest.raises(KeyError):
        queue.send("check_everything")


@pytest.mark.timeout(30)
def test_a_lost_broker_is_told_once_for_a_thousand_alerts_and_never_raised() -> None:
    queue = TaskQueue(f"redis://127.0.0.1:{free_port()}/0")
    assert queue.send("process_ping", "{}") is False
    queue.kick_alerts([uuid4() for _ in range(1000)])
    with pytest.raises(redis.RedisError):
        queue.lengths(QUEUES)
    queue.close()


def test_every_task_has_a_queue_that_somebody_consumes() -> None:
    assert set(QUEUE_OF.values()) == set(QUEUES)
