"""An exchange over HTTP/1.1 in bytes: what requests look like, where answers end, and what is no answer. h11 is the oracle."""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from itertools import batched

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.http1.exchange import HEAD_LIMIT, Incoming, NotHttp, request

BODY = b'{"ok": true}'
TOKENS = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz-"), min_size=1, max_size=12).map(lambda name: f"x-{name}")
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)


def incoming(data: bytes, piece: int = 65536) -> Incoming:
    """What comes in pieces of this size, and then the end of the connection."""
    pieces: Iterator[bytes] = (bytes(part) for part in batched(data, piece, strict=False))
    return Incoming(lambda _limit: next(pieces, b""))


def read(data: bytes, piece: int = 65536) -> tuple[int, bytes]:
    """Status and body of an answer."""
    comes = incoming(data, piece)
    head = comes.head()
    return head.status, b"".join(comes.body(head))


def test_a_request_is_a_head_and_its_body() -> None:
    sent = request("POST", "/hook?a=b", {"Host": "example.com", "X-Key": "sécret"}, b"body")
    assert sent == b"POST /hook?a=b HTTP/1.1\r\nHost: example.com\r\nX-Key: s\xe9cret\r\nContent-Length: 4\r\n\r\nbody"


@pytest.mark.parametrize(("method", "told"), [("POST", True), ("PUT", True), ("PATCH", True), ("GET", False), ("DELETE", False)])
def test_an_empty_body_is_told_where_one_is_expected(method: str, told: bool) -> None:
    assert (b"Content-Length: 0\r\n" in request(method, "/", {"Host": "a"}, b"")) is told


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/a\r\nX: y", {}),
        ("/", {"X": "a\r\nHost: evil"}),
        ("/", {"X": "a\nb"}),
        ("/", {"X\r\nY": "a"}),
        ("/", {"X": "a\0"}),
        ("/", {"X": "\u20ac"}),
    ],
)
def test_nothing_slips_into_a_head(target: str, fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"control character|latin-1"):
        request("POST", target, {"Host": "a", **fields}, b"")


@pytest.mark.parametrize("piece", [1, 7, 65536])
@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + BODY + b"more", BODY),
        (b"HTTP/1.1 200\r\ncontent-length: 12\r\n\r\n" + BODY, BODY),
        (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, BODY),
        (b"HTTP/1.1 200 OK\nContent-Length:12\n\n" + BODY, BODY),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\n"
            + BODY[:5]
            + b"\r\n7\r\n"
            + BODY[5:]
            + b"\r\n0\r\n\r\n",
            BODY,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n" + BODY + b"\r\n0\r\nTrailer: x\r\n\r\n", BODY),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\nC\r\n" + BODY + b"\r\n0\r\n\r\n",
            BODY,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + BODY, BODY),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 12\r\n\r\n" + BODY, BODY),
    ],
)
def test_an_answer_ends_where_it_says(answer: bytes, body: bytes, piece: int) -> None:
    assert read(answer, piece) == (200, body)


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body_whatever_they_say(status: int) -> None:
    assert read(f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n".encode()) == (status, b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 99 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nfour",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfourteen\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * HEAD_LIMIT,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_said_so(answer: bytes) -> None:
    with pytest.raises(NotHttp):
        read(answer)


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", True),
        (b"HTTP/1.1 204 No Content", True),
        (b"HTTP/1.1 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x\r\nConnection: close", False),
    ],
)
def test_a_connection_is_kept_where_the_answer_ends_by_itself(head: bytes, keeps: bool) -> None:
    assert incoming(head + b"\r\n\r\n").head().keeps is keeps


@pytest.mark.parametrize(("beyond", "over"), [(b"", True), (b"HTTP/1.1 200", False), (b"{}", False)])
def test_what_comes_beyond_an_answer_is_seen(beyond: bytes, over: bool) -> None:
    comes = incoming(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + beyond)
    assert b"".join(comes.body(comes.head())) == b"{}"
    assert comes.over is over


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\nX: ",
    ],
    ids=["head", "chunk", "trailer"],
)
def test_what_has_no_end_is_given_up(beginning: bytes) -> None:
    with pytest.raises(NotHttp, match="no end"):
        read(beginning + b"x" * 4 * HEAD_LIMIT, 1000)


def test_a_status_is_known_though_the_body_is_broken() -> None:
    comes = incoming(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nbroken")
    head = comes.head()
    assert head.status == HTTPStatus.OK
    with pytest.raises(NotHttp, match="body"):
        list(comes.body(head))


def test_a_field_that_is_repeated_is_a_list() -> None:
    assert incoming(b"HTTP/1.1 200 OK\r\nA: 1\r\na:2 \r\n\r\n").head().fields == {"a": "1, 2"}


@given(
    st.integers(200, 599),
    st.dictionaries(TOKENS, VALUES, max_size=5),
    st.lists(st.binary(min_size=1, max_size=50), max_size=4),
    st.sampled_from(["length", "chunked", "end"]),
    st.integers(1, 200),
)
def test_answers_are_read_as_h11_reads_them(
    status: int, fields: dict[str, str], parts: Sequence[bytes], framing: str, piece: int
) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"GET / HTTP/1.%d\r\nHost: a\r\n\r\n" % (framing != "end"))
    server.next_event()
    server.next_event()
    frame = [("content-length", str(sum(map(len, parts))))] if framing == "length" else []
    has_body = status not in {204, 304}
    events: list[h11.Event] = [h11.Response(status_code=status, headers=[*fields.items(), *frame])]
    events += [h11.Data(data=part) for part in parts if has_body]
    written = b"".join(server.send(event) or b"" for event in [*events, h11.EndOfMessage()])

    expected, body = _by_h11(written)
    comes = incoming(written, piece)
    head = comes.head()
    assert (head.status, b"".join(comes.body(head)), comes.over) == (status, body, framing != "end" or not has_body)
    assert {name: value for name, value in head.fields.items() if name.startswith("x-")} == {
        name.decode(): value.decode() for name, value in expected.headers if name.startswith(b"x-")
    }


def _by_h11(written: bytes) -> tuple[h11.Response, bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(written)
    client.receive_data(b"")
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += bytes(event.data)
    return response, body
