"""A gateway for tests of what sends pings: it notes each, and answers, hangs or hangs up as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.waiting import until

HEARTBEAT = "0193a1b2-0000-7000-8000-00000000000a"
HANG, HANG_UP = -1, -2


@dataclass
class Ping:
    """What came in. `action` is what follows the heartbeat in the path, without slashes."""

    method: str
    path: str
    action: str
    rid: str | None
    body: bytes
    headers: dict[str, str]


@dataclass
class Receiver:
    """Takes an answer from `answers` for each ping, a status, `HANG` or `HANG_UP`, and 200 when there is none left."""

    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    pings: list[Ping] = field(default_factory=list)
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """For UPTIME_PING_URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def actions(self) -> list[str]:
        """The actions of all pings, in their order."""
        return [ping.action for ping in self.pings]

    def saw(self, action: str) -> Ping:
        """The first ping with this action, as soon as it is there."""
        return until(lambda: next((ping for ping in self.pings if ping.action == action), None))  # type: ignore[return-value]  # until() gives what is true

    def next_answer(self) -> int:
        """What the next ping gets."""
        return self.answers.pop(0) if self.answers else 200


@contextmanager
def ping_receiver() -> Iterator[Receiver]:
    """A running receiver."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def _ping(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            parts = urlsplit(self.path)
            action = parts.path.partition(HEARTBEAT)[2].strip("/")
            rid = parse_qs(parts.query).get("rid", [None])[0]
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver.next_answer()
            receiver.pings.append(Ping(self.command, parts.path, action, rid, body, headers))
            if answer == HANG:
                receiver.closing.wait()
            if answer in {HANG, HANG_UP}:
                self.close_connection = True
                return
            self.send_response(answer)
            for name, value in {"content-length": "2", **receiver.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"OK" if self.command != "HEAD" else b"")

        do_GET = do_HEAD = do_POST = _ping  # noqa: N815  (the names of http.server)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the signature of http.server)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
