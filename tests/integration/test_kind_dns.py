"""`dns://` checks against name servers of our own making."""

import asyncio
import socket
import struct
from typing import Any

import pytest

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import RequestOptions, parse_options
from tests.hostile import NameServer, Zone, naming, wire_name
from tests.probing import ask, checking, run

UP = (Outcome.UP, Reason.OK)
NS, MX, TXT, CNAME = 2, 15, 16, 5
SHOP = Zone(
    ("192.0.2.1", "192.0.2.2", "2001:db8::1"),
    records=(
        (NS, wire_name("NS1.example")),
        (NS, wire_name("ns2.example")),
        (MX, struct.pack("!H", 10) + wire_name("mail.example")),
        (TXT, b"\x0dv=spf1 mx -al\x01l"),
        (TXT, b"\x03a\x00b"),
    ),
)
ALIAS = Zone(("192.0.2.7",), records=((CNAME, wire_name("shop.test")),))
ZONES = {"shop.test": SHOP, "www.test": ALIAS, "bare.test": Zone(("192.0.2.1",)), "lame.test": Zone(rcode=2)}


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


def asking(record_type: str = "A", **members: Any) -> RequestOptions:
    return parse_options({"dns": {"record_type": record_type, **members}})


def check(name: str, options: RequestOptions | None = None, zones: dict[str, Zone] | None = None, **changes: Any) -> ProbeResult:
    """Ask the name servers that are ours."""
    results: list[ProbeResult] = []

    async def test() -> None:
        async with naming(ZONES if zones is None else zones) as names, checking(names=names) as engine:
            results.append(await engine.probe(ask(f"dns://{name}", options=options, **changes)))

    run(test)
    return results[0]


@pytest.mark.parametrize(
    ("record_type", "values"),
    [
        ("A", ["192.0.2.2", "192.0.2.1"]),
        ("AAAA", ["2001:DB8::1"]),
        ("NS", ["ns1.example.", "ns2.example"]),
        ("MX", ["10 mail.example"]),
        ("MX", ["Mail.Example."]),
        ("TXT", ["v=spf1 mx -all"]),
    ],
)
def test_each_type_of_record_is_compared(record_type: str, values: list[str]) -> None:
    match = "all" if record_type == "TXT" else "exactly"  # nobody can expect the NUL in the other one
    result = check("shop.test", asking(record_type, values=values, match=match))
    assert found(result) == UP, result.detail
    assert result.dns_us is not None
    assert result.dns_us <= (result.total_us or 0)
    assert (result.connect_us, result.tls_us, result.first_byte_us, result.address) == (None, None, None, None)


@pytest.mark.parametrize("record_type", ["A", "AAAA", "NS", "MX", "TXT"])
def test_other_records_are_down_and_told(record_type: str) -> None:
    other = {"A": "192.0.2.9", "AAAA": "2001:db8::9", "NS": "ns9.example", "MX": "20 mail.example", "TXT": "other"}[record_type]
    result = check("shop.test", asking(record_type, values=[other]))
    assert found(result) == (Outcome.DOWN, Reason.ASSERTION_DNS)
    assert other in result.detail
    assert "\x00" not in result.detail


def test_any_record_is_enough_where_nothing_is_expected() -> None:
    assert found(check("shop.test")) == UP
    assert found(check("shop.test", asking("MX"))) == UP


def test_an_alias_is_followed_for_addresses_and_told_for_itself() -> None:
    assert found(check("www.test", asking("CNAME", values=["shop.test"], match="exactly"))) == UP
    assert found(check("www.test", asking("A", values=["192.0.2.7"], match="exactly"))) == UP


@pytest.mark.parametrize(
    ("name", "record_type", "reason"),
    [
        ("none.test", "A", Reason.DNS_NXDOMAIN),
        ("bare.test", "MX", Reason.DNS_NO_DATA),
        ("bare.test", "AAAA", Reason.DNS_NO_DATA),
        ("www.test", "MX", Reason.DNS_NO_DATA),
        ("lame.test", "A", Reason.DNS_FAILURE),
    ],
)
def test_a_name_without_such_a_record_has_its_reason(name: str, record_type: str, reason: Reason) -> None:
    result = check(name, asking(record_type))
    assert found(result) == (Outcome.DOWN, reason)
    assert name in result.detail


def test_one_silent_name_is_its_own_trouble_and_silence_is_ours() -> None:
    zones = {"hush.test": Zone(silent=True), "": Zone(records=((NS, wire_name("a.root.example")),))}
    assert found(check("hush.test", zones=zones, timeout_ms=500)) == (Outcome.DOWN, Reason.DNS_FAILURE)

    async def test() -> None:
        async with naming({}, otherwise=Zone(silent=True)) as names, checking(names=names) as engine:
            result = await engine.probe(ask("dns://shop.test", timeout_ms=500))
            assert found(result) == (Outcome.UNKNOWN, Reason.RESOLVER_FAILURE)

    run(test)


def test_each_check_asks_anew() -> None:
    async def test() -> None:
        zones = {"shop.test": Zone(("192.0.2.1",), ttl=3600)}
        async with naming(zones) as names, checking(names=names) as engine:
            wanted = ask("dns://shop.test", options=asking(values=["192.0.2.1"]))
            assert found(await engine.probe(wanted)) == UP
            zones["shop.test"] = Zone(("192.0.2.9",))
            assert found(await engine.probe(wanted)) == (Outcome.DOWN, Reason.ASSERTION_DNS)
            assert names.asked == [("shop.test", 1)] * 2

    run(test)


def test_slow_is_degraded() -> None:
    async def test() -> None:
        async with naming(ZONES) as names, checking(names=names) as engine:
            at_once, loop = names.datagram_received, asyncio.get_running_loop()

            def late(data: bytes, addr: tuple[str, int]) -> None:
                loop.call_later(0.05, at_once, data, addr)

            names.datagram_received = late  # type: ignore[method-assign]  # this one takes its time
            options = parse_options({"degraded_after_ms": 1})
            assert found(await engine.probe(ask("dns://shop.test", options=options))) == (Outcome.UP, Reason.DEGRADED)

    run(test)


# --- a name server that the user names ---------------------------------------------------------------------------------------


def check_there(theirs: NameServer | str, name: str = "shop.test", ours: dict[str, Zone] | None = None, **changes: Any) -> Any:
    """Ask a name server, which our own need not know."""

    async def one() -> ProbeResult:
        server = theirs if isinstance(theirs, str) else theirs.address
        async with naming(ours or {}) as names, checking(names=names, **changes) as engine:
            result = await engine.probe(ask(f"dns://{name}", options=asking(server=server), timeout_ms=700))
            assert (name, 1) not in names.asked
            return result

    return one()


def test_a_named_server_is_asked_instead_of_ours() -> None:
    async def test() -> None:
        async with naming({"shop.test": SHOP}) as theirs:
            result = await check_there(theirs)
            assert found(result) == UP
            assert result.address == "127.0.0.1"
            port = theirs.address.rpartition(":")[2]
            by_name = await check_there(f"ns.test:{port}", ours={"ns.test": Zone(("127.0.0.1",))})
            assert found(by_name) == UP
            assert theirs.asked == [("shop.test", 1)] * 2

    run(test)


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        (Zone(silent=True), Reason.DNS_FAILURE),
        (Zone(rcode=5), Reason.DNS_FAILURE),
        (Zone(rcode=2), Reason.DNS_FAILURE),
        (Zone(rcode=4), Reason.DNS_FAILURE),
        (Zone(rcode=1), Reason.DNS_FAILURE),
        (Zone(rcode=3), Reason.DNS_NXDOMAIN),
        (Zone(), Reason.DNS_NO_DATA),
    ],
)
def test_a_named_server_that_does_not_tell_is_what_the_check_is_about(zone: Zone, reason: Reason) -> None:
    async def test() -> None:
        async with naming({"shop.test": zone}) as theirs:
            result = await check_there(theirs)
            assert found(result) == (Outcome.DOWN, reason)
            assert "127.0.0.1" in result.detail

    run(test)


def test_a_named_server_where_nobody_listens() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        server = f"127.0.0.1:{port}"
        assert found(await check_there(server)) == (Outcome.DOWN, Reason.DNS_FAILURE)
        lost = await check_there(server, has_route=lambda _: False)
        assert found(lost) == (Outcome.UNKNOWN, Reason.LOCAL_NETWORK)

    run(test)


def test_the_address_of_a_named_server_passes_the_filter() -> None:
    async def test() -> None:
        async with naming({"shop.test": SHOP}) as theirs:
            port = theirs.address.rpartition(":")[2]
            for server in (theirs.address, f"ns.test:{port}", f"[::ffff:127.0.0.1]:{port}"):
                result = await check_there(server, ours={"ns.test": Zone(("127.0.0.1",))}, private_targets=False)
                assert found(result) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS), server
            assert theirs.asked == []

    run(test)


def test_a_named_server_whose_name_is_gone() -> None:
    async def test() -> None:
        result = await check_there("ns.gone.test")
        assert found(result) == (Outcome.DOWN, Reason.DNS_NXDOMAIN)
        assert "ns.gone.test" in result.detail

    run(test)


def test_closing_the_engine_ends_a_question_as_unknown() -> None:
    async def test() -> None:
        async with naming({}, otherwise=Zone(silent=True)) as names, checking(names=names) as engine:
            for options in (None, asking(server=names.address)):
                names.was_asked.clear()
                probing = asyncio.ensure_future(engine.probe(ask("dns://shop.test", options=options)))
                await names.was_asked.wait()
                if options is not None:
                    await engine.close()
                    assert found(await probing) == (Outcome.UNKNOWN, Reason.SHUTTING_DOWN)
                else:
                    probing.cancel()

    run(test)
