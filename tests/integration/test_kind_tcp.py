"""`tcp://` checks against real servers."""

import asyncio
import socket
from pathlib import Path

import pytest

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import RequestOptions, parse_options
from tests.hostile import Zone, answer, naming, serving
from tests.probing import ask, checking, run
from tests.talking import Guest, Talk, closing, hosting, resetting, saying, silent

UP = (Outcome.UP, Reason.OK)


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


def talk(expect: str, send: str = "", **members: object) -> RequestOptions:
    return parse_options({"tcp": {"send": send, "expect": expect}, **members})


def check(host: Talk, options: RequestOptions | None = None, timeout_ms: int = 3000) -> ProbeResult:
    results: list[ProbeResult] = []

    async def test() -> None:
        async with hosting(host) as server, checking() as engine:
            url = f"tcp://127.0.0.1:{server.port}"
            results.append(await engine.probe(ask(url, options=options, timeout_ms=timeout_ms)))

    run(test)
    return results[0]


def test_a_connection_is_enough_and_nothing_is_said() -> None:
    async def test() -> None:
        async with naming({"db.test": Zone(("127.0.0.1",))}) as names, hosting(silent) as server, checking(names=names) as engine:
            result = await engine.probe(ask(f"tcp://db.test:{server.port}"))
            assert found(result) == UP
            assert result.address == "127.0.0.1"
            assert None not in (result.dns_us, result.connect_us, result.total_us)
            assert (result.tls_us, result.first_byte_us, result.status_code) == (None, None, None)
            await server.left.wait()
            assert server.heard == []

    run(test)


def test_a_closed_port_is_refused() -> None:
    async def test() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            async with checking() as engine:
                result = await engine.probe(ask(f"tcp://127.0.0.1:{taken.getsockname()[1]}"))
        assert found(result) == (Outcome.DOWN, Reason.CONNECT_REFUSED)
        assert result.address == "127.0.0.1"
        assert "127.0.0.1" in result.detail
        assert ".invalid" not in result.detail, "the name by which libcurl knows it is ours alone"

    run(test)


def test_what_is_sent_is_answered() -> None:
    async def redis(guest: Guest) -> None:
        assert await guest.hear() == b"PING"
        await guest.say(b"+PO")
        await asyncio.sleep(0.02)  # two segments: the text is found across them
        await guest.say(b"NG")
        await guest.rest()

    result = check(redis, talk("+PO\r\nNG", "PING\r\n"))
    assert found(result) == UP
    assert result.first_byte_us is not None


def test_a_greeting_needs_no_question() -> None:
    assert found(check(saying(b"SSH-2.0-OpenSSH_9.9"), talk("SSH-2.0-"))) == UP


def test_a_hang_up_is_an_empty_answer() -> None:
    async def hear_and_go(guest: Guest) -> None:
        await guest.hear()

    for result in (check(hear_and_go, talk("PONG", "PING\r\n")), check(closing, talk("PONG"))):
        assert found(result) == (Outcome.DOWN, Reason.EMPTY_REPLY)
        assert "without an answer" in result.detail


@pytest.mark.parametrize(("host", "detail"), [(silent, "nothing"), (saying(b"-ERR \x00no"), "-ERR")])
def test_an_answer_that_does_not_come_is_a_timeout(host: Talk, detail: str) -> None:
    result = check(host, talk("PONG", "PING\r\n"), timeout_ms=400)
    assert found(result) == (Outcome.DOWN, Reason.TIMEOUT)
    assert detail in result.detail
    assert "\x00" not in result.detail


def test_another_answer_and_a_hang_up_is_a_missing_text() -> None:
    async def wrong(guest: Guest) -> None:
        await guest.hear()
        await guest.say(b"-NOAUTH")

    result = check(wrong, talk("PONG", "PING\r\n"))
    assert found(result) == (Outcome.DOWN, Reason.ASSERTION_KEYWORD)
    assert "-NOAUTH" in result.detail


def test_a_flood_is_searched_up_to_its_limit() -> None:
    async def flood(guest: Guest) -> None:
        while True:
            await guest.say(b"x" * 10_000)

    assert found(check(flood, talk("PONG"))) == (Outcome.DOWN, Reason.BODY_LIMIT)


def test_a_cut_connection_is_a_reset() -> None:
    async def cut(guest: Guest) -> None:
        await guest.hear()  # unread data would turn a close into a reset anyway
        connection = guest.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await resetting(guest)

    assert found(check(cut, talk("PONG", "PING\r\n"))) == (Outcome.DOWN, Reason.CONNECTION_RESET)


def test_slow_is_degraded() -> None:
    async def slow(guest: Guest) -> None:
        await asyncio.sleep(0.05)
        await guest.say(b"hello")
        await guest.rest()

    assert found(check(slow, talk("hello", degraded_after_ms=10))) == (Outcome.UP, Reason.DEGRADED)


def test_the_second_address_is_tried_when_the_first_is_dead() -> None:
    async def test() -> None:
        zones = {"two.test": Zone(("127.0.0.1", "::1"))}
        async with naming(zones) as names, hosting(saying(b"hi"), address="::1") as server, checking(names=names) as engine:
            result = await engine.probe(ask(f"tcp://two.test:{server.port}", options=talk("hi")))
            assert found(result) == UP
            assert result.address == "::1"

    run(test)


def test_names_that_fail_have_the_reasons_of_names() -> None:
    async def test() -> None:
        async with naming({"lame.test": Zone(rcode=2)}) as names, checking(names=names) as engine:
            assert found(await engine.probe(ask("tcp://none.test:80"))) == (Outcome.DOWN, Reason.DNS_NXDOMAIN)
            assert found(await engine.probe(ask("tcp://lame.test:80"))) == (Outcome.DOWN, Reason.DNS_FAILURE)

    run(test)


def test_refused_addresses_are_never_connected_to() -> None:
    async def test() -> None:
        zones = {"inside.test": Zone(("127.0.0.1",))}
        async with naming(zones) as names, hosting(silent) as server, checking(names=names, private_targets=False) as engine:
            for host in ("127.0.0.1", "inside.test", "[::ffff:127.0.0.1]"):
                result = await engine.probe(ask(f"tcp://{host}:{server.port}", options=talk("x", "attack\r\n")))
                assert found(result) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS), host
            assert server.heard == []

    run(test)


def test_the_address_is_judged_again_when_the_socket_opens() -> None:
    """Should a name ever get past the first judgement, the connection is still refused."""

    async def test() -> None:
        async with hosting(silent) as server, checking(private_targets=False) as engine:
            engine._filter.usable = list  # type: ignore[method-assign, assignment]  # the hole that is assumed
            result = await engine.probe(ask(f"tcp://127.0.0.1:{server.port}"))
            assert found(result) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)

    run(test)


def test_a_handle_that_only_connected_is_fit_for_http_again() -> None:
    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as web, hosting(silent) as server, checking() as engine:
            for _ in range(3):
                assert found(await engine.probe(ask(f"tcp://127.0.0.1:{server.port}"))) == UP
                assert found(await engine.probe(ask(web.url()))) == UP
            assert engine._pin_names.made == 1

    run(test)


def test_no_descriptor_is_left() -> None:
    async def test() -> None:
        async with hosting(saying(b"hi")) as server, checking() as engine:
            url = f"tcp://127.0.0.1:{server.port}"
            await asyncio.gather(*(engine.probe(ask(url, options=talk("hi"))) for _ in range(20)))
            for _ in range(20):
                await engine.probe(ask(url, options=talk("other"), timeout_ms=20))

    run(test)  # what every first run opens for good
    before = descriptors()
    run(test)
    assert descriptors() == before


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_closing_the_engine_ends_a_talk_as_unknown() -> None:
    async def test() -> None:
        async with hosting(silent) as server, checking() as engine:
            probing = asyncio.ensure_future(engine.probe(ask(f"tcp://127.0.0.1:{server.port}", options=talk("x", "hello\r\n"))))
            await server.was_told.wait()
            await engine.close()
            assert found(await probing) == (Outcome.UNKNOWN, Reason.SHUTTING_DOWN)

    run(test)
