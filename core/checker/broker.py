"""Celery's Redis transport, without the power to end a worker, and quiet while there is nothing to do.

A channel whose connection was lost may still be asked to acknowledge a message or to give it back. kombu 5.7 then looks for the address of
a connection that it has already forgotten, and Celery calls the AttributeError unrecoverable and ends the worker; a connection error it
would log and go on. The message comes back by itself: after the visibility timeout, or because a lease or a sweep says so.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, override

from kombu.transport.redis import Channel, Transport
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError

POLL_S: Final = 5
"""How long Redis holds the question for the next message. A message ends it at once; asking every second, as kombu does, only wakes
everybody. A connection that died without a word is found that much later."""

LOOK_S: Final = 10.0
"""How often a worker looks after its queues of remote control (`control_queue_expires`)."""


class HonestChannel(Channel):
    """Says that its connection is lost where kombu's would stumble over it. It makes one client, where kombu makes one for each command."""

    _sender: Any = None
    _sender_pool: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """The client for a command: it takes a connection from the channel's pool for each."""
        yield client or self._shared_client()

    @override
    def close(self) -> None:
        """Close the channel. kombu waits for the answer to the question for the next message, so have Redis answer it now."""
        with suppress(RedisError, OSError):
            if self._in_poll and (number := getattr(self._in_poll, "handshake_metadata", {}).get(b"id")):  # type: ignore[attr-defined]  # the stubs leave private members out
                self._shared_client().client_unblock(number)
        super().close()

    def _shared_client(self) -> Any:
        pool = self.pool
        if self._sender_pool is not pool:  # kombu makes another one after a lost connection, and in a child
            self._sender, self._sender_pool = self._create_client(), pool  # type: ignore[attr-defined]  # likewise
        return self._sender

    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        transport: Any = self.connection
        if transport is None or transport.client is None:
            raise ConnectionLost("the connection of this channel is closed")
        return super()._connparams(*args, **kwargs)  # type: ignore[misc]  # the stubs leave private methods out


def _register_calmly(transport: Any, connection: Any, loop: Any) -> None:
    """Kombu looks every second whether queues that expire need another term. Only those of remote control do, and theirs are long."""
    _register(transport, connection, loop)
    cycle = transport.cycle
    cycle._binding_expiry_tref.cancel()  # noqa: SLF001  (kombu has no setting for it)
    cycle._binding_expiry_tref = loop.call_repeatedly(LOOK_S, cycle.maybe_refresh_binding_expiry)  # noqa: SLF001  (likewise)


_register: Final = Transport.register_with_event_loop


def install() -> None:
    """Use it for every connection of this process; kombu offers no other way to choose the class."""
    Transport.Channel = HonestChannel
    Transport.brpop_timeout = POLL_S
    Transport.register_with_event_loop = _register_calmly  # type: ignore[method-assign, assignment]  # that is what this is for
