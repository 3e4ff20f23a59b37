"""The transport of the checker's Celery app."""

from typing import Any

import pytest
from kombu import Connection
from kombu.transport.redis import Channel

from core.checker import broker


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A channel as it is when its connection was lost and forgotten."""
    monkeypatch.setattr(Channel, "QoS", Channel.QoS)
    broker.install()
    connection = Connection("redis://127.0.0.1:1/0")
    transport = connection.transport
    lost: Any = Channel.__new__(Channel)
    lost.connection = transport
    lost.handlers, lost._pool, lost._async_pool, lost._in_poll = {}, None, None, False
    transport.client = None
    return lost


def test_a_channel_without_a_connection_gives_nothing_back_and_harms_nobody(channel: Any) -> None:
    qos = channel.QoS(channel)
    qos._delivered["tag"] = object()
    assert qos.restore_unacked() is None
    assert list(qos._delivered) == ["tag"]


def test_the_app_uses_it() -> None:
    import core.checker.app  # noqa: F401, PLC0415  (what is tested is what importing it does)

    assert Channel.QoS is broker.ForgivingQoS
