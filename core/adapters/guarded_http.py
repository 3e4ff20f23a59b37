"""Requests of our own to servers that we were told of: every address is judged, and only a judged address is connected to."""

import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

import certifi
import httpcore

from core.adapters import system_resolver
from core.contracts.addresses import refusal

MOST_ADDRESSES: Final = 4
MOST_REDIRECTS: Final = 3
BODY_LIMIT: Final = 1024 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class RequestFailed(Exception):
    """There was no answer; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers by their names in lower case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GuardedBackend(httpcore.NetworkBackend):
    """Connects for httpcore, through the filter."""

    def __init__(self, *, private_targets: bool, resolve_s: float) -> None:
        self._private_targets = private_targets
        self._resolve_s = resolve_s
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first allowed address that answers.

        Raises:
            httpcore.ConnectError: there is no address, none is allowed, or none answered.
        """
        addresses = system_resolver.resolve(host, self._resolve_s)
        allowed = [address for address in addresses if refusal(address, private_targets=self._private_targets) is None]
        failure = f"{host} leads to an address that is not allowed" if addresses else f"{host} could not be resolved"
        for address in allowed[:MOST_ADDRESSES]:
            try:
                return self._sockets.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = f"{address}: {str(error) or 'no connection in time'}"
        raise httpcore.ConnectError(failure)


def get(url: str, headers: Mapping[str, str], *, timeout_s: float, private_targets: bool) -> Answer:
    """Ask for `url` and follow its redirects, all of it within about `timeout_s`. No connection is kept.

    Raises:
        RequestFailed: no name, no connection, no answer in time, too many redirects, or a body beyond `BODY_LIMIT`.
    """
    deadline = time.monotonic() + timeout_s
    backend = GuardedBackend(private_targets=private_targets, resolve_s=timeout_s / 2)
    tls = ssl.create_default_context(cafile=certifi.where())
    with httpcore.ConnectionPool(ssl_context=tls, network_backend=backend, retries=0) as pool:
        for _ in range(MOST_REDIRECTS + 1):
            answer = _one(pool, url, headers, deadline)
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                return answer
            url = urljoin(url, answer.headers["location"])
    raise RequestFailed(f"more than {MOST_REDIRECTS} redirects")


def _one(pool: httpcore.ConnectionPool, url: str, headers: Mapping[str, str], deadline: float) -> Answer:
    left_s = max(deadline - time.monotonic(), 0.1)
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), left_s)
    with _named_errors(), pool.stream("GET", url, headers=list(headers.items()), extensions={"timeout": timeouts}) as response:
        body = b"".join(_within(response.iter_stream(), deadline))
        found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, found, body)


def _within(chunks: Iterable[bytes], deadline: float) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > BODY_LIMIT:
            raise RequestFailed("the answer is too large")
        if time.monotonic() > deadline:
            raise RequestFailed("no whole answer in time")
        yield chunk


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise RequestFailed("no answer in time") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError) as error:
        raise RequestFailed(str(error) or type(error).__name__) from error
