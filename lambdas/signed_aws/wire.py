"""HTTP to one AWS endpoint over kept-alive connections, and what is tried again."""

import random
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from lambdas.http1.exchange import Incoming, NotHttp, request

CONNECT_TIMEOUT_S: Final = 1.0
READ_TIMEOUT_S: Final = 2.0
ATTEMPTS: Final = 3
FIRST_PAUSE_S: Final = 0.05
SERVER_ERROR: Final = 500
BROKEN: Final = (OSError, NotHttp)
PORTS: Final = {"http": 80, "https": 443}

type Answer = tuple[int, bytes]


class Unreachable(Exception):
    """The endpoint could not be reached, or gave no answer in time. The request may have been carried out."""


class Wire:
    """Sends requests to one endpoint; safe to share between threads, each of which has a connection while it waits.

    A connection that the other side has closed while it was idle (a Lambda is frozen between invocations) is noticed before it is used.
    """

    def __init__(
        self, url: str, *, pause: Callable[[float], None] = time.sleep, jitter: Callable[[], float] = random.random
    ) -> None:
        self._url: SplitResult = urlsplit(url)
        self.host = self._url.netloc
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        self._idle: deque[socket.socket] = deque()
        self._pause = pause
        self._jitter = jitter

    def send(self, method: str, path: str, body: bytes, headers: Callable[[], Mapping[str, str]]) -> Answer:
        """Status and body of the answer. Errors of the server are tried again; `headers` are made anew for each attempt.

        Raises:
            Unreachable: no attempt got an answer.
        """
        answer: Answer | None = None
        trouble: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(self._jitter() * FIRST_PAUSE_S * 2**attempt)
            try:
                answer = self._exchange(method, path, body, headers())
            except BROKEN as error:
                trouble = error
                continue
            if answer[0] < SERVER_ERROR:
                return answer
        if answer is None:
            raise Unreachable(f"{self.host}: {type(trouble).__name__}: {trouble}") from trouble
        return answer

    def close(self) -> None:
        """End the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        connection = self._connection()
        try:
            connection.sendall(request(method, path, headers, body))
            incoming = Incoming(connection.recv)
            head = incoming.head()
            content = b"".join(incoming.body(head))
        except BaseException:
            connection.close()
            raise
        if head.keeps and incoming.over:
            self._idle.append(connection)
        else:
            connection.close()
        return head.status, content

    def _connection(self) -> socket.socket:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took the last one
                break
            if _is_quiet(connection):
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> socket.socket:
        host, port = self._url.hostname or "", self._url.port or PORTS[self._url.scheme]
        connection = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_hostname=host)
            connection.settimeout(READ_TIMEOUT_S)
        except BaseException:
            connection.close()
            raise
        return connection


def _is_quiet(sock: socket.socket) -> bool:
    """Whether nothing came in since the last answer: what does is the end of the connection."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)
