"""The mail catcher takes real SMTP and shows what it took."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import msgspec
import pytest

from core.local.http_listener import Request
from core.local.mail_catcher import Mailbox, catch, pages
from tests.conftest import free_port
from tests.processes import module_process, wait_for_port


def get(mailbox: Mailbox, target: str = "/messages", method: str = "GET") -> list[dict[str, object]]:
    answer = pages(mailbox, Request(method, target, (), b"", "127.0.0.1"))
    assert answer.status in {200, 204}
    found: list[dict[str, object]] = msgspec.json.decode(answer.body or b"[]")
    return found


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path / "mail", kept=3)


@pytest.fixture
def smtp_port(mailbox: Mailbox) -> Iterator[int]:
    port = free_port()
    controller = catch(mailbox, "127.0.0.1", port)
    yield port
    controller.stop()


def alert(subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Monitor <monitor@example.com>", "ops@example.com", subject
    message["Date"] = "Mon, 23 Nov 2026 12:00:00 +0000"
    message.set_content(text)
    message.add_alternative(f"<p>{text}</p>", subtype="html")
    return message


def test_a_message_sent_by_smtp_is_shown_with_its_envelope_and_plain_text(mailbox: Mailbox, smtp_port: int) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_port) as client:
        client.send_message(alert("DOWN: crêperie", "Käse is down"), to_addrs=["a@example.com", "b@example.com"])
    [caught] = get(mailbox)
    assert caught["subject"] == "DOWN: crêperie"
    assert caught["from"] == "monitor@example.com"
    assert caught["to"] == ["a@example.com", "b@example.com"]
    assert str(caught["text"]).strip() == "Käse is down"
    assert caught["date"] == "Mon, 23 Nov 2026 12:00:00 +0000"


def test_only_the_newest_messages_are_kept_and_shown_newest_first(mailbox: Mailbox) -> None:
    for number in range(5):
        mailbox.add("m@example.com", ["ops@example.com"], alert(f"n{number}", "x").as_bytes())
    assert [message["subject"] for message in get(mailbox)] == ["n4", "n3", "n2"]


def test_messages_can_be_filtered_and_forgotten(mailbox: Mailbox) -> None:
    mailbox.add("m@example.com", ["a@example.com"], alert("one", "x").as_bytes())
    mailbox.add("m@example.com", ["b@example.com"], alert("two", "x").as_bytes())
    assert [message["subject"] for message in get(mailbox, "/messages?to=a%40example.com")] == ["one"]
    get(mailbox, method="DELETE")
    assert get(mailbox) == []


def test_messages_survive_a_restart(mailbox: Mailbox, tmp_path: Path) -> None:
    mailbox.add("m@example.com", ["a@example.com"], alert("one", "x").as_bytes())
    assert [message["subject"] for message in get(Mailbox(tmp_path / "mail"))] == ["one"]


def test_a_message_that_is_no_mail_at_all_is_shown_too(mailbox: Mailbox, smtp_port: int) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_port) as client:
        client.sendmail("m@example.com", ["a@example.com"], b"\xff\xfe no headers here\r\n")
    assert len(get(mailbox)) == 1


def test_the_process_serves_both_ports_and_ends_on_sigterm(tmp_path: Path) -> None:
    smtp, http = free_port(), free_port()
    arguments = ["--port", str(smtp), "--http-port", str(http), "--folder", str(tmp_path / "mail")]
    with module_process("core.local.mail_catcher", arguments) as process:
        wait_for_port(http)
        wait_for_port(smtp)
        with smtplib.SMTP("127.0.0.1", smtp) as client:
            client.send_message(alert("hello", "x"))
        assert httpx.get(f"http://127.0.0.1:{http}/messages").json()[0]["subject"] == "hello"
        process.terminate()
        assert process.wait(5) == 0
