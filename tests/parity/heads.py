"""How an answer begins: status lines, interim answers, headers, and what is not HTTP/1 at all."""

import asyncio

from core.domain.outcomes import Reason
from tests.hostile import answer, drip, hang, send_then_hang, send_then_reset
from tests.parity.behaviours import Behaviour, down, up

_UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
REST = b"Content-Length: 2\r\n\r\nok"


def line(status_line: bytes) -> bytes:
    return status_line + b"\r\n" + REST


def headed(*lines: bytes) -> bytes:
    return b"".join(each + b"\r\n" for each in (b"HTTP/1.1 200 OK", *lines)) + REST


async def _answer_in_pieces(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for piece in (b"HT", b"TP/1.1 2", b"00 OK\r", b"\nContent-Le", b"ngth: 2\r\n\r", b"\no", b"k"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)


STATUS_LINES: list[Behaviour] = [
    up("no reason phrase", line(b"HTTP/1.1 200 ")),
    up("no reason phrase and no space", line(b"HTTP/1.1 200")),
    up("HTTP/1.0", line(b"HTTP/1.0 200 OK")),
    up("a reason phrase in Latin-1", line("HTTP/1.1 200 Grüße".encode("latin-1"))),
    down("four digits", line(b"HTTP/1.1 2000 OK"), Reason.PROTOCOL_ERROR),
    down("two digits", line(b"HTTP/1.1 20 OK"), Reason.PROTOCOL_ERROR),
    down("no digits", line(b"HTTP/1.1 OK"), Reason.PROTOCOL_ERROR),
    down("a negative status", line(b"HTTP/1.1 -200 OK"), Reason.PROTOCOL_ERROR),
    down("status 000", line(b"HTTP/1.1 000 Nothing"), Reason.PROTOCOL_ERROR),
    down("status 999", line(b"HTTP/1.1 999 Denied"), Reason.HTTP_STATUS, status=999),
    down("status 600", line(b"HTTP/1.1 600 Six"), Reason.HTTP_STATUS, status=600),
    down("status 500", line(b"HTTP/1.1 500 Oops"), Reason.HTTP_STATUS, status=500),
    down("two spaces before the status", line(b"HTTP/1.1  200 OK"), Reason.PROTOCOL_ERROR),
    down("a tab before the status", line(b"HTTP/1.1\t200 OK"), Reason.PROTOCOL_ERROR),
    down("a version in small letters", line(b"http/1.1 200 OK"), Reason.PROTOCOL_ERROR),
    down("HTTP/2 in the words of HTTP/1", line(b"HTTP/2 200 OK"), Reason.PROTOCOL_ERROR),
    down(
        "HTTP/3.7",
        line(b"HTTP/3.7 200 OK"),
        Reason.PROTOCOL_ERROR,
        differs="h11 takes any version; HTTP/3 is not spoken like this",
    ),
    down("HTTP/9.9", line(b"HTTP/9.9 200 OK"), Reason.PROTOCOL_ERROR, differs="h11 takes any version"),
    down("ICY", line(b"ICY 200 OK"), Reason.PROTOCOL_ERROR),
    down("HTTP/0.9", b"<html>all is well</html>", Reason.PROTOCOL_ERROR),
    down("the preface of HTTP/2", bytes.fromhex("00000c04000000000000030000006400040010ffff"), Reason.PROTOCOL_ERROR),
    down("a mail server", b"220 mail.example.com ESMTP\r\n", Reason.PROTOCOL_ERROR),
    down("noise", bytes(range(128, 256)) * 20, Reason.PROTOCOL_ERROR),
    down("an endless status line", b"HTTP/1.1 200 " + b"x" * 2_000_000, Reason.PROTOCOL_ERROR),
    up("a head in pieces", _answer_in_pieces),
]

INTERIM: list[Behaviour] = [
    up("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + answer("200 OK")),
    up("102 first", b"HTTP/1.1 102 Processing\r\n\r\n" + answer("200 OK")),
    up("103 first, with headers", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer("200 OK")),
    up("a hundred interim answers", b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + answer("200 OK")),
    down("interim answers without end", b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, Reason.PROTOCOL_ERROR, status=100),
    down("an interim answer alone", b"HTTP/1.1 103 Early Hints\r\n\r\n", Reason.EMPTY_REPLY, status=103),
    down("an interim answer, then silence", send_then_hang(b"HTTP/1.1 100 Continue\r\n\r\n"), Reason.TIMEOUT, status=100),
    down("101 that nobody asked for, silent", send_then_hang(_UPGRADE), Reason.TIMEOUT, status=101),
    down("101 that nobody asked for, closed", _UPGRADE, Reason.EMPTY_REPLY, status=101),
]

HEADERS: list[Behaviour] = [
    up("a header of 60 kB", headed(b"X-Big: " + b"x" * 60_000)),
    up("a thousand headers", headed(*[b"X-%d: y" % number for number in range(1000)])),
    down("a header of 2 MB", headed(b"X-Big: " + b"x" * 2_000_000), Reason.PROTOCOL_ERROR, status=200),
    down("fifty thousand headers", headed(*[b"X-%d: yyyyyyyyyy" % n for n in range(50_000)]), Reason.PROTOCOL_ERROR, status=200),
    up("an empty value", headed(b"X-Empty:")),
    up("bytes beyond ASCII in a value", headed(b"X-Name: \xc3\xbc\xff")),
    down("a NUL in a value", headed(b"X-Name: a\x00b"), Reason.PROTOCOL_ERROR, status=200),
    down("a NUL in a name", headed(b"X-\x00Name: a"), Reason.PROTOCOL_ERROR, status=200),
    down("a CR in a value", headed(b"X-Name: a\rSet-Cookie: b=c"), Reason.PROTOCOL_ERROR, status=200),
    down("no colon", headed(b"this is no header"), Reason.PROTOCOL_ERROR, status=200),
    up("no name", headed(b": value"), differs="browsers pass over it"),
    up("a space before the colon", headed(b"X-Name : value"), differs="browsers pass over it"),
    up("a folded header", headed(b"X-Name: a", b"  continued")),
    up("bare LF line ends", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
    up("line ends of both kinds", b"HTTP/1.1 200 OK\r\nX-A: b\nContent-Length: 2\r\n\nok"),
    down("bare CR line ends", b"HTTP/1.1 200 OK\rContent-Length: 2\r\rok", Reason.EMPTY_REPLY),
    up("a body that looks like a head", answer("200 OK", b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")),
]

BREAKS: list[Behaviour] = [
    down("silence after the request", hang, Reason.TIMEOUT),
    down("closed after the request", b"", Reason.EMPTY_REPLY),
    down("reset after the request", send_then_reset(b""), Reason.CONNECTION_RESET),
    down("closed within the status line", b"HTTP/1.1 20", Reason.EMPTY_REPLY),
    down("closed within a header", b"HTTP/1.1 200 OK\r\nServer: x", Reason.PROTOCOL_ERROR, status=200),
    down("closed before the empty line", b"HTTP/1.1 200 OK\r\nServer: x\r\n", Reason.PROTOCOL_ERROR, status=200),
    down("silent within a header", send_then_hang(b"HTTP/1.1 200 OK\r\nServer: x"), Reason.TIMEOUT, status=200),
    down("reset within the status line", send_then_reset(b"HTTP/1."), Reason.CONNECTION_RESET),
    down("reset within a header", send_then_reset(b"HTTP/1.1 200 OK\r\nServer"), Reason.CONNECTION_RESET, status=200),
    down("a dripping head", drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000, 0.02), Reason.TIMEOUT, status=200),
    down("a dripping status line", drip(b"HTTP/1.1 200 " + b"x" * 1000, 0.02), Reason.TIMEOUT),
]

HEADS: list[Behaviour] = [*STATUS_LINES, *INTERIM, *HEADERS, *BREAKS]
