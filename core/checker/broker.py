"""Celery's Redis transport, without the power to end a worker.

A channel that closes gives back what it has not acknowledged. When its connection is lost in the same moment, kombu 5.7 asks for the
address of a connection that it has already forgotten; Celery calls the AttributeError unrecoverable and ends the worker.
"""

from typing import Any, override

from kombu.transport.redis import Channel, QoS

from core.logs import get_logger

log = get_logger(__name__)


class ForgivingQoS(QoS):
    """What cannot be given back comes back by itself, when the visibility timeout has passed or a lease or a sweep says so."""

    @override
    def restore_unacked(self, client: Any = None) -> Any:
        """Give back what was not acknowledged, if there is still somebody to give it to."""
        try:
            return super().restore_unacked(client)
        except AttributeError as error:
            log.warning("broker.not_restored", messages=len(self._delivered or ()), error=str(error))
            return None


def install() -> None:
    """Use it for every channel of this process; kombu offers no other way to choose the class."""
    Channel.QoS = ForgivingQoS
