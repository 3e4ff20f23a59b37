"""Services that take messages, for tests: each call is judged by a function, as the real service would judge it."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import uuid4

from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.message import compose
from lambdas.alert_dispatch.posting import Poster
from tests.dispatching import alert_request
from tests.receivers import _Server

PUBLIC_URL = "https://monitor.example.com"


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer; `reset` cuts the connection and `hang` says nothing until the test ends."""

    status: int = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    hang: bool = False


@dataclass
class Service:
    """A running service."""

    url: str
    calls: list[Call] = field(default_factory=list)


@contextmanager
def service(judge: Callable[[Call], Reply]) -> Iterator[Service]:
    """A service on loopback that answers as `judge` says."""
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            call = Call(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            running.calls.append(call)
            reply = judge(call)
            if reply.hang:
                closing.wait(30)
            if reply.hang or reply.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            said = b"" if reply.content is None else json.dumps(reply.content).encode()
            self.send_response(reply.status)
            for name, value in {"content-length": str(len(said)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  (the names that http.server calls)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the signature of http.server)
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = Service(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield running
    finally:
        closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def always(reply: Reply) -> Callable[[Call], Reply]:
    """The same answer to every call."""
    return lambda _call: reply


def poster() -> Poster:
    """A poster that may reach loopback."""
    return Poster(private_targets=True, clock=lambda: datetime.now(UTC))


def outgoing(alert_type: str = "down", timeout_s: float = 5.0, **changes: Any) -> Outgoing:
    """A message about an outage, or another one; `changes` replace fields of the request."""
    request = alert_request(uuid4(), alert_type=alert_type, **changes)
    return Outgoing(request, compose(request.data, PUBLIC_URL), timeout_s)
