"""Checks through proxies: what the proxy is told, what the target sees, and whose a failure is."""

import asyncio
import socket
from pathlib import Path

import pytest

from core.domain.certificate_facts import read_certificate
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import RequestOptions, parse_options
from tests.hostile import Authority, Script, Zone, accepting, answer, hang, naming, redirect, serving
from tests.probing import ask, checking, run
from tests.proxies import ProxyServer, http_proxy, socks_proxy

OK = answer("200 OK", b"all is well")
CREDENTIALS = ("joe", "p:w ü")


def by(proxy: ProxyServer, scheme: str, host: str = "127.0.0.1", **members: object) -> RequestOptions:
    login = {"username": proxy.credentials[0], "password": proxy.credentials[1]} if proxy.credentials else {}
    return parse_options({"proxy": {"url": proxy.url(scheme, host), **login}, **members})


def names_in(result: ProbeResult) -> tuple[str, ...] | None:
    """The names in the certificate that a check read."""
    return read_certificate(result.certificate.chain[0]).names if result.certificate else None


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


@pytest.mark.parametrize("credentials", [None, CREDENTIALS])
@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_a_check_goes_through_the_proxy_and_the_next_one_does_not(scheme: str, credentials: tuple[str, str] | None) -> None:
    async def test() -> None:
        serve_proxy = http_proxy if scheme == "http" else socks_proxy
        async with (
            serving({"/": OK}) as server,
            serve_proxy(credentials=credentials) as proxy,
            naming({"target.test": Zone(("127.0.0.1",))}) as names,
            checking(names=names) as engine,
        ):
            proxy.names["target.test"] = "127.0.0.1"
            url = server.url(host="target.test")
            result = await engine.probe(ask(url, options=by(proxy, scheme)))
            assert found(result) == (Outcome.UP, Reason.OK), result.detail
            told = "127.0.0.1" if scheme == "socks5" else "target.test"
            assert proxy.asked == [f"{told}:{server.port}"]
            assert (len(names.asked) > 0) is (scheme == "socks5")
            assert f"Host: target.test:{server.port}\r\n" in server.requests[0]
            assert "Proxy-Authorization" not in "".join(server.requests) or scheme == "http"
            assert found(await engine.probe(ask(url))) == (Outcome.UP, Reason.OK)
            assert len(proxy.asked) == 1

    run(test)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_tls_is_with_the_target(scheme: str, tmp_path: Path) -> None:
    async def test() -> None:
        authority = Authority.create(tmp_path)
        tls = authority.server(host="proxy.test") if scheme == "https" else None
        serving_proxy = http_proxy(tls=tls) if scheme.startswith("http") else socks_proxy()
        zones = {name: Zone(("127.0.0.1",)) for name in ("proxy.test", "target.test")}
        async with (
            serving({"/": OK}, authority.server(host="target.test")) as server,
            serving({"/": OK}, authority.server(host="other.test")) as wrong,
            serving_proxy as proxy,
            naming(zones) as names,
            checking(names=names, ca_file=authority.ca_file) as engine,
        ):
            proxy.names["target.test"] = "127.0.0.1"
            wanted = by(proxy, scheme, "proxy.test", headers=[{"name": "X-Api-Key", "value": "sesame"}])
            result = await engine.probe(ask(server.url(scheme="https", host="target.test"), options=wanted))
            assert found(result) == (Outcome.UP, Reason.OK), result.detail
            assert names_in(result) == ("target.test",)
            assert "X-Api-Key: sesame" in server.requests[0]
            assert "sesame" not in "".join(proxy.heads)
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                away = await engine.probe(ask(f"https://target.test:{unused.getsockname()[1]}/", options=wanted))
            assert (away.outcome, names_in(away)) == (Outcome.DOWN, None), "not even the certificate of the proxy"
            bad = await engine.probe(ask(wrong.url(scheme="https", host="target.test"), options=wanted))
            assert found(bad) == (Outcome.DOWN, Reason.TLS_HOSTNAME)
            assert "proxy" not in bad.detail
            assert names_in(bad) == ("other.test",)

    run(test)


def test_redirects_go_through_the_proxy_too() -> None:
    async def test() -> None:
        async with serving({"/": redirect("/in"), "/in": OK}) as server, http_proxy() as proxy, checking() as engine:
            result = await engine.probe(ask(server.url(), options=by(proxy, "http")))
            assert (result.outcome, len(result.redirects), len(proxy.asked)) == (Outcome.UP, 1, 2)

    run(test)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_the_address_of_the_proxy_passes_the_filter(scheme: str) -> None:
    async def test() -> None:
        async with (
            naming({"proxy.test": Zone(("127.0.0.1",))}) as names,
            checking(names=names, private_targets=False) as engine,
        ):
            for host in ("127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "169.254.169.254", "proxy.test"):
                options = parse_options({"proxy": {"url": f"{scheme}://{host}:3128"}})
                result = await engine.probe(ask("http://93.184.216.34/", options=options))
                assert found(result) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS), result.detail
                assert result.detail.startswith("the proxy ")

    run(test)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("proxy_scheme", ["http", "socks5", "socks5h"])
def test_a_proxy_that_is_not_there_is_told_apart(scheme: str, proxy_scheme: str) -> None:
    async def test() -> None:
        async with checking() as engine:
            with socket.socket() as unused:
                unused.bind(("127.0.0.1", 0))
                where = f"127.0.0.1:{unused.getsockname()[1]}"
                options = parse_options({"proxy": {"url": f"{proxy_scheme}://{where}"}})
                result = await engine.probe(ask(f"{scheme}://93.184.216.34/", options=options))
            assert found(result) == (Outcome.DOWN, Reason.CONNECT_REFUSED)
            assert result.detail.startswith(f"the proxy {where}: ")
            gone = parse_options({"proxy": {"url": f"{proxy_scheme}://gone.test:1"}})
            async with naming({}) as names, checking(names=names) as other:
                result = await other.probe(ask(f"{scheme}://93.184.216.34/", options=gone))
            assert found(result) == (Outcome.DOWN, Reason.DNS_NXDOMAIN)
            assert result.detail.startswith("the proxy gone.test: ")

    run(test)


def test_a_proxy_that_is_silent_or_is_none_is_told_apart() -> None:
    async def test() -> None:
        scripts: list[tuple[Script, str, str, Reason]] = [
            (hang, "http", "https", Reason.TIMEOUT),
            (_speaks_mail, "http", "https", Reason.PROTOCOL_ERROR),
            (_speaks_mail, "socks5h", "http", Reason.CONNECT_FAILED),
            (_speaks_mail, "https", "http", Reason.TLS_OTHER),
            (_speaks_mail, "https", "https", Reason.TLS_OTHER),
        ]
        for script, proxy_scheme, scheme, reason in scripts:
            async with accepting(script) as port, checking() as engine:
                options = parse_options({"proxy": {"url": f"{proxy_scheme}://127.0.0.1:{port}"}})
                result = await engine.probe(ask(f"{scheme}://93.184.216.34/", options=options, timeout_ms=400))
                assert found(result) == (Outcome.DOWN, reason), (proxy_scheme, scheme, result.detail)
                assert result.detail.startswith(f"the proxy 127.0.0.1:{port}: "), (proxy_scheme, scheme, result.detail)

    run(test)


async def _speaks_mail(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.com ESMTP ready and waiting\r\n")
    await writer.drain()


def test_a_proxy_that_wants_other_credentials_is_told_apart() -> None:
    async def test() -> None:
        async with (
            serving({"/": OK}) as server,
            http_proxy(credentials=CREDENTIALS) as http,
            socks_proxy(credentials=CREDENTIALS) as socks,
            checking() as engine,
        ):
            for proxy, proxy_scheme, scheme, reason in [
                (http, "http", "http", Reason.HTTP_STATUS),
                (http, "http", "https", Reason.CONNECT_FAILED),
                (socks, "socks5h", "http", Reason.CONNECT_FAILED),
            ]:
                for login in ({}, {"username": "joe", "password": "wrong"}):
                    options = parse_options({"proxy": {"url": proxy.url(proxy_scheme), **login}})
                    result = await engine.probe(ask(server.url(scheme=scheme), options=options))
                    assert found(result) == (Outcome.DOWN, reason), result.detail
                    assert "the proxy" in result.detail
                    assert "wrong" not in result.detail
            assert not server.requests

    run(test)


@pytest.mark.parametrize(
    ("proxy_scheme", "scheme", "reason"),
    [
        ("http", "http", Reason.HTTP_STATUS),
        ("http", "https", Reason.CONNECT_FAILED),
        ("socks5", "http", Reason.CONNECT_REFUSED),
        ("socks5h", "https", Reason.CONNECT_REFUSED),
    ],
)
def test_a_target_that_the_proxy_cannot_reach_is_down(proxy_scheme: str, scheme: str, reason: Reason) -> None:
    async def test() -> None:
        serving_proxy = http_proxy() if proxy_scheme == "http" else socks_proxy()
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            async with serving_proxy as proxy, checking() as engine:
                url = f"{scheme}://127.0.0.1:{unused.getsockname()[1]}/"
                result = await engine.probe(ask(url, options=by(proxy, proxy_scheme)))
                assert found(result) == (Outcome.DOWN, reason), result.detail
                assert "proxy" in result.detail or "502" in result.detail

    run(test)


def test_what_the_environment_says_about_proxies_is_nobody_s_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")

    async def test() -> None:
        async with serving({"/": OK}) as server, http_proxy() as proxy, checking() as engine:
            assert (await engine.probe(ask(server.url(), options=by(proxy, "http")))).outcome is Outcome.UP
            assert len(proxy.asked) == 1

    run(test)


def test_many_checks_through_two_proxies_of_one_name_reach_their_own() -> None:
    async def test() -> None:
        async with (
            serving({"/": OK}) as server,
            http_proxy() as first,
            http_proxy() as second,
            naming({"proxy.test": Zone(("127.0.0.1",))}) as names,
            checking(names=names) as engine,
        ):
            checks = [
                engine.probe(ask(server.url(), options=by(proxy, "http", "proxy.test") if proxy else None))
                for proxy in (first, second, None) * 20
            ]
            assert {result.outcome for result in await asyncio.gather(*checks)} == {Outcome.UP}
            assert (len(first.asked), len(second.asked), len(server.requests)) == (20, 20, 60)

    run(test)
