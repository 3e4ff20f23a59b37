"""The ping API over HTTP, through the gateway of one box, as clients really speak it.

Where a client is not installed its request is here as recorded bytes, so that every client is tested everywhere.
"""

import http.client
import shutil
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.contracts.heartbeat_keys import BODY_LIMIT, KEY_SORT_KEY, key_partition, slugs_partition
from core.contracts.heartbeat_table import PingItem, PingKeyItem, SlugItem
from core.local import ping_lambda
from core.local.api_gateway import PAYLOAD_LIMIT
from core.local.gateway import Gateway
from core.local.http_listener import HttpListener
from core.local.journal import Journal
from core.local.ping_runner import PingRunner
from tests.aws_stand_in import AwsStandIn
from tests.integration.test_ping_lambda import WORKSPACE, heartbeat, pings_of

KEY = "6f1c2a345b6d4e7f8a90b1c2d3e4f506"
NOW_MS = 1_795_435_200_123
LARGE = bytes(range(256)) * 8192
"""2 MiB: what curl asks leave for, and more than is kept."""


@dataclass(frozen=True)
class Place:
    """Where the gateway listens, and a heartbeat behind it."""

    port: int
    heartbeat: str

    def url(self, tail: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/api/ping/{self.heartbeat}/{tail}"

    def path(self, tail: str = "") -> str:
        return f"/api/ping/{self.heartbeat}/{tail}"

    def ping(self) -> PingItem:
        """The one ping that came in."""
        [item] = pings_of(self.heartbeat)
        return item


@pytest.fixture
def place(aws: AwsStandIn, tmp_path: Path) -> Iterator[Place]:
    journal = Journal(tmp_path)
    runner = PingRunner(ping_lambda.invoke, journal, lambda: True, patience_s=30)
    listener = HttpListener("127.0.0.1", 0, Gateway(journal, runner, lambda: NOW_MS).answer, body_limit=PAYLOAD_LIMIT)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield Place(listener.port, heartbeat())
    listener.stop()
    listener.server_close()
    thread.join(10)
    runner.close()
    journal.close()


def run(command: str, *arguments: str) -> str:
    """The standard output of a client."""
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed; its requests are among the recorded ones")
    done = subprocess.run([command, *arguments], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("arguments", "tail", "expected"),
    [
        ([], "", ("GET", "success", 0)),
        (["--head"], "start", ("HEAD", "start", 0)),
        (["--data-raw", "a=1&b=\u00fc"], "3", ("POST", "fail", 8)),
        (["--request", "POST"], "", ("POST", "success", 0)),
        (["--header", "Content-Type:", "--data-raw", "x"], "log/", ("POST", "log", 1)),
        (["--form", "file=@/etc/hostname"], "", ("POST", "success", None)),
        (["--http1.0"], "", ("GET", "success", 0)),
        (["--header", "Transfer-Encoding: chunked", "--data-raw", "chunked"], "", ("POST", "success", 7)),
        (["--compressed", "--header", "Accept: application/json"], "?rid=nonsense", ("GET", "success", 0)),
    ],
)
def test_curl(place: Place, arguments: list[str], tail: str, expected: tuple[str, str, int | None]) -> None:
    method, kind, size = expected
    output = run("curl", "-fsS", "-m", "30", *arguments, place.url(tail))
    ping = place.ping()
    assert (ping.method, ping.kind, ping.user_agent[:5]) == (method, kind, "curl/")
    assert size is None or ping.body_size == size
    assert method == "HEAD" or output == "OK"


def test_curl_asks_leave_for_a_large_body(place: Place, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    headers = run(
        "curl", "-fsS", "-m", "30", "-D", "-", "-H", "Expect: 100-continue", "--data-binary", f"@{tmp_path}/large", place.url()
    )
    ping = place.ping()
    assert (ping.body_size, ping.body_truncated) == (len(LARGE), True)
    assert "100 Continue" in headers
    assert "Ping-Body-Truncated: true" in headers
    assert f"Ping-Body-Limit: {BODY_LIMIT}" in headers


@pytest.mark.parametrize(
    ("arguments", "method", "size"),
    [
        (["-O", "-"], "GET", 0),
        (["--spider"], "HEAD", 0),
        (["-O", "-", "--method=HEAD"], "HEAD", 0),
        (["-O", "-", "--post-data=exit=1"], "POST", 6),
        (["-O", "-", "--method=POST"], "POST", 0),
    ],
)
def test_wget(place: Place, arguments: list[str], method: str, size: int) -> None:
    run("wget", "-q", "-T", "30", *arguments, place.url("start"))
    ping = place.ping()
    assert (ping.method, ping.kind, ping.body_size, ping.user_agent[:5]) == (method, "start", size, "Wget/")


RECORDED = {
    "busybox wget": (
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Wget\r\nConnection: close\r\n\r\n",
        ("GET", 0, "Wget"),
    ),
    "busybox wget --spider": (
        "HEAD {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Wget\r\nConnection: close\r\n\r\n",
        ("HEAD", 0, "Wget"),
    ),
    "busybox wget --post-data": (
        (
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Wget\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 4\r\n\r\na=%0"
        ),
        ("POST", 4, "Wget"),
    ),
    "wget": (
        (
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Wget/1.21.3\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
            "Connection: Keep-Alive\r\n\r\n"
        ),
        ("GET", 0, "Wget/1.21.3"),
    ),
    "wget --post-data": (
        (
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Wget/1.21.3\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
            "Connection: Keep-Alive\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 2\r\n\r\nok"
        ),
        ("POST", 2, "Wget/1.21.3"),
    ),
    "Windows PowerShell, GET": (
        (
            "GET {path} HTTP/1.1\r\nUser-Agent: Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1\r\n"
            "Host: {host}\r\nConnection: Keep-Alive\r\n\r\n"
        ),
        ("GET", 0, "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1"),
    ),
    "Windows PowerShell, POST without a body": (
        "POST {path} HTTP/1.1\r\nUser-Agent: PS\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n",
        ("POST", 0, "PS"),
    ),
    "PowerShell 7, chunked": (
        (
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: PS7\r\nTransfer-Encoding: chunked\r\nContent-Type: \r\n\r\n"
            "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
        ),
        ("POST", 6, "PS7"),
    ),
    "HTTP/1.0, no host": ("POST {path} HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", ("POST", 3, "")),
    "no headers at all": ("GET {path} HTTP/1.0\r\n\r\n", ("GET", 0, "")),
    "a body with GET": (
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        ("GET", 2, ""),
    ),
    "an odd content type": (
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: ;charset=\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        ("POST", 1, ""),
    ),
    "a forged address": (
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 192.0.2.66\r\nForwarded: for=192.0.2.66\r\nConnection: close\r\n\r\n",
        ("GET", 0, ""),
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_requests(place: Place, name: str) -> None:
    request, (method, size, agent) = RECORDED[name]
    with socket.create_connection(("127.0.0.1", place.port), timeout=30) as connection:
        connection.sendall(request.format(path=place.path("0"), host=f"127.0.0.1:{place.port}").encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.split(b" ")[1] == b"200", answer
    ping = place.ping()
    assert (ping.method, ping.body_size, ping.user_agent, ping.kind) == (method, size, agent, "success")
    assert ping.source_ip == "127.0.0.1", "the address that the gateway saw"


def test_windows_powershell_waits_for_leave_to_send(place: Place) -> None:
    fields = "Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 4"
    head = f"POST {place.path()} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", place.port), timeout=30) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100")
        connection.sendall(b"a=b&")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    assert place.ping().body_size == 4


def test_python(place: Place) -> None:
    with urllib.request.urlopen(place.url("start"), timeout=30) as answer:
        assert answer.read() == b"OK"
    request = urllib.request.Request(place.url(), data="ünïcode".encode("utf-16"), method="POST")
    urllib.request.urlopen(request, timeout=30).close()
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=30)
    for path, body in (("fail", None), ("7", b"\x00\xff"), ("log", iter([b"in ", b"pieces"]))):
        connection.request("POST", place.path(path), body=body)
        assert connection.getresponse().read() == b"OK"
    connection.close()
    assert httpx.post(place.url("0"), content=iter([b"x" * 20_000]), timeout=30).text == "OK"
    assert httpx.head(place.url(), timeout=30).status_code == 200
    found = sorted(((item.kind, item.body_size, item.exit_status) for item in pings_of(place.heartbeat)), key=str)
    assert found == sorted(
        [
            ("start", 0, None),
            ("success", 16, None),
            ("fail", 0, None),
            ("fail", 2, 7),
            ("log", 9, None),
            ("success", 20_000, 0),
            ("success", 0, None),
        ],
        key=str,
    )


def test_a_browser_asks_first_and_may(place: Place) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(place.url(), headers=headers, timeout=30)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"], answer.content) == (204, "*", b"")
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    assert pings_of(place.heartbeat) == []
    assert httpx.post(place.url(), headers=headers, timeout=30).headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_count_nothing(place: Place, method: str) -> None:
    answer = httpx.request(method, place.url(), content=b"x", timeout=30)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert pings_of(place.heartbeat) == []


def test_what_is_beyond_the_payload_of_a_lambda_is_refused_and_what_is_below_is_not(place: Place) -> None:
    assert httpx.post(place.url(), content=b"x" * 4_400_000, timeout=60).status_code == 200
    assert httpx.post(place.url(), content=b"x" * 6_000_000, timeout=60).status_code == 413
    assert place.ping().body_size == 4_400_000


@pytest.mark.parametrize("tail", ["", "/"])
def test_names_and_creation_work_over_http(place: Place, tail: str) -> None:
    PingKeyItem(key_partition(KEY), KEY_SORT_KEY, workspace_id=str(WORKSPACE)).save()
    SlugItem(slugs_partition(str(WORKSPACE)), "nightly_backup", heartbeat_id=place.heartbeat).save()
    base = f"http://127.0.0.1:{place.port}/api/ping/{KEY.upper()}"
    assert httpx.get(f"{base}/Nightly_Backup{tail}", timeout=30).text == "OK"
    assert place.ping().kind == "success"
    made: Any = httpx.get(f"{base}/new-job/start{tail}?create=1&period=1h&tags=a%2Cb", timeout=30)
    assert (made.status_code, made.text) == (201, "Created")
    assert httpx.get(f"{base}/other{tail}", timeout=30).status_code == 404
