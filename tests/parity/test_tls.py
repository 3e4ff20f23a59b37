"""What TLS can be like: certificates, versions, names, and handshakes that break off; httpx is told the same name and authority."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from core.domain.outcomes import Outcome, Reason
from tests.hostile import (
    Authority,
    Script,
    Zone,
    accepting,
    answer,
    hang,
    naming,
    one_secure_connection,
    send_then_hang,
    send_then_reset,
    serving,
)
from tests.parity import oracle
from tests.probing import ask, checking, run

HOST: Final = "secure.test"
OK: Final = answer("200 OK", b"all is well")
TIMEOUT_MS: Final = 800


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("authority"))


def trusting(authority: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # neither browsers nor libcurl want what RFC 5280 asks of authorities
    return context


# --- certificates and versions ---------------------------------------------------------------------------------------------------


def _versions(authority: Authority, lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> ssl.SSLContext:
    tls = authority.server(host=HOST)
    tls.minimum_version, tls.maximum_version = lowest, highest
    if highest < ssl.TLSVersion.TLSv1_2:
        tls.set_ciphers("ALL:@SECLEVEL=0")
    return tls


def _named(authority: Authority, *, alert: ssl.AlertDescription | None = None, wanted: str | None = None) -> ssl.SSLContext:
    """A server that answers only to who tells the name that is `wanted`, with an `alert` to everybody else."""
    tls = authority.server(host=HOST)
    tls.sni_callback = lambda _socket, name, _context: None if name == wanted else alert
    return tls


@dataclass(frozen=True)
class Flaw:
    """A server that has `tls`; what is found by a check that verifies it, and by one that does not."""

    name: str
    tls: Callable[[Authority], ssl.SSLContext]
    reason: Reason
    unverified: Reason = Reason.OK


FLAWS = [
    Flaw("a good certificate", lambda a: a.server(host=HOST), Reason.OK),
    Flaw("a good chain", lambda a: a.intermediate().server(host=HOST), Reason.OK),
    Flaw("a wildcard", lambda a: a.server(host="*.test"), Reason.TLS_HOSTNAME),
    Flaw("expired", lambda a: a.server(host=HOST, begins_in_days=-90, ends_in_days=-3), Reason.TLS_EXPIRED),
    Flaw("not yet valid", lambda a: a.server(host=HOST, begins_in_days=3, ends_in_days=90), Reason.TLS_NOT_YET_VALID),
    Flaw("self-signed", lambda a: a.self_signed(HOST), Reason.TLS_UNTRUSTED),
    Flaw("for another host", lambda a: a.server(host="other.test"), Reason.TLS_HOSTNAME),
    Flaw("for the name without its subdomain", lambda a: a.server(host="www.secure.test"), Reason.TLS_HOSTNAME),
    Flaw("a chain that has expired", lambda a: a.intermediate(ends_in_days=-5).server(host=HOST), Reason.TLS_CHAIN_EXPIRED),
    Flaw("a chain that begins later", lambda a: a.intermediate(begins_in_days=5).server(host=HOST), Reason.TLS_NOT_YET_VALID),
    Flaw(
        "an intermediate that is not sent",
        lambda a: Authority(a.folder, (i := a.intermediate()).key, i.certificate, a.ca_file).server(host=HOST),
        Reason.TLS_UNTRUSTED,
    ),
    Flaw("TLS 1.3 alone", lambda a: _versions(a, ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3), Reason.OK),
    Flaw("TLS 1.2 alone", lambda a: _versions(a, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2), Reason.OK),
    Flaw(
        "TLS 1.1 at most",
        lambda a: _versions(a, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1),
        Reason.TLS_OTHER,
        Reason.TLS_OTHER,
    ),
    Flaw("TLS 1.0", lambda a: _versions(a, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1), Reason.TLS_OTHER, Reason.TLS_OTHER),
    Flaw(
        "a name that it does not know",
        lambda a: _named(a, alert=ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME),
        Reason.TLS_OTHER,
        Reason.TLS_OTHER,
    ),
    Flaw("a name that it wants", lambda a: _named(a, alert=ssl.AlertDescription.ALERT_DESCRIPTION_ACCESS_DENIED, wanted=HOST), Reason.OK),
    Flaw(
        "an error of its own",
        lambda a: _named(a, alert=ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR),
        Reason.TLS_OTHER,
        Reason.TLS_OTHER,
    ),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize("flaw", [pytest.param(each, id=each.name) for each in FLAWS])
def test_a_server_is_judged_as_expected_and_as_httpx_does(flaw: Flaw, authority: Authority) -> None:
    async def test() -> None:
        async with (
            naming({HOST: Zone(("127.0.0.1",))}) as names,
            serving({"/": OK}, flaw.tls(authority)) as server,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            url = server.url(scheme="https", host=HOST)
            for _ in range(2):
                result = await engine.probe(ask(url))
                assert result.reason is flaw.reason, result.detail
                assert (result.outcome is Outcome.UP) is (flaw.reason is Reason.OK)
            unverified = await engine.probe(ask(url, verify_tls=False))
            assert unverified.reason is flaw.unverified, unverified.detail
            seen = await oracle.is_up(server.url(scheme="https"), sni=HOST, tls=trusting(authority))
        assert seen is (flaw.reason is Reason.OK)

    run(test)


def test_an_authority_that_nobody_knows_is_not_trusted(authority: Authority) -> None:
    async def test() -> None:
        async with (
            naming({HOST: Zone(("127.0.0.1",))}) as names,
            serving({"/": OK}, authority.server(host=HOST)) as server,
            checking(names=names) as engine,
        ):
            result = await engine.probe(ask(server.url(scheme="https", host=HOST)))
            assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.TLS_UNTRUSTED)
            assert not await oracle.is_up(server.url(scheme="https"), sni=HOST)

    run(test)


def test_no_name_is_told_where_the_url_has_an_address(authority: Authority) -> None:
    """Names are for names (RFC 6066), so a server that wants one cannot be checked by its address."""
    told: list[str | None] = []

    async def test() -> None:
        tls = authority.server(host=HOST)
        tls.sni_callback = lambda _socket, name, _context: told.append(name)
        async with (
            naming({HOST: Zone(("127.0.0.1",))}) as names,
            serving({"/": OK}, tls) as server,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            by_address = await engine.probe(ask(server.url(scheme="https")))
            assert (by_address.outcome, by_address.reason) == (Outcome.DOWN, Reason.TLS_HOSTNAME)
            assert (await engine.probe(ask(server.url(scheme="https", host=f"{HOST}.")))).outcome is Outcome.UP
            assert told == [None, HOST]
            assert not await oracle.is_up(server.url(scheme="https"), tls=trusting(authority))

    run(test)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_of_the_client_is_told_apart(version: ssl.TLSVersion, authority: Authority) -> None:
    """TLS 1.2 refuses within the handshake, TLS 1.3 after it."""

    async def test() -> None:
        tls = _versions(authority, version, version)
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(authority.ca_file)
        async with naming({HOST: Zone(("127.0.0.1",))}) as names, checking(names=names, ca_file=authority.ca_file) as engine:
            with one_secure_connection(tls, OK) as port:
                result = await engine.probe(ask(f"https://{HOST}:{port}/"))
            assert result.outcome is Outcome.DOWN
            wanted = Reason.TLS_CLIENT_CERT_REQUIRED if version is ssl.TLSVersion.TLSv1_3 else Reason.TLS_OTHER
            assert result.reason is wanted, result.detail
        async with serving({"/": OK}, tls) as server:
            assert not await oracle.is_up(server.url(scheme="https"), sni=HOST, tls=trusting(authority))

    run(test)


# --- handshakes that break off -----------------------------------------------------------------------------------------------------


def after_hello(then: bytes | Script) -> Script:
    """Read the first message of TLS, then go on."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        if isinstance(then, bytes):
            writer.write(then)
            await writer.drain()
        else:
            await then(reader, writer)

    return script


_UNRECOGNISED_NAME: Final = bytes.fromhex("15030300020270")
_HALF_A_HELLO: Final = bytes.fromhex("160303007a0200007603034f")

BREAKS: list[tuple[str, Script, str, Reason]] = [
    ("closed on accepting, plain", after_hello(b""), "http", Reason.EMPTY_REPLY),
    ("reset on accepting, plain", send_then_reset(b""), "http", Reason.CONNECTION_RESET),
    ("reset on accepting, TLS", send_then_reset(b""), "https", Reason.CONNECTION_RESET),
    ("silence on accepting, TLS", hang, "https", Reason.TIMEOUT),
    ("closed after the first message", after_hello(b""), "https", Reason.TLS_OTHER),
    ("reset after the first message", after_hello(send_then_reset(b"")), "https", Reason.CONNECTION_RESET),
    ("silence after the first message", after_hello(hang), "https", Reason.TIMEOUT),
    ("closed within the handshake", after_hello(_HALF_A_HELLO), "https", Reason.TLS_OTHER),
    ("reset within the handshake", after_hello(send_then_reset(_HALF_A_HELLO)), "https", Reason.CONNECTION_RESET),
    ("silence within the handshake", after_hello(send_then_hang(_HALF_A_HELLO)), "https", Reason.TIMEOUT),
    ("an alert about the name", after_hello(_UNRECOGNISED_NAME), "https", Reason.TLS_OTHER),
    ("noise", after_hello(bytes(range(256))), "https", Reason.TLS_OTHER),
    ("plain HTTP on the port of TLS", after_hello(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "https", Reason.TLS_OTHER),
]  # fmt: skip


@pytest.mark.parametrize(("script", "scheme", "reason"), [pytest.param(*each[1:], id=each[0]) for each in BREAKS])
def test_a_connection_that_breaks_off_is_judged_as_expected_and_as_httpx_does(
    script: Script, scheme: str, reason: Reason
) -> None:
    async def test() -> None:
        async with accepting(script) as port, checking() as engine:
            result = await engine.probe(ask(f"{scheme}://127.0.0.1:{port}/", timeout_ms=TIMEOUT_MS))
            assert (result.outcome, result.reason) == (Outcome.DOWN, reason), result.detail
            assert result.status_code is None
            assert result.detail.isprintable()
            if (scheme, reason) != ("https", Reason.TIMEOUT):  # there httpx on uvloop forgets to close its connection
                assert not await oracle.is_up(f"{scheme}://127.0.0.1:{port}/", timeout_s=TIMEOUT_MS / 1000)

    run(test)


def test_tls_on_the_plain_port_is_no_answer(authority: Authority) -> None:
    async def test() -> None:
        async with serving({"/": OK}, authority.server(host=HOST)) as server, checking() as engine:
            result = await engine.probe(ask(server.url()))
            assert result.outcome is Outcome.DOWN
            assert result.reason in (Reason.EMPTY_REPLY, Reason.PROTOCOL_ERROR, Reason.CONNECTION_RESET), result.detail
            assert not await oracle.is_up(server.url())

    run(test)


@pytest.fixture(name="nowhere")
def port_where_nobody_listens() -> Iterator[int]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_where_nobody_listens_refuses(scheme: str, nowhere: int) -> None:
    async def test() -> None:
        async with checking() as engine:
            result = await engine.probe(ask(f"{scheme}://127.0.0.1:{nowhere}/"))
            assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.CONNECT_REFUSED)
            assert not await oracle.is_up(f"{scheme}://127.0.0.1:{nowhere}/")

    run(test)
