"""Real receivers of messages for tests: a webhook endpoint and a mail server, on loopback."""

import asyncio
import email
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Received:
    """One request that a webhook endpoint got, and when (epoch seconds)."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)
    method: str = "POST"


@dataclass
class WebhookEndpoint:
    """Answers with `status` and `headers`, after `delay_s` (cut short when the test ends)."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    received: list[Received] = field(default_factory=list)
    port: int = 0
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/hook") -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}{path}"


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """With the 5 of the standard library, connections of a storm wait a second for their next attempt."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that did not wait for a slow answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def webhook_endpoint() -> Iterator[WebhookEndpoint]:
    """A running endpoint."""
    endpoint = WebhookEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            endpoint.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if endpoint.closing.wait(endpoint.delay_s):
                return
            self.send_response(endpoint.status)
            for name, value in {"content-length": "2", **endpoint.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the signature of http.server)
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Mailbox:
    """A mail server that answers RCPT and DATA with `rcpt_reply` and `data_reply` where they are set, and RCPT after `delay_s`.

    `hangs_up`: it takes the mail, and the connection ends before its answer.
    """

    rcpt_reply: str = ""
    data_reply: str = ""
    delay_s: float = 0.0
    hangs_up: bool = False
    mails: list[EmailMessage] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802  (the name that aiosmtpd calls)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await asyncio.sleep(self.delay_s)
        if self.rcpt_reply:
            return self.rcpt_reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  (as above)
        if self.data_reply:
            return self.data_reply
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(email.message_from_bytes(content, policy=default))
        if self.hangs_up:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 OK"


@contextmanager
def mail_server(port: int = 0, **controller_options: Any) -> Iterator[Mailbox]:
    """A running mail server; without a `port` on one that is free."""
    mailbox = Mailbox(port=port)
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            mailbox.port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, **controller_options)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
