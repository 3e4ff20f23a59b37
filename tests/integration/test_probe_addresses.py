"""Which addresses a check connects to: what the guard refuses, and what name servers say."""

import asyncio

import pytest

from core.domain.outcomes import Outcome, Reason
from tests.hostile import (
    Zone,
    answer,
    hang,
    naming,
    redirect,
    serving,
)
from tests.probing import ask, check_one, checking, run

# --- the guard -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0177.0.0.1",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "127。0。0。1",
        ),
        *("localhost", "LOCALHOST.", "loc%61lhost", "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54", "a.localhost"),
        *("10.0.0.1", "0", "169.254.169.254", "[::]", "[::1]", "[fe80::1]", "[fd00:ec2::254]"),
        *("[::ffff:127.0.0.1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::127.0.0.1]"),
        *("[2002:7f00:1::]", "[2001:0:808:808::80ff:fffe]", "[2001:0:7f00:1::f7f7:f7f7]", "[2a00::5efe:7f00:1]"),
    ],
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
            engine._resolver._memory._kept.clear()
            engine._resolver._channel._opened_at -= 61  # type: ignore[union-attr]  # it was just used
            assert (await engine.probe(ask(server.url(host="moving.test")))).address == "127.0.0.2"

    run(test)


def test_names_in_libcurls_cache_are_used_again_whatever_becomes_of_their_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves that cache: with a name for each handle that was ever made, checks would grow slower as long as a worker lives."""
    monkeypatch.setattr("core.adapters.probe.IDLE_HANDLES", 2)

    async def test() -> None:
        async with (
            serving({"/": answer("200 OK"), "/hang": hang}) as server,
            serving({"/": answer("200 OK")}) as other,
            checking() as engine,
        ):
            for _ in range(3):
                cancelled = [asyncio.create_task(engine.probe(ask(server.url("/hang")))) for _ in range(10)]
                found = await asyncio.gather(*[engine.probe(ask(target.url())) for target in (server, other) for _ in range(5)])
                assert {result.outcome for result in found} == {Outcome.UP}
                for task in cancelled:
                    task.cancel()
                await asyncio.wait(cancelled)
            assert engine._pin_names.made <= 20

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
