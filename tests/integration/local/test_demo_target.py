"""The demo's website and webhook receiver."""

from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from core.local.demo_target import DemoTarget, verify
from core.local.http_listener import Request
from tests.conftest import free_port
from tests.processes import module_process, wait_for_port

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type":"down"}'
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def signed(secret: str = SECRET, body: bytes = BODY, at: datetime = NOW) -> Request:
    headers = {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": "v1,bm90aGluZw== " + Webhook(secret).sign("msg_1", at, body.decode()),
    }
    return Request("POST", "/hook", tuple(headers.items()), body, "127.0.0.1")


def test_a_signature_of_the_reference_library_verifies() -> None:
    assert verify(SECRET, signed(), NOW)


@pytest.mark.parametrize(
    "request_",
    [
        signed(secret="whsec_" + "QUJD" * 8),
        signed(at=datetime(2026, 11, 23, 11, 50, tzinfo=UTC)),
        Request("POST", "/hook", (), BODY, "127.0.0.1"),
        Request("POST", "/hook", signed().headers, b'{"type":"up"}', "127.0.0.1"),
    ],
    ids=["another secret", "old", "unsigned", "altered body"],
)
def test_what_was_not_signed_with_the_secret_does_not_verify(request_: Request) -> None:
    assert not verify(SECRET, request_, NOW)


def test_the_receiver_shows_what_arrived_and_refuses_what_is_not_signed() -> None:
    target = DemoTarget(SECRET)
    assert target.answer(signed(at=datetime.now(UTC))).status == 200
    assert target.answer(Request("POST", "/hook", (), BODY, "127.0.0.1")).status == 401
    hooks = httpx.Response(200, content=target.answer(Request("GET", "/hooks", (), b"", "")).body).json()
    assert [(hook["id"], hook["verified"], hook["body"]) for hook in hooks] == [
        ("msg_1", True, {"type": "down"}),
        ("", False, {"type": "down"}),
    ]


def test_the_process_can_be_taken_down_and_up() -> None:
    port = free_port()
    with (
        module_process("core.local.demo_target", ["--port", str(port)]) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        wait_for_port(port)
        assert client.get("/").status_code == 200
        assert client.put("/state", json={"up": False}).json() == {"up": False}
        assert client.get("/").status_code == 503
        assert client.put("/state", json={"upp": False}).status_code == 400
        client.put("/state", json={"up": True})
        assert client.head("/").status_code == 200
        assert client.get("/nothing").status_code == 404
        process.terminate()
        assert process.wait(5) == 0
