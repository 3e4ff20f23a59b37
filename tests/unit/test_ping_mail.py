"""Pings by e-mail, read: addresses, notifications of SES, and mails as devices, cron and hostile people write them."""

import json
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.ping import mail_address, mail_message, mail_notice
from lambdas.ping.address import Address, BadRequest
from tests.unit.test_ping_request import HEARTBEAT

DOMAIN = "ping.example.org"
KEY = "6f1c2a345b6d4e7f8a90b1c2d3e4f506"
RECEIVED = (
    b"Return-Path: <root@db1.example.net>\r\n"
    b"Received: from [198.51.100.66] (mail.example.net [203.0.113.25])\r\n"
    b" by inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc123\r\n for someone@ping.example.org;\r\n"
    b" Fri, 27 Nov 2026 12:00:00 +0000 (UTC)\r\n"
)


@pytest.mark.parametrize(
    ("local", "address"),
    [
        (HEARTBEAT, Address(heartbeat_id=HEARTBEAT)),
        (HEARTBEAT.upper(), Address(heartbeat_id=HEARTBEAT)),
        (f"{HEARTBEAT}+start", Address("start", heartbeat_id=HEARTBEAT)),
        (f"{HEARTBEAT}+FAIL", Address("fail", heartbeat_id=HEARTBEAT)),
        (f"{HEARTBEAT}+log", Address("log", heartbeat_id=HEARTBEAT)),
        (f"{HEARTBEAT}+3", Address("fail", 3, heartbeat_id=HEARTBEAT)),
        (f"{KEY}+nightly-backup", Address(ping_key=KEY, slug="nightly-backup")),
        (f"{KEY}+Nightly-Backup+0", Address("success", 0, ping_key=KEY, slug="nightly-backup")),
        (f'"{KEY}+backup+fail"', Address("fail", ping_key=KEY, slug="backup")),
    ],
)
@pytest.mark.parametrize("form", ["{}@ping.example.org", "<{}@PING.example.org.>"])
def test_an_address_names_what_a_ping_url_names(local: str, address: Address, form: str) -> None:
    assert mail_address.read(form.format(local), DOMAIN).address == address


@pytest.mark.parametrize(
    "recipient",
    [
        f"{HEARTBEAT}@example.org",
        f"{HEARTBEAT}@ping.example.org.example.com",
        HEARTBEAT,
        f"{KEY}@{DOMAIN}",
        f"{KEY}+start@{DOMAIN}",
        f"{KEY}+backup+stop@{DOMAIN}",
        f"{KEY}+backup+fail+fail@{DOMAIN}",
        f"{HEARTBEAT}+start+fail@{DOMAIN}",
        f"postmaster@{DOMAIN}",
        "",
        "@",
    ],
)
def test_what_names_no_heartbeat_is_none(recipient: str) -> None:
    with pytest.raises(BadRequest):
        mail_address.read(recipient, DOMAIN)


def notification(**changes: Any) -> dict[str, Any]:
    """What SES publishes for its S3 action."""
    mail = {
        "timestamp": "2026-11-27T12:00:00.250Z",
        "source": "root@db1.example.net",
        "messageId": "abc123",
        "destination": ["list@example.net"],
        "headersTruncated": False,
        "headers": [{"name": "Subject", "value": "Backup"}, {"name": "Auto-Submitted", "value": "auto-generated"}],
        "commonHeaders": {"returnPath": "root@db1.example.net", "subject": "Backup"},
    }
    action = {"type": "S3", "topicArn": "arn:aws:sns:t", "bucketName": "b", "objectKeyPrefix": "", "objectKey": "abc123"}
    receipt = {"timestamp": "2026-11-27T12:00:00.250Z", "recipients": [f"{HEARTBEAT}@{DOMAIN}"], "action": action}
    return {"notificationType": "Received", "mail": mail, "receipt": receipt} | changes


def test_a_notification_is_read_bare_and_in_the_envelope_of_sns() -> None:
    bare = json.dumps(notification())
    found = mail_notice.read(bare)
    assert found == mail_notice.read(json.dumps({"Type": "Notification", "Message": bare}))
    assert (found.message_id, found.key, found.recipients) == ("abc123", "abc123", [f"{HEARTBEAT}@{DOMAIN}"])
    assert found.received_at == 1795780800250
    assert found.headers[0] == ("Subject", "Backup")


@pytest.mark.parametrize(
    "text",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        json.dumps({"Type": "Notification"}),
        json.dumps(notification(notificationType="Bounce")),
        json.dumps(notification(receipt={"recipients": None, "action": {"objectKey": "a"}})),
        json.dumps(notification(receipt={"recipients": [], "action": {"objectKey": "a b?c"}})),
        json.dumps(notification(mail={"messageId": "a", "timestamp": "yesterday"})),
        json.dumps(notification(mail={"messageId": "a", "timestamp": "0001-01-01T00:00:00+23:59", "headers": [1]})),
    ],
)
def test_what_is_no_notification_says_so(text: str) -> None:
    with pytest.raises(mail_notice.Malformed):
        mail_notice.read(text)


def test_a_mail_of_cron_is_read() -> None:
    raw = RECEIVED + (
        b"From: root@db1.example.net (Cron Daemon)\r\nAuto-Submitted: auto-generated\r\n"
        b"Subject: Cron <root@db1> backup\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\nall 12 tables\r\n"
    )
    found = mail_message.read(raw, whole=True)
    assert (found.subject, found.text, found.size) == (b"Cron <root@db1> backup", b"all 12 tables\r\n", 15)
    assert (found.sender, found.source_ip, found.is_reply) == ("root@db1.example.net", "203.0.113.25", False)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (b"=?utf-8?B?U2ljaGVydW5nIGZlcnRpZyDinJM=?=", "Sicherung fertig ✓"),
        (b"=?iso-8859-1?Q?R=FCckmeldung?= OK", "Rückmeldung OK"),
        (b"=?utf-8?Q?=C3=A4?=\r\n =?utf-8?Q?=C3=B6?=", "äö"),
        (b"folded\r\n over lines", "folded over lines"),
        ("roh verschickt: ✓".encode(), "roh verschickt: ✓"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"=?nonsense?B?T0s=?=", "OK"),
        (b"=?idna?Q?xn--x?=", "xn--x"),
        (b"=?utf-8?B?!?=", ""),
        (b"=?utf-8?Q?a=00b?=", "ab"),
    ],
)
def test_a_subject_is_readable(subject: bytes, expected: str) -> None:
    assert mail_message.read(b"Subject: " + subject + b"\r\n\r\n", whole=True).subject.decode() == expected


def mail(*parts: tuple[str, str, bytes], subtype: str = "alternative") -> bytes:
    """A multipart mail; each part is its type, its headers and its content."""
    message = EmailMessage()
    message["Subject"] = "s"
    head = message.as_bytes().rstrip() + f'\nContent-Type: multipart/{subtype}; boundary="b"\n\n'.encode()
    return head + b"".join(f"--b\nContent-Type: {t}\n{h}\n".encode() + body + b"\n" for t, h, body in parts) + b"--b--\n"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (mail(("text/html", "", b"<b>h</b>"), ("text/plain", "", b"plain")), b"plain"),
        (mail(("text/html", "", b"<b>h</b>"), ("image/png", "", b"x")), b"<b>h</b>"),
        (mail(("text/plain", "", b" "), ("text/html", "", b"<b>h</b>")), b"<b>h</b>"),
        (mail(("text/plain", "Content-Disposition: attachment\n", b"log"), ("text/plain", "", b"words")), b"words"),
        (mail(("text/plain", "Content-Transfer-Encoding: base64\n", b"ZG9uZQ==")), b"done"),
        (
            mail(("text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: quoted-printable\n", b"f=FCnf=\n")),
            "fünf".encode(),
        ),
        (mail(("text/plain; charset=utf-16le", "Content-Transfer-Encoding: base64\n", b"TwBLAA==")), b"OK"),
        (mail(("text/plain; charset=utf-8", "", b"\xff\x00raw")), b"\xff\x00raw"),
        (mail(("text/plain; charset=rot13", "", b"BX")), b"BX"),
        (mail(("multipart/mixed; boundary=c", "", b"--c\nContent-Type: text/plain\n\ndeep\n--c--")), b"deep"),
        (b"no header at all", b"no header at all"),
        (b"Subject: only\r\n\r\n", b""),
    ],
)
def test_the_text_is_the_part_that_people_read(raw: bytes, text: bytes) -> None:
    found = mail_message.read(raw, whole=True)
    assert (found.text, found.size) == (text, len(text))


def test_of_a_long_header_the_beginning_is_read() -> None:
    """Its parameters cost time by the square of their number."""
    head = b"Content-Type: text/plain; " + b"a=b; " * mail_message.HEADER_LIMIT + b"charset=utf-16le\n\n"
    assert mail_message.read(head + b"O\x00K\x00", whole=True).text == b"O\x00K\x00"


def test_a_mail_without_a_text_is_kept_as_it_came() -> None:
    raw = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0=\r\n"
    assert mail_message.read(raw, whole=True).text == raw


def test_a_text_that_was_cut_says_so_and_one_before_the_cut_does_not() -> None:
    cut = mail(("text/plain", "", b"words"), ("image/png", "", b"x" * 100))[:-50]
    assert mail_message.read(cut, whole=False).size == 5
    assert mail_message.read(b"Subject: s\n\n" + b"x" * 100, whole=False).size == 101


@pytest.mark.parametrize(
    ("headers", "is_reply"),
    [
        (b"Auto-Submitted: auto-generated\n", False),
        (b"Auto-Submitted: no\n", False),
        (b"Auto-Submitted: auto-replied (vacation)\n", True),
        (b"Return-Path: <>\nFrom: ups@example.net\n", False),
        (b"Return-Path: <>\nFrom: MAILER-DAEMON@example.net\n", True),
        (b"Return-Path: <>\nAuto-Submitted: auto-generated\nIn-Reply-To: <1@example.net>\n", True),
        (b"Precedence: bulk\n", False),
        (b"Precedence: bulk\nReferences: <1@example.net>\n", True),
        (b"In-Reply-To: <1@example.net>\n", False),
        (b"Precedence: auto_reply\n", True),
        (b"X-Autoreply: yes\n", True),
        (b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n", True),
    ],
)
def test_bounces_and_automatic_answers_are_told_from_what_machines_send(headers: bytes, is_reply: bool) -> None:
    assert mail_message.read(headers + b"\nx", whole=True).is_reply is is_reply


def nested(depth: int) -> bytes:
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level) for level in range(depth))
    return b"Subject: deep\n" + opened + b"\nx\n" * 10


@pytest.mark.parametrize(
    "raw",
    [
        nested(5000),
        nested(mail_message.MOST_BOUNDARIES),
        b"Subject: " + b"=?utf-8?Q?a?= " * 200_000 + b"\n\nx",
        b"A: b\n" * 100_000 + b"\nx",
        b"Subject: deep\nContent-Type: text/plain; charset=" + b"x" * 100_000 + b"\n\nx",
        b"Content-Type: text/plain; " + b"a*0=b; " * 5000 + b"\n\nx",
        b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n\xff\xff\n",
        b"Content-Type: message/rfc822\n\n" * 3000,
        b"\x00" * 1000,
    ],
    ids=["nested", "nested to the limit", "subject", "headers", "charset", "parameters", "uuencode", "rfc822", "zeros"],
)
def test_hostile_mails_are_mails(raw: bytes) -> None:
    found = mail_message.read(raw, whole=True)
    assert len(found.subject) <= 3 * mail_message.HEADER_LIMIT
    assert found.size >= len(found.text)


HEADERS = st.sampled_from(
    [
        *(b"Subject: ", b"From: ", b"Received: ", b"Content-Type: ", b"Content-Transfer-Encoding: ", b"Content-Disposition: "),
        *(b"=?utf-8?B?", b"=?utf-16?Q?", b"?=", b"multipart/mixed; boundary=b", b"text/plain; charset=", b"*0*=", b"utf-7''%"),
        *(
            b"\n--b\n",
            b"\n--b--\n",
            b"base64",
            b"quoted-printable",
            b"x-uuencode",
            b"\r\n",
            b"\n\n",
            b"\r",
            b" ",
            b'"',
            b"<",
            b"(",
        ),
    ]
)


@given(st.binary(max_size=300) | st.lists(HEADERS | st.binary(max_size=6), max_size=40).map(b"".join), st.booleans())
def test_any_bytes_are_a_mail(raw: bytes, whole: bool) -> None:
    found = mail_message.read(raw, whole=whole)
    assert found.size in {len(found.text), len(found.text) + 1}
    assert b"\x00" not in found.subject


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=60)), max_size=5))
def test_any_headers_are_a_mail(headers: list[tuple[str, str]]) -> None:
    assert mail_message.from_headers(headers).text == b""


@given(st.text(max_size=120))
def test_any_text_is_an_address_or_none(text: str) -> None:
    with pytest.raises(BadRequest):
        mail_address.read(text, DOMAIN)
