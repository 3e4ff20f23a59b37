"""Celery's Redis transport, without the power to end a worker.

A channel whose connection was lost may still be asked to acknowledge a message or to give it back. kombu 5.7 then looks for the address of
a connection that it has already forgotten, and Celery calls the AttributeError unrecoverable and ends the worker; a connection error it
would log and go on. The message comes back by itself: after the visibility timeout, or because a lease or a sweep says so.
"""

from typing import Any

from kombu.transport.redis import Channel, Transport
from redis.exceptions import ConnectionError as ConnectionLost


class HonestChannel(Channel):
    """Says that its connection is lost where kombu's would stumble over it."""

    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        transport: Any = self.connection
        if transport is None or transport.client is None:
            raise ConnectionLost("the connection of this channel is closed")
        return super()._connparams(*args, **kwargs)  # type: ignore[misc]  # the stubs leave private methods out


def install() -> None:
    """Use it for every connection of this process; kombu offers no other way to choose the class."""
    Transport.Channel = HonestChannel
