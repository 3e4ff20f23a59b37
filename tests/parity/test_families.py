"""Several addresses of one name: dead ones, refusing ones, and both versions of IP."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from core.domain.outcomes import Outcome, Reason
from tests.hostile import Zone, answer, naming, serving
from tests.probing import ask, checking, run

OK: Final = answer("200 OK", b"all is well")


def _has_v6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_v6 = pytest.mark.skipif(not _has_v6(), reason="this machine has no ::1")


@contextmanager
def dead(address: str, port: int = 0) -> Iterator[int]:
    """An address and port whose packets are dropped: its queue of connections is full. Yields the port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as full:
        full.bind((address, port))
        full.listen(0)
        waiting = [socket.socket(family) for _ in range(8)]
        for queued in waiting:
            queued.setblocking(False)
            queued.connect_ex(full.getsockname())
        try:
            yield full.getsockname()[1]
        finally:
            for queued in waiting:
                queued.close()


@needs_v6
def test_a_target_with_ipv6_alone_is_reached() -> None:
    async def test() -> None:
        async with (
            serving({"/": OK}, host="::1") as server,
            naming({"six.test": Zone(("::1",))}) as names,
            checking(names=names) as engine,
        ):
            by_name = await engine.probe(ask(server.url(host="six.test")))
            by_address = await engine.probe(ask(server.url(host="[::1]")))
            assert {(each.outcome, each.address) for each in (by_name, by_address)} == {(Outcome.UP, "::1")}
            assert f"Host: [::1]:{server.port}\r\n" in server.requests[1]

    run(test)


@needs_v6
@pytest.mark.parametrize(("alive", "silent"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_a_dead_version_of_ip_costs_a_moment_only(alive: str, silent: str) -> None:
    async def test() -> None:
        async with (
            serving({"/": OK}, host=alive) as server,
            naming({"two.test": Zone((alive, silent))}) as names,
            checking(names=names) as engine,
        ):
            with dead(silent, server.port):
                result = await engine.probe(ask(server.url(host="two.test"), timeout_ms=5000))
        assert (result.outcome, result.reason, result.address) == (Outcome.UP, Reason.OK, alive)

    run(test)


@needs_v6
@pytest.mark.parametrize(("alive", "refusing"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_a_version_of_ip_that_refuses_is_passed_over(alive: str, refusing: str) -> None:
    async def test() -> None:
        async with (
            serving({"/": OK}, host=alive) as server,
            naming({"two.test": Zone((alive, refusing))}) as names,
            checking(names=names) as engine,
        ):
            result = await engine.probe(ask(server.url(host="two.test")))
        assert (result.outcome, result.address) == (Outcome.UP, alive)

    run(test)


@pytest.mark.parametrize("addresses", [("127.0.0.2", "127.0.0.1"), ("127.0.0.2", "127.0.0.3", "127.0.0.1")])
def test_the_next_address_is_tried_where_one_refuses(addresses: tuple[str, ...]) -> None:
    async def test() -> None:
        async with (
            serving({"/": OK}) as server,
            naming({"many.test": Zone(addresses)}) as names,
            checking(names=names) as engine,
        ):
            result = await engine.probe(ask(server.url(host="many.test")))
        assert (result.outcome, result.address) == (Outcome.UP, "127.0.0.1")

    run(test)


def test_the_next_address_is_tried_where_one_is_silent() -> None:
    async def test() -> None:
        async with (
            serving({"/": OK}) as server,
            naming({"many.test": Zone(("127.0.0.2", "127.0.0.1"))}) as names,
            checking(names=names) as engine,
        ):
            with dead("127.0.0.2", server.port):
                result = await engine.probe(ask(server.url(host="many.test"), timeout_ms=5000))
        assert (result.outcome, result.address) == (Outcome.UP, "127.0.0.1")

    run(test)


@needs_v6
def test_where_every_address_refuses_the_target_refuses() -> None:
    async def test() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            async with naming({"two.test": Zone(("127.0.0.1", "::1"))}) as names, checking(names=names) as engine:
                result = await engine.probe(ask(f"http://two.test:{port}/"))
        assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.CONNECT_REFUSED)

    run(test)


@needs_v6
def test_where_every_address_is_silent_connecting_times_out() -> None:
    async def test() -> None:
        with dead("127.0.0.1") as port, dead("::1", port):
            async with naming({"two.test": Zone(("127.0.0.1", "::1"))}) as names, checking(names=names) as engine:
                result = await engine.probe(ask(f"http://two.test:{port}/", timeout_ms=700))
        assert (result.outcome, result.reason) == (Outcome.DOWN, Reason.CONNECT_TIMEOUT)

    run(test)


@needs_v6
def test_what_answers_after_the_winner_is_not_heard() -> None:
    """One request only, however many addresses are tried."""

    async def test() -> None:
        async with (
            serving({"/": OK}, host="127.0.0.1") as four,
            serving({"/": OK}, host="::1", port=four.port) as six,
            naming({"two.test": Zone(("127.0.0.1", "::1"))}) as names,
            checking(names=names) as engine,
        ):
            results = await asyncio.gather(*[engine.probe(ask(four.url(host="two.test"))) for _ in range(20)])
            assert {result.outcome for result in results} == {Outcome.UP}
            assert len(four.requests) + len(six.requests) == 20

    run(test)
