"""Checks whose names are resolved by a name server of their own choice."""

import asyncio
import socket

import pytest

from core.adapters.own_name_servers import OwnNameServers
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import parse_options
from tests.hostile import Script, Zone, answer, naming, redirect, serving
from tests.probing import ask, checking, run

OK = answer("200 OK")


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


def test_the_name_server_of_the_check_is_asked_and_no_other() -> None:
    async def test() -> None:
        async with (
            serving({"/": OK}) as server,
            naming({"split.test": Zone(("127.0.0.1",))}) as inside,
            naming({"split.test": Zone(("127.0.0.9",))}) as outside,
            checking(names=outside) as engine,
        ):
            wanted = parse_options({"name_server": inside.address})
            for _ in range(2):
                result = await engine.probe(ask(server.url(host="split.test"), options=wanted))
                assert (found(result), result.address) == ((Outcome.UP, Reason.OK), "127.0.0.1")
                assert result.dns_us is not None
            assert len(inside.asked) == 2, "an A and an AAAA, and then its own cache"
            assert not outside.asked
            other = await engine.probe(ask(server.url(host="split.test")))
            assert (other.outcome, other.address) == (Outcome.DOWN, "127.0.0.9")

    run(test)


def test_it_is_asked_on_every_hop_and_never_about_addresses() -> None:
    async def test() -> None:
        zones = {name: Zone(("127.0.0.1",)) for name in ("one.test", "two.test")}
        scripts: dict[str, bytes | Script] = {"/": b"", "/end": OK}
        async with serving(scripts) as server, naming(zones) as names, checking() as engine:
            scripts["/"] = redirect(server.url("/end", host="two.test"))
            wanted = parse_options({"name_server": names.address})
            assert (await engine.probe(ask(server.url(host="one.test"), options=wanted))).outcome is Outcome.UP
            assert {name for name, _ in names.asked} == {"one.test", "two.test"}
            names.asked.clear()
            assert (await engine.probe(ask(server.url("/end"), options=wanted))).outcome is Outcome.UP
            assert not names.asked

    run(test)


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        (Zone(rcode=3), Reason.DNS_NXDOMAIN),
        (Zone(), Reason.DNS_NO_DATA),
        (Zone(rcode=2), Reason.DNS_FAILURE),
        (Zone(rcode=5), Reason.DNS_FAILURE),
        (Zone(silent=True), Reason.DNS_FAILURE),
    ],
)
def test_its_trouble_is_not_ours(zone: Zone, reason: Reason) -> None:
    async def test() -> None:
        async with naming({}, otherwise=zone) as names, checking() as engine:
            wanted = parse_options({"name_server": names.address})
            result = await engine.probe(ask("http://a.test/", options=wanted, timeout_ms=300))
            assert found(result) == (Outcome.DOWN, reason), result.detail
            assert "our" not in result.detail.split()

    run(test)


def test_a_name_server_that_is_not_there_is_not_our_trouble() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        async with checking() as engine:
            wanted = parse_options({"name_server": f"127.0.0.1:{port}"})
            result = await engine.probe(ask("http://a.test/", options=wanted, timeout_ms=2000))
            assert found(result) == (Outcome.DOWN, Reason.DNS_FAILURE)
            assert f"127.0.0.1:{port}" in result.detail

    run(test)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.253", "::ffff:10.0.0.1", "10.0.0.2:53", "[fd00:ec2::253]:53"]
)
def test_its_address_passes_the_filter(address: str) -> None:
    async def test() -> None:
        async with checking(private_targets=False) as engine:
            wanted = parse_options({"name_server": address})
            result = await engine.probe(ask("http://a.test/", options=wanted))
            assert found(result) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)
            assert result.detail.startswith("the name server ")

    run(test)


def test_what_it_says_passes_the_filter() -> None:
    async def test() -> None:
        async with naming({"evil.test": Zone(("169.254.169.254",))}) as names, checking() as engine:
            wanted = parse_options({"name_server": names.address})
            result = await engine.probe(ask("http://evil.test/", options=wanted))
            assert found(result) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)

    run(test)


def test_no_way_to_it_is_our_trouble() -> None:
    async def test() -> None:
        async with checking(has_route=lambda _: False) as engine:
            wanted = parse_options({"name_server": "2620:fe::fe"})
            result = await engine.probe(ask("http://a.test/", options=wanted))
            assert found(result) == (Outcome.UNKNOWN, Reason.LOCAL_NETWORK)

    run(test)


def test_closing_ends_its_questions_too() -> None:
    async def test() -> None:
        async with naming({}, otherwise=Zone(silent=True)) as names, checking() as engine:
            wanted = parse_options({"name_server": names.address})
            asking = asyncio.create_task(engine.probe(ask("http://a.test/", options=wanted, timeout_ms=30_000)))
            await names.was_asked.wait()
            await engine.close()
            assert found(await asking) == (Outcome.UNKNOWN, Reason.SHUTTING_DOWN)

    run(test)


def test_few_resolvers_are_kept_and_none_that_is_asked_is_let_go() -> None:
    async def test() -> None:
        async with naming({}, otherwise=Zone(silent=True)) as silent, naming({"a.test": Zone(("1.1.1.1",))}) as names:
            servers = OwnNameServers(most=2)
            waiting = asyncio.create_task(servers.resolve(silent.address, "a.test", 0.5))
            await silent.was_asked.wait()
            host, _, _ = names.address.rpartition(":")
            for _ in range(3):
                assert (await servers.resolve(names.address, "a.test", 5)).addresses == ("1.1.1.1",)
                await servers.resolve(f"{host}:1", "a.test", 0.1)
                await servers.resolve(f"{host}:2", "a.test", 0.1)
            assert len(servers) == 2
            assert (await waiting).reason is Reason.DNS_FAILURE
            await servers.close()
            assert (await servers.resolve(names.address, "a.test", 5)).reason is Reason.SHUTTING_DOWN
            assert len(servers) == 0

    run(test)
