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

from core.contracts.addresses import refusal

type Address = IPv4Address | IPv6Address

IPV6: Final = 6

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
            TimeoutError: none.
        """
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("no answer in time")
        return seconds


class Connection:
    """A connection whose every step ends at one deadline. Close it: `with` does."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Shake hands; the certificate has to be the host's, as `context` wants it.

        Raises:
            OSError: it is not, or no handshake came about; TimeoutError: not in time.
        """
        self._sock.settimeout(self._deadline.left())
        self._sock = context.wrap_socket(self._sock, server_hostname=host)

    def send(self, data: bytes) -> None:
        """Send everything, or as much as the other side wants of it: one that has hung up may have answered before.

        Raises:
            OSError: the connection failed; TimeoutError: not in time.
        """
        self._sock.settimeout(self._deadline.left())
        with suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(data)

    def receive(self, limit: int) -> bytes:
        """What has come, once something has; nothing at the end.

        Raises:
            OSError: the connection failed; TimeoutError: not in time.
        """
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv(limit)


def connect(host: str, port: int, deadline: Deadline, *, private_targets: bool) -> Connection:
    """A connection to the first allowed address that answers.

    Raises:
        AddressRefused: none is allowed.
        NameNotResolved: there is none.
        OSError: none answered; TimeoutError: not in time.
    """
    allowed = permitted(resolve(host, port, deadline.left()), private_targets=private_targets)
    failure: OSError | None = None
    for tried, address in enumerate(allowed, start=1):
        try:
            return Connection(_connected(address, port, deadline.left() / (len(allowed) - tried + 1)), deadline)
        except OSError as error:
            failure = error
    raise failure or AddressRefused(host)


def _connected(address: Address, port: int, timeout: float) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if address.version == IPV6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect((str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


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
        TimeoutError: no answer in time. The system's resolver cannot be cancelled: its thread ends by itself.
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
        raise TimeoutError(f"{host} was not resolved in time") from None
    if isinstance(found, OSError) or not found:
        raise NameNotResolved(f"{host} could not be resolved: {found or 'no address'}")
    return list(dict.fromkeys(ip_address(str(entry[4][0])) for entry in found))
