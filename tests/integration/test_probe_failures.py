"""Connections and TLS that fail, each told apart. What bad answers are found to be is in `tests/parity`."""

import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from core.domain.outcomes import Outcome, Reason
from tests.hostile import (
    Authority,
    Zone,
    answer,
    naming,
    one_secure_connection,
    serving,
)
from tests.probing import ask, checking, run

# --- connections ---------------------------------------------------------------------------------------------------------------


def test_a_port_where_nobody_listens_is_refused() -> None:
    async def test() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            async with checking() as engine:
                result = await engine.probe(ask(f"http://127.0.0.1:{unused.getsockname()[1]}/"))
        assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.CONNECT_REFUSED)
        assert result.address == "127.0.0.1"

    run(test)


def test_a_port_that_never_answers_times_out_while_connecting() -> None:
    async def test() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = []
            for _ in range(8):  # fill the backlog, so that the next SYN is dropped
                queued = socket.socket()
                queued.setblocking(False)
                queued.connect_ex(full.getsockname())
                waiting.append(queued)
            async with checking() as engine:
                result = await engine.probe(ask(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout_ms=500))
            for queued in waiting:
                queued.close()
        assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.CONNECT_TIMEOUT)

    run(test)


def test_no_file_descriptors_are_our_own_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_socket(*_: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as server, checking() as engine:
            with monkeypatch.context() as patched:
                patched.setattr("core.adapters.probe_handle.socket.socket", no_socket)
                result = await engine.probe(ask(server.url()))
            assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.INTERNAL)
            assert (await engine.probe(ask(server.url()))).outcome is Outcome.UP

    run(test)


def test_ipv6_is_left_out_where_there_is_no_way_to_it_and_the_target_has_ipv4() -> None:
    async def test() -> None:
        zone = Zone(("127.0.0.1", "2606:4700:4700::1111"))
        async with naming({"dual.test": zone}) as names, checking(names=names, has_route=lambda _: False) as engine:
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                result = await engine.probe(ask(f"http://dual.test:{unused.getsockname()[1]}/"))
        assert (result.outcome, result.reason, result.address) == (Outcome.DOWN, Reason.CONNECT_REFUSED, "127.0.0.1")

    run(test)


def test_a_url_that_cannot_be_checked_is_our_trouble() -> None:
    async def test() -> None:
        async with checking() as engine:
            result = await engine.probe(ask("gopher://example.com/"))
            assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.INTERNAL)

    run(test)


# --- TLS -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


def secure_zone() -> dict[str, Zone]:
    return {"secure.test": Zone(("127.0.0.1",))}


def test_a_good_certificate_is_up_and_its_end_is_known(authority: Authority) -> None:
    async def test() -> None:
        tls = authority.server(host="secure.test", ends_in_days=30)
        async with (
            serving({"/": answer("200 OK")}, tls) as server,
            naming(secure_zone()) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            for _ in range(2):
                result = await engine.probe(ask(server.url(scheme="https", host="secure.test")))
                assert (result.outcome, result.reason) == (Outcome.UP, Reason.OK)
                assert result.tls_us is not None
                assert result.tls_us > 0
                assert result.certificate_not_after is not None
                assert abs(result.certificate_not_after - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)

    run(test)


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ("self-signed", Reason.TLS_UNTRUSTED),
        ("unknown authority", Reason.TLS_UNTRUSTED),
        ("expired", Reason.TLS_EXPIRED),
        ("not yet valid", Reason.TLS_NOT_YET_VALID),
        ("wrong host", Reason.TLS_HOSTNAME),
    ],
)
def test_a_bad_certificate_is_down_with_its_reason_and_its_end(flaw: str, reason: Reason, authority: Authority) -> None:
    async def test() -> None:
        flawed: dict[str, Callable[[], ssl.SSLContext]] = {
            "self-signed": lambda: authority.self_signed("secure.test"),
            "unknown authority": lambda: authority.server(host="secure.test"),
            "expired": lambda: authority.server(host="secure.test", begins_in_days=-90, ends_in_days=-3),
            "not yet valid": lambda: authority.server(host="secure.test", begins_in_days=3, ends_in_days=90),
            "wrong host": lambda: authority.server(host="other.test"),
        }
        tls = flawed[flaw]()
        ca_file = None if flaw == "unknown authority" else authority.ca_file
        async with (
            serving({"/": answer("200 OK")}, tls) as server,
            naming(secure_zone()) as names,
            checking(names=names, ca_file=ca_file) as engine,
        ):
            url = server.url(scheme="https", host="secure.test")
            result = await engine.probe(ask(url))
            assert (result.outcome, result.reason) == (Outcome.DOWN, reason)
            assert result.certificate_not_after is not None
            assert result.certificate is not None
            assert result.certificate.error == result.detail != ""
            assert result.certificate.not_after == result.certificate_not_after
            assert server.requests == []
            unverified = await engine.probe(ask(url, verify_tls=False))
            assert (unverified.outcome, unverified.status_code) == (Outcome.UP, 200)
            assert unverified.certificate is not None, "the failure before it has this one read again"
            assert (unverified.certificate.verified, unverified.certificate.error) == (False, "")
            assert unverified.certificate.digest == result.certificate.digest
            assert (await engine.probe(ask(url))).reason is reason

    run(test)


def test_a_server_that_asks_for_a_client_certificate_is_told_apart(authority: Authority) -> None:
    async def test() -> None:
        tls = authority.server(host="secure.test")
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(authority.ca_file)
        async with naming(secure_zone()) as names, checking(names=names, ca_file=authority.ca_file) as engine:
            with one_secure_connection(tls, answer("200 OK")) as port:
                result = await engine.probe(ask(f"https://secure.test:{port}/"))
            assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.TLS_CLIENT_CERT_REQUIRED)

    run(test)


@pytest.mark.parametrize(
    ("data", "outcome", "reason"),
    [
        (b"", Outcome.DOWN, Reason.EMPTY_REPLY),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", Outcome.UP, Reason.OK),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Outcome.UP, Reason.OK),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", Outcome.DOWN, Reason.PROTOCOL_ERROR),
    ],
)
def test_tls_that_ends_without_a_word(data: bytes, outcome: Outcome, reason: Reason, authority: Authority) -> None:
    async def test() -> None:
        async with naming(secure_zone()) as names, checking(names=names, ca_file=authority.ca_file) as engine:
            with one_secure_connection(authority.server(host="secure.test"), data) as port:
                result = await engine.probe(ask(f"https://secure.test:{port}/"))
            assert (result.outcome, result.reason) == (outcome, reason)

    run(test)


def test_plain_http_on_a_tls_port_is_a_tls_error(authority: Authority) -> None:
    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as server, checking() as engine:
            result = await engine.probe(ask(server.url(scheme="https"), timeout_ms=1000))
            assert result.outcome is Outcome.DOWN
            assert result.reason in (Reason.TLS_OTHER, Reason.TIMEOUT)

    run(test)
