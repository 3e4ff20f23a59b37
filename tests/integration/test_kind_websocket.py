"""`ws://` and `wss://` checks: the upgrade as RFC 6455 wants it, against a server written out here."""

import asyncio
from base64 import b64decode, b64encode
from hashlib import sha1
from typing import Any

import pytest

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import parse_options
from tests.hostile import (
    Authority,
    HostileServer,
    Script,
    Zone,
    answer,
    hang,
    naming,
    redirect,
    send_then_hang,
    send_then_reset,
    serving,
)
from tests.probing import ask, checking, run

UP = (Outcome.UP, Reason.OK)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


def header(request: str, name: str) -> str:
    lines = [line.partition(":") for line in request.splitlines()[1:]]
    return next(value.strip() for key, _, value in lines if key.lower() == name.lower())


def consent(request: str) -> bytes:
    key = header(request, "Sec-WebSocket-Key")
    assert len(b64decode(key)) == 16
    return b64encode(sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def upgrading(
    *extra: str, upgrade: str = "websocket", connection: str = "Upgrade", accept: bytes | None = None
) -> tuple[Script, list[HostileServer]]:
    """A server that agrees, with what is asked for put wrong. The list is to hold the server itself."""
    servers: list[HostileServer] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proof = (consent(servers[0].requests[-1]) if accept is None else accept).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", f"Upgrade: {upgrade}", f"Connection: {connection}"]
        lines += [f"Sec-WebSocket-Accept: {proof}", *extra]
        writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        await reader.read(1)

    return script, servers


def check(script: tuple[Script, list[HostileServer]] | Script | bytes, **changes: Any) -> tuple[ProbeResult, HostileServer]:
    results: list[tuple[ProbeResult, HostileServer]] = []

    async def test() -> None:
        served, servers = script if isinstance(script, tuple) else (script, [])
        async with serving({"/chat?room=1": served}) as server, checking() as engine:
            servers.append(server)
            results.append((await engine.probe(ask(server.url("/chat?room=1", scheme="ws"), **changes)), server))

    run(test)
    return results[0]


def test_an_upgrade_is_well() -> None:
    result, server = check(upgrading())
    assert found(result) == UP, result.detail
    assert (result.status_code, result.http_version) == (101, "1.1")
    assert None not in (result.connect_us, result.first_byte_us, result.total_us, result.address)
    (request,) = server.requests
    assert request.startswith("GET /chat?room=1 HTTP/1.1\r\n")
    assert header(request, "Upgrade") == "websocket"
    assert header(request, "Sec-WebSocket-Version") == "13"
    assert header(request, "User-Agent").startswith("uptimemonitor/")


def test_each_check_has_a_key_of_its_own() -> None:
    async def test() -> None:
        script, servers = upgrading()
        async with serving({"/": script}) as server, checking() as engine:
            servers.append(server)
            for _ in range(3):
                assert found(await engine.probe(ask(server.url(scheme="ws")))) == UP
            assert len({header(request, "Sec-WebSocket-Key") for request in server.requests}) == 3

    run(test)


@pytest.mark.parametrize(
    "wrong",
    [{"accept": b"wrong"}, {"accept": b""}, {"upgrade": "h2c"}, {"connection": "close"}],
    ids=str,
)
def test_an_answer_that_proves_nothing_is_no_websocket(wrong: dict[str, Any]) -> None:
    result, _ = check(upgrading(**wrong))
    assert found(result) == (Outcome.DOWN, Reason.PROTOCOL_ERROR)
    assert result.detail


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "401 Unauthorized", "426 Upgrade Required", "503 Busy"])
def test_any_other_status_is_down(status: str) -> None:
    result, _ = check(answer(status, b"body"))
    assert found(result) == (Outcome.DOWN, Reason.HTTP_STATUS)
    assert result.status_code == int(status[:3])


def test_redirects_are_not_followed() -> None:
    result, server = check(redirect("/elsewhere"))
    assert found(result) == (Outcome.DOWN, Reason.HTTP_STATUS)
    assert result.status_code == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (b"", Reason.EMPTY_REPLY),
        (b"SSH-2.0-OpenSSH_9.9\r\n", Reason.PROTOCOL_ERROR),
        (b"HTTP/1.1 1010 Odd\r\n\r\n", Reason.PROTOCOL_ERROR),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgr", Reason.PROTOCOL_ERROR),
        (hang, Reason.TIMEOUT),
        (send_then_hang(b"HTTP/1.1 101 Switching Protocols\r\n"), Reason.TIMEOUT),
        (send_then_reset(b"HTTP/1.1 101 Switching Protocols\r\n"), Reason.CONNECTION_RESET),
    ],
)
def test_what_is_no_answer_is_down_with_its_reason(script: Script | bytes, reason: Reason) -> None:
    result, _ = check(script, timeout_ms=500)
    assert found(result) == (Outcome.DOWN, reason), result.detail


def test_headers_and_credentials_are_sent() -> None:
    options = {
        "headers": [
            {"name": "Sec-WebSocket-Protocol", "value": "chat"},
            {"name": "Origin", "value": "https://a.example"},
            {"name": "Cookie", "value": "session=1"},
        ],
        "auth": {"kind": "bearer", "token": "t0k"},
        "assertions": [{"kind": "header", "name": "Sec-WebSocket-Protocol", "comparison": "equals", "value": "chat"}],
    }
    result, server = check(upgrading("Sec-WebSocket-Protocol: chat"), options=parse_options(options))
    assert found(result) == UP, result.detail
    assert header(server.requests[0], "Sec-WebSocket-Protocol") == "chat"
    assert header(server.requests[0], "Origin") == "https://a.example"
    assert header(server.requests[0], "Authorization") == "Bearer t0k"
    assert header(server.requests[0], "Cookie") == "session=1"
    consent(server.requests[0])
    other, _ = check(upgrading(), options=parse_options(options))
    assert found(other) == (Outcome.DOWN, Reason.ASSERTION_HEADER)


def test_wss_judges_the_certificate(authority: Authority) -> None:
    async def test() -> None:
        zones = {"chat.test": Zone(("127.0.0.1",))}
        async with naming(zones) as names, checking(names=names, ca_file=authority.ca_file) as engine:
            script, servers = upgrading()
            async with serving({"/": script}, authority.server(host="chat.test")) as server:
                servers.append(server)
                result = await engine.probe(ask(server.url(scheme="wss", host="chat.test")))
                assert found(result) == UP, result.detail
                assert None not in (result.tls_us, result.certificate_not_after)
            async with serving({"/": script}, authority.server(host="chat.test", ends_in_days=-1)) as server:
                result = await engine.probe(ask(server.url(scheme="wss", host="chat.test")))
                assert found(result) == (Outcome.DOWN, Reason.TLS_EXPIRED)
                assert result.certificate_not_after is not None

    run(test)


def test_refused_addresses_are_not_asked() -> None:
    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as server, checking(private_targets=False) as engine:
            assert found(await engine.probe(ask(server.url(scheme="ws")))) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)
            assert server.requests == []

    run(test)


def test_a_handle_that_was_upgraded_is_fit_for_http_again() -> None:
    async def test() -> None:
        script, servers = upgrading()
        async with serving({"/": script, "/page": answer("200 OK")}) as server, checking() as engine:
            servers.append(server)
            assert found(await engine.probe(ask(server.url(scheme="ws")))) == UP
            assert (await engine.probe(ask(server.url("/page")))).status_code == 200
            assert "Upgrade" not in server.requests[1]
            assert engine._pin_names.made == 1

    run(test)


def test_an_http_check_never_follows_into_another_kind() -> None:
    async def test() -> None:
        async with serving({"/": redirect("ws://127.0.0.1/")}) as server, checking() as engine:
            result = await engine.probe(ask(server.url()))
            assert found(result) == (Outcome.DOWN, Reason.PROTOCOL_ERROR)

    run(test)
