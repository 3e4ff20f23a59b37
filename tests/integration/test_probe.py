"""Checks of targets that answer, redirects, what is recorded, and what the engine does with many at once."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.adapters.probe_transfers import Transfers
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import Hop, parse_accepted_status
from tests.hostile import (
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
from tests.probing import ask, check_one, checking, run

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


@pytest.mark.parametrize(
    ("served", "version", "body_bytes"),
    [
        (answer("200 OK", b"hello"), "1.1", 5),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "1.0", 5),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "1.1", 5),
        (answer("500 Oops"), "1.1", 0),
        (b"220 mail.example.com ESMTP\r\n", None, 0),
        (hang, None, 0),
    ],
)
def test_the_version_of_http_and_the_size_of_the_body_are_recorded(
    served: bytes | Script, version: str | None, body_bytes: int
) -> None:
    result, _ = check_one(served, timeout_ms=300)
    assert (result.http_version, result.body_bytes) == (version, body_bytes)


def test_only_what_was_read_of_a_body_is_counted() -> None:
    result, _ = check_one(answer("200 OK", b"x" * 1_000_000))
    assert 16 * 1024 <= result.body_bytes < 200_000


def test_what_a_redirect_had_is_not_taken_for_the_answer() -> None:
    async def test() -> None:
        async with serving({"/": redirect("/next"), "/next": hang}) as server, checking() as engine:
            result = await engine.probe(ask(server.url(), timeout_ms=300))
            assert (result.reason, result.status_code, result.http_version) == (Reason.TIMEOUT, None, None)
            assert result.hops == (Hop(server.url(), "127.0.0.1", 302),)

    run(test)


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
