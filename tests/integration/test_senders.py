"""Senders against targets that misbehave: TLS, trickling, cut connections, names that change their mind."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from core.contracts.channels.email import EmailConfig
from core.contracts.channels.webhook import WebhookConfig
from lambdas.alert_dispatch.channels.email import SmtpSender
from lambdas.alert_dispatch.channels.webhook import WebhookSender
from lambdas.alert_dispatch.config import SmtpServer
from lambdas.alert_dispatch.connect import AddressRefused, Connection, Deadline, connect
from lambdas.alert_dispatch.dispatch import Outgoing
from lambdas.alert_dispatch.errors import Permanent, Transient
from lambdas.alert_dispatch.message import compose
from lambdas.alert_dispatch.posting import Poster, host_field
from lambdas.http1.exchange import Incoming
from tests.conftest import free_port
from tests.dispatching import alert_request
from tests.hostile import Authority, Script, answer, drip, hang, send_then_reset, serving
from tests.receivers import mail_server
from tests.unit.test_channels import SECRET

ADDRESS = EmailConfig(address="ops@example.com")


def outgoing(timeout_s: float = 5.0) -> Outgoing:
    request = alert_request(uuid4())
    return Outgoing(request, compose(request.data), timeout_s)


def sender(trusted: Path | None = None) -> WebhookSender:
    tls: dict[str, Callable[[], ssl.SSLContext]] = {}
    if trusted:
        context = ssl.create_default_context(cafile=trusted)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the certificates of the tests are plain
        tls["tls"] = lambda: context
    return WebhookSender(Poster(private_targets=True, clock=lambda: datetime.now(UTC), **tls))


async def post(send: WebhookSender, url: str, timeout_s: float = 5.0) -> None:
    await asyncio.to_thread(send, outgoing(timeout_s), WebhookConfig(url=url, secret=SECRET))


def test_tls_is_verified_against_the_host(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)

    async def scenario() -> None:
        async with serving({"/": answer("200 OK")}, authority.server()) as server:
            await post(sender(authority.ca_file), server.url(scheme="https", host="localhost"))
            with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
                await post(sender(), server.url(scheme="https", host="localhost"))
            with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
                await post(sender(authority.ca_file), server.url(scheme="https", host="127.0.0.1"))

    asyncio.run(scenario())


@pytest.mark.parametrize("script", ["hang", "drip"])
def test_one_deadline_covers_the_whole_send(script: str) -> None:
    scripts: dict[str, bytes | Script] = {"/hang": hang, "/drip": drip(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100, 0.05)}

    async def scenario() -> float:
        async with serving(scripts) as server:
            began = time.monotonic()
            with pytest.raises(Transient) as raised:
                await post(sender(), server.url(f"/{script}"), 0.5)
            assert raised.value.timed_out
            return time.monotonic() - began

    assert asyncio.run(scenario()) < 3


@pytest.mark.parametrize(
    "script",
    [b"", b"nonsense\r\n\r\n", send_then_reset(b""), send_then_reset(b"HTTP/1.1 200")],
    ids=["closed", "nonsense", "reset", "cut"],
)
def test_a_broken_connection_is_transient(script: Any) -> None:
    async def scenario() -> None:
        async with serving({"/": script}) as server:
            with pytest.raises(Transient) as raised:
                await post(sender(), server.url())
            assert (raised.value.timed_out, raised.value.in_doubt) == (False, True), "it may have been taken"

    asyncio.run(scenario())


def test_a_connection_that_never_was_leaves_no_doubt() -> None:
    with pytest.raises(Transient) as raised:
        asyncio.run(post(sender(), f"http://127.0.0.1:{free_port()}/"))
    assert not raised.value.in_doubt


def test_a_huge_or_endless_answer_is_not_read() -> None:
    endless = drip(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 1000, 0.0)

    async def scenario() -> None:
        async with serving({"/": endless}) as server:
            await post(sender(), server.url(), 2.0)

    asyncio.run(scenario())


@pytest.mark.parametrize(("status", "read"), [("200 OK", b""), ("404 Not Found", b"no_ser"), ("302 Found", b"no_ser")])
def test_the_reason_for_a_refusal_is_read_as_far_as_it_comes(status: str, read: bytes) -> None:
    poster = Poster(private_targets=True, clock=lambda: datetime.now(UTC))
    head = f"HTTP/1.1 {status}\r\ncontent-length: 10\r\n\r\n".encode()

    async def scenario() -> None:
        async with serving({"/": head + b"no_ser"}) as server:
            got = await asyncio.to_thread(poster.send, server.url(), b"{}", {}, 5.0, read_errors=True)
            assert (str(got.status), got.body) == (status[:3], read)
            with pytest.raises(Transient):
                await asyncio.to_thread(poster.send, server.url(), b"{}", {}, 5.0, read_body=True)

    asyncio.run(scenario())


def test_who_has_answered_and_hung_up_is_read_though_not_all_was_sent() -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 413 Content Too Large\r\n\r\n")
    theirs.close()
    with Connection(ours, Deadline.after(10)) as connection:
        connection.send(bytes(10_000_000))
        assert Incoming(connection.receive).head().status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.com/a", "example.com"),
        ("https://example.com:443/a", "example.com"),
        ("https://example.com:80/a", "example.com:80"),
        ("http://[2001:db8::1]:8080/a", "[2001:db8::1]:8080"),
    ],
)
def test_the_host_is_named_as_browsers_name_it(url: str, host: str) -> None:
    assert host_field(urlsplit(url)) == host


def test_names_that_lead_nowhere_and_closed_ports_are_transient() -> None:
    with pytest.raises(Transient, match="could not be resolved"):
        sender()(outgoing(), WebhookConfig(url="http://does-not-exist.invalid/", secret=SECRET))
    with pytest.raises(Transient, match="connection failed"):
        sender()(outgoing(), WebhookConfig(url="http://127.0.0.1:1/", secret=SECRET))


def test_what_is_judged_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers with a public address first and a private one next gains nothing: it is asked once."""
    asked: list[str] = []

    def rebinding(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "192.0.2.1" if len(asked) > 1 else "127.0.0.1"
        return [(2, 1, 6, "", (address, port))]

    monkeypatch.setattr("lambdas.alert_dispatch.connect.resolve.__defaults__", (rebinding,))
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
        connect("rebind.example", 80, Deadline.after(1), private_targets=False)
    assert asked == ["rebind.example"]

    async def scenario() -> None:
        asked.clear()
        async with serving({"/": answer("200 OK")}) as server:
            await post(sender(), server.url(host="rebind.example"))
            assert "Host: rebind.example" in server.requests[0]
        assert asked == ["rebind.example"]

    asyncio.run(scenario())


def test_mail_goes_through_starttls_where_it_is_offered(tmp_path: Path) -> None:
    context = Authority.create(tmp_path).self_signed("localhost")
    with mail_server(tls_context=context, require_starttls=True) as mailbox:
        server = SmtpServer("127.0.0.1", mailbox.port)
        SmtpSender(server, "uptime@monitor.example", lambda: datetime.now(UTC))(outgoing(), ADDRESS)
        assert len(mailbox.mails) == 1
        with_password = SmtpServer("127.0.0.1", mailbox.port, "me", "secret")
        with pytest.raises(Transient, match="CERTIFICATE_VERIFY_FAILED"):
            SmtpSender(with_password, "uptime@monitor.example", lambda: datetime.now(UTC))(outgoing(), ADDRESS)
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(("reply", "error"), [("554 5.6.0 not like this", Permanent), ("452 4.3.1 no space", Transient)])
def test_a_refused_message_ends_or_waits_by_its_reply(reply: str, error: type[Exception]) -> None:
    with mail_server() as mailbox:
        mailbox.data_reply = reply
        with pytest.raises(error, match=reply[:3]):
            SmtpSender(SmtpServer("127.0.0.1", mailbox.port), "uptime@monitor.example", lambda: datetime.now(UTC))(
                outgoing(), ADDRESS
            )


@pytest.mark.parametrize("hangs_up", [True, False])
def test_a_mail_server_that_hangs_up_may_have_taken_the_mail(hangs_up: bool) -> None:
    with mail_server() as mailbox:
        mailbox.hangs_up, mailbox.rcpt_reply = hangs_up, "" if hangs_up else "451 4.7.1 later"
        with pytest.raises(Transient) as raised:
            SmtpSender(SmtpServer("127.0.0.1", mailbox.port), "uptime@monitor.example", lambda: datetime.now(UTC))(
                outgoing(), ADDRESS
            )
        assert (raised.value.in_doubt, len(mailbox.mails)) == (hangs_up, int(hangs_up))


def test_a_mail_server_that_says_nothing_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = SmtpServer("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(Transient) as raised:
            SmtpSender(server, "uptime@monitor.example", lambda: datetime.now(UTC))(outgoing(0.3), ADDRESS)
        assert raised.value.timed_out
