"""A plain HTTP/1.1 server for the stand-ins: threads, keep-alive, no Nagle delay, and limits on what a client may cost.

Handlers are functions from `Request` to `Response`; they know nothing about sockets. A client that is slow on purpose is cut off
when `REQUEST_TIMEOUT_S` has passed since the first byte of its request, however steadily it drips.
"""

import io
import re
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, ClassVar, override
from urllib.parse import parse_qsl, urlsplit

from core.logs import get_logger

IDLE_TIMEOUT_S = 30.0
"""How long a kept-alive connection may wait for its next request."""

REQUEST_TIMEOUT_S = 20.0
"""How long a client may take to send one request, head and body."""

MAX_CONNECTIONS = 256
DRAIN_TIMEOUT_S = 3.0
LINGER_S = 1.0
LINGER_BYTES = 16 * 1024 * 1024
CHUNK_HEAD_LIMIT = 1024
CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `target` is the path with its query as sent; header names keep the client's spelling."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    client_ip: str
    client_left: Callable[[], bool] = lambda: False
    """Whether the client has closed its side since it sent the request."""

    @property
    def path(self) -> str:
        """The path, not decoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's names and values, in order."""
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    def header(self, name: str) -> str | None:
        """The last header of that name."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `Content-Length` is added when it is sent."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=(("Content-Type", "application/json"),))


type Handler = Callable[[Request], Response]


class BadRequest(Exception):
    """The request cannot be read; the connection ends after the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _PatientSocket(io.RawIOBase):
    """Reads from a socket until a deadline: each wait is as long as what is left of it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.deadline = 0.0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._socket.settimeout(left)
        return self._socket.recv_into(buffer)


class _Connection(BaseHTTPRequestHandler):
    """One connection: the standard library parses the head, this class reads the body and keeps the time."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "HttpListener"
    rfile: io.BufferedReader

    @override
    def setup(self) -> None:
        super().setup()
        self._patient = _PatientSocket(self.connection)
        self.rfile = io.BufferedReader(self._patient)

    @override
    def handle_one_request(self) -> None:
        self.close_connection = True
        try:
            self._take_turn()
        except (TimeoutError, ConnectionError):
            self.close_connection = True

    def _take_turn(self) -> None:
        try:
            if self._read_head():
                self._answer(self._read_request())
        except BadRequest as error:
            self._send(Response(error.status, f'{{"message": "{error}"}}'.encode()), close=True)
            self._linger()

    def _read_head(self) -> bool:
        self._patient.deadline = time.monotonic() + IDLE_TIMEOUT_S
        if not self.rfile.peek(1):
            return False
        self._patient.deadline = time.monotonic() + REQUEST_TIMEOUT_S
        self.raw_requestline = self.rfile.readline(65_537)
        if len(self.raw_requestline) > 65_536:  # noqa: PLR2004  (the limit of http.server for a line)
            raise BadRequest(HTTPStatus.REQUEST_URI_TOO_LONG, "URI Too Long")
        return self.parse_request()

    def _read_request(self) -> Request:
        headers = tuple((name, str(value)) for name, value in self.headers.items())
        return Request(self.command, self.path, headers, self._read_body(), str(self.client_address[0]), self._client_left)

    def _client_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except ConnectionError:
            return True

    def _read_body(self) -> bytes:
        chunked = self.headers.get("Transfer-Encoding")
        lengths = set(self.headers.get_all("Content-Length", []))
        if chunked is not None:
            if chunked.strip().lower() != "chunked" or lengths:
                raise BadRequest(HTTPStatus.BAD_REQUEST, "Bad Transfer-Encoding")
            return self._read_chunks()
        if not lengths:
            return b""
        length = lengths.pop()
        if lengths or not (length.isascii() and length.isdigit()):
            raise BadRequest(HTTPStatus.BAD_REQUEST, "Bad Content-Length")
        return self._read_exactly(int(length), int(length))

    def _read_chunks(self) -> bytes:
        parts = bytearray()
        while True:
            head = self.rfile.readline(CHUNK_HEAD_LIMIT).split(b";")[0].strip()
            if not CHUNK_SIZE.fullmatch(head):
                raise BadRequest(HTTPStatus.BAD_REQUEST, "Bad chunk")
            size = int(head, 16)
            if size == 0:
                while self.rfile.readline(CHUNK_HEAD_LIMIT).strip():
                    pass
                return bytes(parts)
            parts += self._read_exactly(size, len(parts) + size)
            self.rfile.readline(CHUNK_HEAD_LIMIT)

    def _read_exactly(self, size: int, total: int) -> bytes:
        if total > self.server.body_limit:
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Too Long")
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionResetError("the client left in the middle of a body")
        return data

    def _answer(self, request: Request) -> None:
        with self.server.answering():
            try:
                response = self.server.handler(request)
            except Exception:  # noqa: BLE001  (whatever failed, the client gets an answer and the log the cause)
                _log.exception("http.failed", method=request.method, target=request.target)
                response = Response(HTTPStatus.INTERNAL_SERVER_ERROR, b'{"message": "Internal server error"}')
            self._send(response, close=self._client_wants_close() or self.server.stopping)

    def _linger(self) -> None:
        """Take in what the client is still sending: closing at once would reset the connection before it reads the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        self._patient.deadline = time.monotonic() + LINGER_S
        left = LINGER_BYTES
        while left > 0 and (data := self.rfile.read1(65_536)):
            left -= len(data)

    def _client_wants_close(self) -> bool:
        wanted = self.headers.get("Connection", "").lower()
        return wanted == "close" or (self.request_version == "HTTP/1.0" and wanted != "keep-alive")

    def _send(self, response: Response, *, close: bool) -> None:
        self.connection.settimeout(REQUEST_TIMEOUT_S)
        self.send_response_only(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Connection", "close" if close else "keep-alive")
        self.end_headers()
        if getattr(self, "command", None) != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()
        self.close_connection = close

    @override
    def handle_expect_100(self) -> bool:
        done = super().handle_expect_100()
        self.wfile.flush()
        return done

    @override
    def log_message(self, format: str, *args: Any) -> None:
        _log.debug("http.refused", reason=format % args)


class HttpListener(ThreadingHTTPServer):
    """Listens from its construction on; `serve_until_signal` or `serve_forever` answers."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128
    stop_signals: ClassVar = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, host: str, port: int, handler: Handler, *, body_limit: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.handler = handler
        self.body_limit = body_limit
        self.stopping = False
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._answering = 0
        self._idle = threading.Condition()
        super().__init__((host, port), _Connection)

    @property
    def port(self) -> int:
        """The port it listens on (useful when 0 was asked for)."""
        return int(self.server_address[1])

    def serve_until_signal(self) -> None:
        """Answer until SIGTERM or SIGINT, then let requests in flight end. Call from the main thread."""
        for number in self.stop_signals:
            signal.signal(number, lambda *_: threading.Thread(target=self.stop, daemon=True).start())
        self.serve_forever(poll_interval=0.2)
        self.server_close()
        with self._idle:
            self._idle.wait_for(lambda: self._answering == 0, DRAIN_TIMEOUT_S)

    def stop(self) -> None:
        """Stop accepting; kept-alive connections end with their current request."""
        self.stopping = True
        self.shutdown()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Around an answer: a stop waits for its end."""
        with self._idle:
            self._answering += 1
        try:
            yield
        finally:
            with self._idle:
                self._answering -= 1
                self._idle.notify_all()

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            _log.warning("http.too_many_connections", limit=MAX_CONNECTIONS)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.exception("http.connection_failed", client=str(client_address))

    @override
    def server_bind(self) -> None:
        """Bind without the reverse look-up of the host's name that `http.server` does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.port
