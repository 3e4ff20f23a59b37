"""The transport of the checker's Celery app."""

from typing import Any

import pytest
from kombu import Connection
from kombu.transport.redis import Transport

from core.checker import broker


@pytest.fixture(params=["forgotten by the channel", "forgotten by the transport"])
def channel(request: pytest.FixtureRequest) -> Any:
    """A channel as it is when its connection was lost."""
    lost: Any = broker.HonestChannel.__new__(broker.HonestChannel)
    transport = Connection("redis://127.0.0.1:1/0").transport
    transport.client = None
    lost.connection = None if request.param == "forgotten by the channel" else transport
    lost.handlers, lost._pool, lost._async_pool, lost._in_poll = {}, None, None, False
    return lost


@pytest.mark.parametrize("what", ["ack", "restore"])
def test_a_channel_without_a_connection_says_so_in_a_way_that_celery_survives(channel: Any, what: str) -> None:
    qos = channel.QoS(channel)
    qos._delivered["tag"] = object()
    with pytest.raises(Connection("redis://127.0.0.1:1/0").connection_errors):
        qos.ack("tag") if what == "ack" else qos.restore_unacked()
    assert list(qos._delivered) == ["tag"]


def test_the_app_uses_it() -> None:
    import core.checker.app  # noqa: F401, PLC0415  (what is tested is what importing it does)

    assert Transport.Channel is broker.HonestChannel
