import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvloop

from core.adapters.hosts_file import HostsFile
from core.adapters.probe import ProbeEngine
from core.adapters.probe_transfers import Transfers
from core.adapters.resolver import Resolver
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeRequest, ProbeResult, parse_accepted_status
from tests.hostile import (
    Authority,
    HostileServer,
    NameServer,
    Script,
    Zone,
    answer,
    drip,
    hang,
    naming,
    one_secure_connection,
    redirect,
    send_then_hang,
    send_then_reset,
    serving,
)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await test()

    uvloop.run(limited())


def ask(url: str, **changes: object) -> ProbeRequest:
    defaults: dict[str, object] = {
        "monitor_id": 1,
        "url": url,
        "method": "GET",
        "timeout_ms": 3000,
        "accepted_status": parse_accepted_status("200-299"),
        "follow_redirects": True,
        "max_redirects": 5,
        "verify_tls": True,
    }
    return ProbeRequest(**{**defaults, **changes})  # type: ignore[arg-type]  # the keys are those of ProbeRequest


@asynccontextmanager
async def checking(
    *,
    names: NameServer | None = None,
    private_targets: bool = True,
    ca_file: Path | None = None,
    has_route: Callable[[str], bool] = lambda _: True,
) -> AsyncIterator[ProbeEngine]:
    resolver = Resolver([names.address] if names else [], hosts=HostsFile(Path("/nowhere/hosts")))
    engine = ProbeEngine(
        resolver, private_targets=private_targets, ca_file=str(ca_file) if ca_file else None, has_route=has_route
    )
    try:
        yield engine
    finally:
        await engine.close()


def check_one(path: bytes | Script, **changes: object) -> tuple[ProbeResult, HostileServer]:
    """Serve one thing at `/` and check it."""
    outcome: list[tuple[ProbeResult, HostileServer]] = []

    async def test() -> None:
        async with serving({"/": path}) as server, checking() as engine:
            outcome.append((await engine.probe(ask(server.url(), **changes)), server))

    run(test)
    return outcome[0]


# --- what answers well ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content", "206 Partial Content"])
def test_an_accepted_status_is_up(status: str) -> None:
    result, _ = check_one(answer(status))
    assert (result.outcome, result.reason, result.status_code) == (Outcome.UP, Reason.OK, int(status[:3]))
    assert (result.address, result.redirects, result.detail) == ("127.0.0.1", (), "")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "503 x", "301 Moved", "304 Not Modified"])
def test_any_other_status_is_down_with_that_status(status: str) -> None:
    result, _ = check_one(answer(status))
    assert (result.outcome, result.reason, result.status_code) == (Outcome.DOWN, Reason.HTTP_STATUS, int(status[:3]))
    assert status[:3] in result.detail


def test_a_status_that_is_asked_for_is_up() -> None:
    result, _ = check_one(answer("418 teapot"), accepted_status=parse_accepted_status("200,418"))
    assert (result.outcome, result.status_code) == (Outcome.UP, 418)


def test_the_phases_of_a_check_are_measured() -> None:
    async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(answer("200 OK"))

    before = datetime.now(UTC)
    result, _ = check_one(slow)
    assert before <= result.started_at <= datetime.now(UTC)
    assert result.dns_us is not None
    assert result.connect_us is not None
    assert result.first_byte_us is not None
    assert result.total_us is not None
    assert result.tls_us is None
    assert 150_000 < result.first_byte_us < result.total_us < 3_000_000
    assert result.dns_us + result.connect_us + result.first_byte_us <= result.total_us


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_method_is_sent_and_a_handle_forgets_it(method: str) -> None:
    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as server, checking() as engine:
            assert (await engine.probe(ask(server.url(), method=method))).outcome is Outcome.UP
            assert (await engine.probe(ask(server.url()))).outcome is Outcome.UP
            assert [head.split(" ")[0] for head in server.requests] == [method, "GET"]
            assert "Content-Length" not in server.requests[1]

    run(test)


def test_a_check_says_who_it_is_and_brings_nothing_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    async def test() -> None:
        scripts: dict[str, bytes | Script] = {"/": answer("200 OK", b"", "Set-Cookie: a=b")}
        async with serving(scripts) as server, checking() as engine:
            for _ in range(2):
                assert (await engine.probe(ask(server.url()))).outcome is Outcome.UP
        for head in server.requests:
            assert "User-Agent: uptimemonitor/" in head
            assert "cookie" not in head.lower()
            assert f"Host: 127.0.0.1:{server.port}" in head

    run(test)


def test_every_check_makes_a_connection_of_its_own() -> None:
    peers: list[object] = []

    async def keep_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername"))
        writer.write(answer("200 OK"))
        await reader.read()

    async def test() -> None:
        async with serving({"/": keep_open}) as server, checking() as engine:
            for _ in range(3):
                await engine.probe(ask(server.url()))
        assert len(set(peers)) == 3

    run(test)


def test_a_big_body_is_left_unread() -> None:
    sent: list[int] = []

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent.append(65_536)

    result, _ = check_one(endless)
    assert (result.outcome, result.status_code) == (Outcome.UP, 200)
    assert sum(sent) < 100_000_000


# --- redirects -----------------------------------------------------------------------------------------------------------------


def test_redirects_are_followed_and_told() -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {
            "/": redirect("/two", "301 Moved"),
            "/two": redirect("//127.0.0.1:PORT/three?q=%20", "307 x"),
            "/three?q=%20": redirect("four%C3%BC", "308 x"),
            "/four%C3%BC": answer("200 OK"),
        }
        async with serving(scripts) as server, checking() as engine:
            scripts["/two"] = redirect(f"//127.0.0.1:{server.port}/three?q=%20", "307 x")
            result = await engine.probe(ask(server.url()))
            assert result.outcome is Outcome.UP
            assert result.redirects == tuple(server.url(path) for path in ("/two", "/three?q=%20", "/four%C3%BC"))
            assert result.connect_us is not None

    run(test)


def test_a_redirect_may_be_the_answer() -> None:
    result, server = check_one(redirect("/two"), follow_redirects=False, accepted_status=parse_accepted_status("302"))
    assert (result.outcome, result.status_code, len(server.requests)) == (Outcome.UP, 302, 1)


@pytest.mark.parametrize(("limit", "requests"), [(0, 1), (3, 4)])
def test_a_redirect_loop_ends_at_the_limit(limit: int, requests: int) -> None:
    result, server = check_one(redirect("/"), max_redirects=limit)
    assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.REDIRECT_LIMIT)
    assert (len(result.redirects), len(server.requests)) == (limit, requests)


def test_the_time_out_covers_all_hops() -> None:
    async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(redirect("/"))

    result, _ = check_one(slow, timeout_ms=700, max_redirects=50)
    assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.TIMEOUT)
    assert result.total_us is not None
    assert 650_000 < result.total_us < 1_500_000


def test_the_body_of_a_redirect_is_not_waited_for() -> None:
    async def test() -> None:
        head = b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 1000\r\n\r\nx"
        async with serving({"/": send_then_hang(head), "/ok": answer("200 OK")}) as server, checking() as engine:
            assert (await engine.probe(ask(server.url()))).outcome is Outcome.UP

    run(test)


@pytest.mark.parametrize(
    "location",
    ["ftp://127.0.0.1/", "http://user:secret@127.0.0.1/", "http://127.0.0.1:99999/", "http://[::1/", "file:///etc/passwd"],
)
def test_a_redirect_to_what_cannot_be_checked_is_down(location: str) -> None:
    result, _ = check_one(redirect(location))
    assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.PROTOCOL_ERROR)
    assert "secret" not in result.detail


@pytest.mark.parametrize(("location", "path"), [("/\u00fc", "/%FC"), ("/a b", "/a%20b"), ("?x", "/?x"), ("#only", "/")])
def test_a_sloppy_location_is_followed(location: str, path: str) -> None:
    result, server = check_one(redirect(location), max_redirects=1)
    assert result.redirects == (server.url(path),)


def test_a_redirect_without_a_location_is_an_answer() -> None:
    result, _ = check_one(answer("302 Found", b"", "Location:"))
    assert (result.outcome, result.reason, result.status_code) == (Outcome.DOWN, Reason.HTTP_STATUS, 302)


@pytest.mark.parametrize(
    ("method", "status", "following"),
    [
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("PUT", 303, "GET"),
        ("HEAD", 303, "HEAD"),
        ("POST", 307, "POST"),
        ("PUT", 301, "PUT"),
    ],
)
def test_the_method_of_the_next_hop_follows_the_standard(method: str, status: int, following: str) -> None:
    async def test() -> None:
        async with serving({"/": redirect("/two", f"{status} x"), "/two": answer("200 OK")}) as server, checking() as engine:
            assert (await engine.probe(ask(server.url(), method=method))).outcome is Outcome.UP
            assert [head.split(" ")[0] for head in server.requests] == [method, following]

    run(test)


# --- the guard -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "10.0.0.1", "0"]
)
def test_a_refused_address_is_never_connected_to(host: str) -> None:
    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as server, checking(private_targets=False) as engine:
            result = await engine.probe(ask(f"http://{host}:{server.port}/"))
            assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)
            assert "not allowed" in result.detail
            assert server.requests == []

    run(test)


def test_metadata_services_stay_refused_where_private_targets_are_allowed() -> None:
    async def test() -> None:
        async with checking() as engine:
            result = await engine.probe(ask("http://169.254.169.254/latest/meta-data/"))
            assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)

    run(test)


def test_a_redirect_to_a_refused_address_is_the_target_s_trouble() -> None:
    result, _ = check_one(redirect("http://169.254.169.254/latest/meta-data/"))
    assert (result.outcome, result.reason, result.address) == (Outcome.DOWN, Reason.BLOCKED_ADDRESS, "169.254.169.254")
    assert result.redirects == ("http://169.254.169.254/latest/meta-data/",)


def test_a_name_that_points_to_a_refused_address_is_refused() -> None:
    async def test() -> None:
        async with (
            naming({"rebound.test": Zone(("127.0.0.1", "10.1.2.3"))}) as names,
            checking(names=names, private_targets=False) as engine,
        ):
            result = await engine.probe(ask("http://rebound.test/"))
            assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)

    run(test)


def test_only_the_allowed_addresses_of_a_name_are_used() -> None:
    async def test() -> None:
        async with (
            serving({"/": answer("200 OK")}) as server,
            naming({"mixed.test": Zone(("169.254.169.254", "127.0.0.1"))}) as names,
            checking(names=names) as engine,
        ):
            result = await engine.probe(ask(server.url(host="mixed.test")))
            assert (result.outcome, result.address) == (Outcome.UP, "127.0.0.1")
            assert f"Host: mixed.test:{server.port}" in server.requests[0]

    run(test)


def test_the_address_is_judged_again_as_the_socket_opens() -> None:
    """What libcurl connects to counts, not what we believe to have told it."""

    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as server, checking(private_targets=False) as engine:
            usable = engine._filter.usable
            engine._filter.usable = list  # type: ignore[method-assign,assignment]  # a first filter that lets everything pass
            result = await engine.probe(ask(server.url()))
            assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)
            assert server.requests == []
            engine._filter.usable = usable  # type: ignore[method-assign]

    run(test)


# --- names ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "outcome", "reason"),
    [
        (Zone(rcode=3), Outcome.DOWN, Reason.DNS_NXDOMAIN),
        (Zone(), Outcome.DOWN, Reason.DNS_NO_DATA),
        (Zone(rcode=2), Outcome.DOWN, Reason.DNS_FAILURE),
        (Zone(rcode=5), Outcome.UNKNOWN, Reason.RESOLVER_FAILURE),
    ],
)
def test_trouble_with_names_is_told_apart(zone: Zone, outcome: Outcome, reason: Reason) -> None:
    async def test() -> None:
        async with naming({"a.test": zone}) as names, checking(names=names) as engine:
            result = await engine.probe(ask("http://a.test/", timeout_ms=10_000))
            assert (result.outcome, result.reason) == (outcome, reason)
            assert "a.test" in result.detail
            assert result.dns_us is not None
            assert result.connect_us is None

    run(test)


def test_checks_of_one_name_and_port_never_share_addresses() -> None:
    """libcurl keeps one cache for all transfers: each must see its own addresses only."""

    async def test() -> None:
        async with (
            serving({"/": answer("200 OK")}) as server,
            naming({"moving.test": Zone(("127.0.0.1",))}) as names,
            checking(names=names) as engine,
        ):
            assert (await engine.probe(ask(server.url(host="moving.test")))).address == "127.0.0.1"
            names.zones["moving.test"] = Zone(("127.0.0.2",))
            engine._resolver._cache.clear()
            engine._resolver._channel._opened_at -= 61  # type: ignore[union-attr]  # it was just used
            assert (await engine.probe(ask(server.url(host="moving.test")))).address == "127.0.0.2"

    run(test)


def test_many_names_and_ports_at_once_each_reach_their_own_target() -> None:
    async def test() -> None:
        zones = {f"n{number}.test": Zone((f"127.0.0.{number}",)) for number in range(1, 21)}
        async with (
            serving({"/": answer("200 OK")}) as first,
            serving({"/": answer("204 No Content")}) as second,
            naming(zones) as names,
            checking(names=names) as engine,
        ):
            for _ in range(3):
                for server, status in ((first, 200), (second, 204)):
                    server.requests.clear()
                    results = await asyncio.gather(*[engine.probe(ask(server.url(host=name))) for name in zones])
                    reached = {(name, result.address, result.status_code) for name, result in zip(zones, results, strict=True)}
                    # the servers listen on 127.0.0.1 only: the other addresses of loopback refuse, each by its own address
                    assert reached == {
                        (name, zone.addresses[0], status if name == "n1.test" else None) for name, zone in zones.items()
                    }
                    assert len(server.requests) == 1

    run(test)


def test_checks_leave_no_descriptors_behind() -> None:
    def open_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def test() -> None:
        async with serving({"/": answer("200 OK"), "/reset": send_then_reset(b"")}) as server, checking() as engine:
            await engine.probe(ask(server.url()))
            before = open_descriptors()
            for path in ("/", "/reset", "/missing"):
                await asyncio.gather(*[engine.probe(ask(server.url(path))) for _ in range(50)])
            async with asyncio.timeout(5):
                while open_descriptors() > before:  # noqa: ASYNC110  (the server's side closes in its own time)
                    await asyncio.sleep(0.01)

    run(test)


# --- what answers badly --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param(hang, Reason.TIMEOUT, id="never answers"),
        pytest.param(send_then_hang(b"HTTP/1.1 200 OK\r\nServer: x"), Reason.TIMEOUT, id="stops within the headers"),
        pytest.param(
            send_then_hang(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), Reason.TIMEOUT, id="stops within the body"
        ),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000, 0.05), Reason.TIMEOUT, id="drips headers"),
        pytest.param(b"", Reason.EMPTY_REPLY, id="closes without a byte"),
        pytest.param(send_then_reset(b""), Reason.CONNECTION_RESET, id="resets before the headers"),
        pytest.param(
            send_then_reset(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc"), Reason.CONNECTION_RESET, id="resets in the body"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Reason.PROTOCOL_ERROR, id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nServer: x\r\n", Reason.PROTOCOL_ERROR, id="half the headers"),
        pytest.param(b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", Reason.PROTOCOL_ERROR, id="four digits"),
        pytest.param(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", Reason.PROTOCOL_ERROR, id="two digits"),
        pytest.param(b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n", Reason.PROTOCOL_ERROR, id="no digits"),
        pytest.param(b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", Reason.PROTOCOL_ERROR, id="status zero"),
        pytest.param(b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n", Reason.PROTOCOL_ERROR, id="unknown version"),
        pytest.param(b"220 mail.example.com ESMTP\r\n", Reason.PROTOCOL_ERROR, id="another protocol"),
        pytest.param(b"\x00\xff\xfe" * 100, Reason.PROTOCOL_ERROR, id="noise"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Reason.PROTOCOL_ERROR, id="negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n", Reason.PROTOCOL_ERROR, id="bad chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Reason.PROTOCOL_ERROR, id="half a chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000 + b"\r\n\r\n", Reason.PROTOCOL_ERROR, id="a huge header"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyyyy\r\n" * 50_000 + b"\r\n", Reason.PROTOCOL_ERROR, id="many headers"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000, Reason.PROTOCOL_ERROR, id="interim answers for ever"),
    ],
)
def test_what_is_no_answer_is_down_with_its_reason(script: bytes | Script, reason: Reason) -> None:
    result, _ = check_one(script, timeout_ms=1000)
    assert (result.outcome, result.reason) == (Outcome.DOWN, reason)
    assert result.detail
    assert result.detail.isprintable()
    assert result.total_us is not None
    assert result.total_us < 2_000_000


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
            result = await engine.probe(ask("ftp://example.com/"))
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
            assert result.detail
            assert server.requests == []
            unverified = await engine.probe(ask(url, verify_tls=False))
            assert (unverified.outcome, unverified.status_code) == (Outcome.UP, 200)
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


# --- the engine ----------------------------------------------------------------------------------------------------------------


def test_closing_ends_what_is_in_flight_as_our_doing() -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {"/": hang}
        async with (
            serving(scripts) as server,
            naming({}, otherwise=Zone(silent=True)) as names,
            checking(names=names) as engine,
        ):
            connecting = asyncio.create_task(engine.probe(ask(server.url(), timeout_ms=30_000)))
            resolving = asyncio.create_task(engine.probe(ask("http://slow.test/", timeout_ms=30_000)))
            await names.was_asked.wait()
            await server.was_asked.wait()
            await engine.close()
            late = await engine.probe(ask(server.url()))
            for result in (await connecting, await resolving, late):
                assert (result.outcome, result.reason) == (Outcome.UNKNOWN, Reason.SHUTTING_DOWN)

    run(test)


def test_a_cancelled_check_lets_go_of_its_connection() -> None:
    async def test() -> None:
        gone = asyncio.Event()

        async def watch(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()
            gone.set()

        async with serving({"/": watch, "/ok": answer("200 OK")}) as server, checking() as engine:
            task = asyncio.create_task(engine.probe(ask(server.url(), timeout_ms=30_000)))
            await server.was_asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(5):
                await gone.wait()
            assert len(engine._transfers) == 0
            assert (await engine.probe(ask(server.url("/ok")))).outcome is Outcome.UP

    run(test)


def test_slow_targets_do_not_hold_up_the_others() -> None:
    async def test() -> None:
        async with serving({"/": hang, "/ok": answer("200 OK")}) as server, checking() as engine:
            slow = [asyncio.create_task(engine.probe(ask(server.url(), timeout_ms=4000))) for _ in range(150)]
            await asyncio.sleep(0)
            quick = await asyncio.gather(*[engine.probe(ask(server.url("/ok"), timeout_ms=4000)) for _ in range(300)])
            assert {result.outcome for result in quick} == {Outcome.UP}
            assert not any(task.done() for task in slow)
            assert {(await task).reason for task in slow} == {Reason.TIMEOUT}

    run(test)


def test_the_loop_s_own_watchers_serve_where_there_is_no_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("select.epoll")

    async def test() -> None:
        async with serving({"/": answer("200 OK"), "/slow": hang}) as server, checking() as engine:
            assert type(engine._transfers._watch).__name__ == "LoopWatch"
            results = await asyncio.gather(*[engine.probe(ask(server.url())) for _ in range(20)])
            assert {result.outcome for result in results} == {Outcome.UP}
            assert (await engine.probe(ask(server.url("/slow"), timeout_ms=200))).reason is Reason.TIMEOUT

    run(test)


def test_transfers_that_are_closed_take_no_more() -> None:
    async def test() -> None:
        transfers = Transfers(asyncio.get_running_loop())
        transfers.close()
        assert len(transfers) == 0

    run(test)


# --- parity --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/ok", "/chunked", "/until-close", "/chain", "/missing", "/no-content", "/early-hints", "/lf-only"]
)
def test_a_check_agrees_with_httpx(path: str) -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {
            "/ok": answer("200 OK", b"hello"),
            "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "/until-close": b"HTTP/1.0 200 OK\r\n\r\nhello",
            "/chain": redirect("/chain2", "301 x"),
            "/chain2": redirect("ok", "303 x"),
            "/missing": answer("404 Not Found", b"nothing"),
            "/no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
            "/early-hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer("200 OK"),
            "/lf-only": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        }
        async with serving(scripts) as server, checking() as engine, httpx.AsyncClient(follow_redirects=True) as client:
            result = await engine.probe(ask(server.url(path)))
            expected = await client.get(server.url(path))
            assert result.status_code == expected.status_code
            assert (result.outcome is Outcome.UP) == expected.is_success
            assert result.redirects == tuple(str(step.url) for step in [*expected.history, expected][1:])

    run(test)
