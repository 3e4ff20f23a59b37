"""Checks over a version of HTTP that was asked for."""

import socket
from pathlib import Path

import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import RequestOptions, parse_options
from tests.hostile import Authority, Zone, answer, naming, serving
from tests.http_versions import BODY, serving_h2, serving_h3
from tests.probing import ask, checking, run

HOST = "version.test"
ZONES = {HOST: Zone(("127.0.0.1",))}


def over(version: str) -> RequestOptions:
    assertions = [{"kind": "header", "name": "X-Made-By", "value": "hand", "comparison": "equals"}]
    return parse_options({"http_version": version, "assertions": [*assertions, {"kind": "keyword", "text": "well"}]})


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


def pair_of(authority: Authority, host: str) -> Path:
    """The file with the key and certificate that the authority has made for a host."""
    (pair,) = authority.folder.glob(f"{host}*.pem")
    return pair


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_version_that_is_asked_for_is_spoken_and_the_next_check_speaks_1_1(version: str, tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        tls = authority.server(host=HOST)
        running = serving_h2(tls) if version == "2" else serving_h3(pair_of(authority, HOST))
        async with running as port, naming(ZONES) as names, checking(names=names, ca_file=authority.ca_file) as engine:
            result = await engine.probe(ask(f"https://{HOST}:{port}/", options=over(version)))
            assert found(result) == (Outcome.UP, Reason.OK), result.detail
            assert (result.http_version, result.status_code, result.body_bytes) == (version, 200, len(BODY))
            assert result.address == "127.0.0.1"
            assert result.certificate_not_after is not None
            assert result.tls_us is not None
            async with serving({"/": answer("200 OK")}, authority.server(host=HOST)) as old:
                plain = await engine.probe(ask(old.url(scheme="https", host=HOST)))
                assert (plain.outcome, plain.http_version) == (Outcome.UP, "1.1")

    run(test)


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_server_that_speaks_another_version_is_down(version: str, tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        reply = answer("200 OK", b"well", "X-Made-By: hand").replace(b"HTTP/1.1", b"HTTP/1.1" if version == "2" else b"HTTP/1.0")
        async with (
            serving({"/": reply}, authority.server(host=HOST)) as server,
            naming(ZONES) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            result = await engine.probe(ask(server.url(scheme="https", host=HOST), options=over(version)))
            assert found(result) == (Outcome.DOWN, Reason.PROTOCOL_ERROR)
            assert result.detail == f"the answer is HTTP/{'1.1' if version == '2' else '1.0'}, not HTTP/{version}"

    run(test)


def test_a_port_without_http_3_is_refused() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        async with naming(ZONES) as names, checking(names=names) as engine:
            result = await engine.probe(ask(f"https://{HOST}:{port}/", options=over("3"), timeout_ms=2000))
            assert result.outcome is Outcome.DOWN
            assert result.reason in (Reason.CONNECT_REFUSED, Reason.CONNECT_FAILED), result.detail

    run(test)


def test_silence_over_quic_is_no_connection_in_time() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            async with naming(ZONES) as names, checking(names=names) as engine:
                url = f"https://{HOST}:{silent.getsockname()[1]}/"
                result = await engine.probe(ask(url, options=over("3"), timeout_ms=500))
        assert found(result) == (Outcome.DOWN, Reason.CONNECT_TIMEOUT), result.detail

    run(test)


@pytest.mark.parametrize(
    ("host", "days", "trusts", "reason"),
    [
        ("other.test", (-10, 30), True, Reason.TLS_HOSTNAME),
        (HOST, (-90, -3), True, Reason.TLS_EXPIRED),
        (HOST, (3, 90), True, Reason.TLS_NOT_YET_VALID),
        (HOST, (-10, 30), False, Reason.TLS_UNTRUSTED),
    ],
)
def test_the_certificate_is_judged_over_quic_too(
    host: str, days: tuple[int, int], trusts: bool, reason: Reason, tmp_path: Path
) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        authority.server(host=host, begins_in_days=days[0], ends_in_days=days[1])
        async with (
            serving_h3(pair_of(authority, host)) as port,
            naming(ZONES) as names,
            checking(names=names, ca_file=authority.ca_file if trusts else None) as engine,
        ):
            result = await engine.probe(ask(f"https://{HOST}:{port}/", options=over("3")))
            assert found(result) == (Outcome.DOWN, reason), result.detail
            assert ".invalid" not in result.detail

    run(test)


def test_the_address_is_judged_before_a_datagram_is_sent() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.setblocking(False)
            async with checking(private_targets=False) as engine:
                engine._filter.usable = list  # type: ignore[method-assign,assignment]  # as if the first filter had let it pass
                url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
                result = await engine.probe(ask(url, options=over("3"), timeout_ms=1000))
            assert found(result) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)
            with pytest.raises(BlockingIOError):
                listening.recv(1)

    run(test)


def _reset(connection: H2Connection, stream_id: int) -> None:
    connection.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)


def _go_away(connection: H2Connection, _stream_id: int) -> None:
    connection.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)


def _half(connection: H2Connection, stream_id: int) -> None:
    connection.send_headers(stream_id, [(b":status", b"200"), (b"content-length", b"99")])
    connection.send_data(stream_id, b"half", end_stream=True)


@pytest.mark.parametrize("spoil", [_reset, _go_away, _half])
def test_http_2_that_breaks_off_is_no_answer(spoil: object, tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        async with (
            serving_h2(authority.server(host=HOST), spoil) as port,  # type: ignore[arg-type]
            naming(ZONES) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            result = await engine.probe(ask(f"https://{HOST}:{port}/", options=over("2"), timeout_ms=1000))
            assert result.outcome is Outcome.DOWN
            assert result.reason in (Reason.PROTOCOL_ERROR, Reason.EMPTY_REPLY), result.detail

    run(test)
