"""Connections to addresses that users chose: every address is judged, and only a judged address is connected to.

The name is resolved once and the connection goes to what was judged, so a name server that answers differently the second time
gains nothing. One deadline covers resolving, connecting, TLS, request and answer: a target that trickles cannot hold us.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final

import httpcore

from core.contracts.addresses import refusal

type Address = IPv4Address | IPv6Address

MAX_TRIED: Final = 4
"""Addresses of one name that are tried, one after the other."""


class AddressRefused(Exception):
    """None of the name's addresses may be connected to."""


class NameNotResolved(Exception):
    """The name has no address, or no name server answered."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point of the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds left.

        Raises:
            httpcore.ReadTimeout: none.
        """
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise httpcore.ReadTimeout("no answer in time")
        return seconds


class GuardedBackend(httpcore.NetworkBackend):
    """Connects for httpcore, through the filter and within one deadline."""

    def __init__(self, deadline: Deadline, *, private_targets: bool) -> None:
        self._deadline = deadline
        self._private_targets = private_targets
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  (the signature of httpcore; our deadline is stricter)
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first allowed address that answers.

        Raises:
            AddressRefused: none is allowed.
            NameNotResolved: there is none.
            httpcore.ConnectError: none answered; httpcore.TimeoutException: not in time.
        """
        allowed = permitted(resolve(host, port, self._deadline.left()), private_targets=self._private_targets)
        failure: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for tried, address in enumerate(allowed, start=1):
            share = self._deadline.left() / (len(allowed) - tried + 1)
            try:
                stream = self._sockets.connect_tcp(str(address), port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return DeadlineStream(stream, self._deadline)
        raise failure or AddressRefused(host)


class DeadlineStream(httpcore.NetworkStream):
    """A stream whose every step ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  (as above)
        """Read what is there."""
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  (as above)
        """Write everything."""
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        """Close."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002  (as above)
    ) -> httpcore.NetworkStream:
        """Shake hands."""
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, self._deadline.left()), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """As the wrapped stream says."""
        return self._stream.get_extra_info(info)


def permitted(addresses: Iterable[Address], *, private_targets: bool) -> list[Address]:
    """The addresses that may be connected to, at most `MAX_TRIED`.

    Raises:
        AddressRefused: none; the message says why for the first.
    """
    judged = [(address, refusal(address, private_targets=private_targets)) for address in addresses]
    allowed = [address for address, refused in judged if refused is None]
    if not allowed:
        address, refused = judged[0]
        raise AddressRefused(f"{address} is not allowed: {refused}")
    return allowed[:MAX_TRIED]


def resolve(host: str, port: int, timeout: float, lookup: Callable[..., list[Any]] = socket.getaddrinfo) -> list[Address]:
    """The addresses of a host, in the system's order of preference; a host that is an address has that one, and nobody is asked.

    Raises:
        NameNotResolved: there is none.
        httpcore.ConnectTimeout: no answer in time. The system's resolver cannot be cancelled: its thread ends by itself.
    """
    with suppress(ValueError):
        return [ip_address(host)]
    answers: SimpleQueue[list[Any] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(lookup(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            answers.put(error)
        except UnicodeError as error:
            answers.put(OSError(str(error)))

    Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        found = answers.get(timeout=timeout)
    except Empty:
        raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from None
    if isinstance(found, OSError) or not found:
        raise NameNotResolved(f"{host} could not be resolved: {found or 'no address'}")
    return list(dict.fromkeys(ip_address(str(entry[4][0])) for entry in found))
