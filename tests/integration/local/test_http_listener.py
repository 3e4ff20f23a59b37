"""The stand-ins' HTTP server against clients that behave, and clients that do not."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from core.local import http_listener
from core.local.http_listener import HttpListener, Request, Response


def echo(request: Request) -> Response:
    if request.path == "/crash":
        raise RuntimeError("handler bug")
    if request.path == "/slow":
        time.sleep(0.5)
    return Response(200, request.method.encode() + b" " + request.target.encode() + b" " + request.body, (("X-Header", "1"),))


@pytest.fixture
def listener() -> Iterator[HttpListener]:
    opened = HttpListener("127.0.0.1", 0, echo, body_limit=1000)
    thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield opened
    opened.stop()
    thread.join(5)
    opened.server_close()


@contextmanager
def connected(listener: HttpListener) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as client:
        yield client


def everything(client: socket.socket) -> bytes:
    """Read until the server closes."""
    parts = []
    while data := client.recv(65_536):
        parts.append(data)
    return b"".join(parts)


def test_requests_of_one_connection_are_answered_one_after_the_other(listener: HttpListener) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{listener.port}") as client:
        assert client.get("/a?b=c").text == "GET /a?b=c "
        assert client.post("/d", content=b"body").text == "POST /d body"
        first = client.get("/e").extensions["network_stream"].get_extra_info("client_addr")
        assert client.get("/f").extensions["network_stream"].get_extra_info("client_addr") == first


def test_pipelined_requests_are_answered_in_order(listener: HttpListener) -> None:
    with connected(listener) as client:
        client.sendall(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = everything(client)
    assert answer.index(b"GET /1") < answer.index(b"GET /2")


def test_head_has_headers_and_no_body(listener: HttpListener) -> None:
    answer = httpx.head(f"http://127.0.0.1:{listener.port}/x")
    assert (answer.status_code, answer.content, answer.headers["x-header"]) == (200, b"", "1")


def test_a_chunked_body_is_put_together(listener: HttpListener) -> None:
    answer = httpx.post(f"http://127.0.0.1:{listener.port}/x", content=iter([b"one ", b"two"]))
    assert answer.text == "POST /x one two"


def test_a_client_that_waits_for_100_continue_gets_it(listener: HttpListener) -> None:
    with connected(listener) as client:
        client.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert b"100 Continue" in client.recv(1000)
        client.sendall(b"body")
        assert b"POST /x body" in everything(client)


def test_a_crash_of_the_handler_is_a_500_and_the_connection_goes_on(listener: HttpListener) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{listener.port}") as client:
        assert client.get("/crash").status_code == 500
        assert client.get("/fine").status_code == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 1001\r\n", b"413"),
        (b"Content-Length: -1\r\n", b"400"),
        (b"Content-Length: 1_0\r\n", b"400"),
        (b"Content-Length: 4\r\nContent-Length: 5\r\n", b"400"),
        (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"400"),
        (b"Transfer-Encoding: gzip\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n-5\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n", b"413"),
        (b"X: " + b"x" * 70_000 + b"\r\n", b"431"),
    ],
)
def test_a_bad_request_is_refused_and_the_connection_closed(listener: HttpListener, head: bytes, status: bytes) -> None:
    with connected(listener) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
        assert everything(client).startswith(b"HTTP/1.1 " + status)


def test_a_client_that_sends_too_much_still_reads_the_refusal(listener: HttpListener) -> None:
    answer = httpx.post(f"http://127.0.0.1:{listener.port}/", content=b"x" * 5_000_000)
    assert answer.status_code == 413


def test_garbage_is_no_request(listener: HttpListener) -> None:
    with connected(listener) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
        assert b" 400 " in everything(client)


def drip(client: socket.socket) -> None:
    """Send 40 s long, a byte at a time."""
    for _ in range(800):
        client.sendall(b"x")
        time.sleep(0.05)


def test_a_client_that_drips_is_cut_off(listener: HttpListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_listener, "REQUEST_TIMEOUT_S", 0.6)
    with connected(listener) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 900\r\n\r\n")
        with pytest.raises(ConnectionError):
            drip(client)


def test_idle_connections_do_not_keep_others_out(listener: HttpListener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_listener, "IDLE_TIMEOUT_S", 0.3)
    with connected(listener) as idle:
        assert everything(idle) == b""
    assert httpx.get(f"http://127.0.0.1:{listener.port}/").status_code == 200


def test_a_stop_lets_the_request_in_flight_end() -> None:
    listener = HttpListener("127.0.0.1", 0, echo, body_limit=10)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    answers: list[httpx.Response] = []
    client = threading.Thread(target=lambda: answers.append(httpx.get(f"http://127.0.0.1:{listener.port}/slow")))
    client.start()
    while not listener._answering:
        time.sleep(0.01)
    listener.stop()
    thread.join(5)
    client.join(5)
    listener.server_close()
    assert [(answer.status_code, answer.headers["connection"]) for answer in answers] == [(200, "close")]
