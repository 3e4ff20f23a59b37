"""The transport of the checker's Celery app against Valkey."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from kombu import Connection, Queue
from kombu.transport.redis import Transport

from core.checker import broker
from tests.waiting import until

broker.install()


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as connection:
        connection.delete("quiet")
        yield connection


def test_a_worker_that_stops_does_not_wait_for_the_next_message(
    valkey_url: str, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question for it is held for long, and kombu waits for the answer before it lets go."""
    monkeypatch.setattr(Transport, "brpop_timeout", 3600)
    with Connection(valkey_url) as connection:
        channel: Any = connection.channel()
        channel.queue_declare("quiet")
        channel.basic_consume("quiet", no_ack=False, callback=lambda _: None, consumer_tag="a")
        channel.connection.cycle.on_poll_start()
        until(lambda: any(each["cmd"] == "brpop" for each in client.client_list()))
        closing = threading.Thread(target=channel.close, daemon=True)
        closing.start()
        until(lambda: not closing.is_alive())


def test_one_client_serves_all_commands_of_a_channel(valkey_url: str, client: redis.Redis) -> None:
    with Connection(valkey_url) as connection:
        channel: Any = connection.channel()
        Queue("quiet", channel=channel).declare()
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
        channel._disconnect_pools()
        with channel.conn_or_acquire() as third:
            assert third is not first, "kombu has dropped the pool: another one has another client"
        connection.Producer(channel).publish({"x": 1}, routing_key="quiet")
        assert client.llen("quiet") == 1
