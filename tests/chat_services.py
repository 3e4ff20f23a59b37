"""Chat services on loopback: they refuse what the real ones would refuse, and fail as they are told to."""

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.message import compose
from lambdas.alert_dispatch.posting import Poster
from tests.dispatching import alert_request
from tests.receivers import Received

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send a reset."""


@dataclass(frozen=True)
class Reply:
    """An answer. `hang`: none at all; `reset`: the connection is reset instead; `stall`: the head comes, the body never."""

    status: int = 200
    body: Any = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    reset: bool = False
    stall: bool = False

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class ChatService:
    """`judge` gives the service's answer to a request; `replies` are given instead, one after the other, while there are any."""

    judge: Callable[[Received], Reply]
    replies: list[Reply] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def content(self) -> dict[str, Any]:
        """The JSON of the last request."""
        found: dict[str, Any] = json.loads(self.received[-1].body)
        return found

    def answer(self, request: Received) -> Reply:
        self.received.append(request)
        return self.replies.pop(0) if self.replies else self.judge(request)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        service = self.server.service
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        reply = service.answer(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body, method=self.command))
        if reply.hang:
            service.closing.wait(60)
        elif reply.reset:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.rfile.close()
            self.wfile.close()
            self.connection.close()
        else:
            self._send(reply)

    def do_PATCH(self) -> None:
        self.do_POST()

    def _send(self, reply: Reply) -> None:
        content = reply.content()
        self.send_response(reply.status)
        for name, value in {"content-length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.stall:
            self.server.service.closing.wait(60)
        else:
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the signature of http.server)
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: ChatService) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.service = service
        service.port = self.server_address[1]

    def shutdown_request(self, request: Any) -> None:
        """As ever, but for a connection that was reset: it is closed already."""
        if request.fileno() >= 0:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that were reset, or left by a client that did not wait."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def chat_service(judge: Callable[[Received], Reply]) -> Iterator[ChatService]:
    """A running service."""
    service = ChatService(judge)
    server = _Server(service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        service.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def poster() -> Poster:
    return Poster(private_targets=True, clock=lambda: datetime.now(UTC))


def outgoing(alert_type: str = "down", *, timeout_s: float = 5.0, public_url: str = "https://up.example.com") -> Outgoing:
    request = alert_request(uuid4(), alert_type=alert_type)
    return Outgoing(request, compose(request.data, public_url), timeout_s)
