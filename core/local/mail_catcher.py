"""Catches the mail of one box: SMTP on one port, `GET /messages` as JSON on another, the last 1000 messages as files.

A message is written under a temporary name and renamed, so a file is always whole; its name orders it by arrival.
"""

import argparse
import email
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default as mail_policy
from http import HTTPStatus
from pathlib import Path

import msgspec
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from core.local.http_listener import HttpListener, Request, Response
from core.logs import configure, get_logger

KEPT_MESSAGES = 1000
_log = get_logger(__name__)


class CaughtMessage(msgspec.Struct, frozen=True, rename={"sender": "from", "recipients": "to"}):
    """A message as `GET /messages` shows it. `received_at` is when the catcher had taken it."""

    id: str
    sender: str
    recipients: list[str]
    subject: str
    date: str
    received_at: datetime
    text: str


class Mailbox:
    """A folder of messages, the newest `kept` of them."""

    def __init__(self, folder: Path, kept: int = KEPT_MESSAGES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._kept = kept
        self._turn = threading.Lock()
        self._last_ns = 0

    def add(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """Keep a message; the envelope goes in front of its own headers. Returns its id."""
        envelope = f"X-Envelope-From: {sender}\r\n" + "".join(f"X-Envelope-To: {address}\r\n" for address in recipients)
        with self._turn:
            self._last_ns = max(self._last_ns + 1, time.time_ns())
            name = f"{self._last_ns:020d}.eml"
            temporary = self._folder / f"{name}.tmp"
            temporary.write_bytes(envelope.encode("utf-8", "surrogateescape") + content)
            temporary.rename(self._folder / name)
            for old in self._paths()[: -self._kept]:
                old.unlink()
        return name.removesuffix(".eml")

    def messages(self) -> list[CaughtMessage]:
        """All kept messages, newest first."""
        with self._turn:
            kept = [(path.stem, path.read_bytes()) for path in reversed(self._paths())]
        return [_describe(message_id, content) for message_id, content in kept]

    def clear(self) -> None:
        """Forget all messages."""
        with self._turn:
            for path in self._paths():
                path.unlink()

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.eml"))


def _describe(message_id: str, content: bytes) -> CaughtMessage:
    message = email.message_from_bytes(content, EmailMessage, policy=mail_policy)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain", "html"))
    return CaughtMessage(
        id=message_id,
        sender=str(message.get("X-Envelope-From", "")),
        recipients=[str(address) for address in message.get_all("X-Envelope-To", [])],
        subject=str(message.get("Subject", "")),
        date=str(message.get("Date", "")),
        received_at=datetime.fromtimestamp(int(message_id) / 1e9, UTC),
        text=body.get_content() if body else "",
    )


class _Delivery:
    """What aiosmtpd calls when a message has been sent to it whole."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  (the name is aiosmtpd's)
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content or "").encode()
        message_id = self._mailbox.add(str(envelope.mail_from or ""), [str(to) for to in envelope.rcpt_tos], content)
        _log.info("mail.caught", message_id=message_id, recipients=envelope.rcpt_tos)
        return "250 caught"


def pages(mailbox: Mailbox, request: Request) -> Response:
    """`GET /messages` (filter with `?to=`), `DELETE /messages`."""
    if request.path.rstrip("/") != "/messages":
        return Response(HTTPStatus.NOT_FOUND, b'{"message": "Try /messages"}')
    if request.method == "DELETE":
        mailbox.clear()
        return Response(HTTPStatus.NO_CONTENT, b"")
    if request.method not in {"GET", "HEAD"}:
        return Response(HTTPStatus.METHOD_NOT_ALLOWED, b'{"message": "GET or DELETE"}')
    wanted = {value for name, value in request.query if name == "to"}
    shown = [message for message in mailbox.messages() if not wanted or wanted & set(message.recipients)]
    return Response(HTTPStatus.OK, msgspec.json.encode(shown))


def catch(mailbox: Mailbox, host: str, port: int) -> Controller:
    """Take mail on a port, in a thread of its own, from now on."""
    controller = Controller(_Delivery(mailbox), hostname=host, port=port, ident="Uptime Monitor mail catcher")
    controller.start()
    return controller


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(prog="core.local.mail_catcher", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="SMTP")
    parser.add_argument("--http-port", type=int, required=True, help="GET /messages")
    parser.add_argument("--folder", type=Path, required=True, help="where messages are kept")
    options = parser.parse_args()
    configure("mail-catcher")
    mailbox = Mailbox(options.folder)
    listener = HttpListener(options.host, options.http_port, lambda request: pages(mailbox, request), body_limit=0)
    controller = catch(mailbox, options.host, options.port)
    _log.info("mail.ready", smtp_port=options.port, http_port=options.http_port, pid=os.getpid())
    listener.serve_until_signal()
    controller.stop()


if __name__ == "__main__":
    main()
