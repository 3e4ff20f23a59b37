import asyncio
from collections.abc import Awaitable, Callable
from copy import replace
from pathlib import Path

import pytest
import uvloop

from core.adapters.hosts_file import HostsFile
from core.adapters.name_queue import MOST_FRESH
from core.adapters.resolver import LONGEST_TTL_S, Resolution, Resolver
from core.domain.outcomes import Reason
from tests.hostile import NameServer, Zone, naming

A, AAAA, NS = 1, 28, 2


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    uvloop.run(limited())


def resolver_of(server: NameServer, tmp_path: Path, **options: int) -> Resolver:
    return Resolver([server.address], hosts=HostsFile(tmp_path / "hosts"), **options)


def end(resolver: Resolver, host: str) -> None:
    """Let the time to live of a name be over, also for what c-ares keeps."""
    assert resolver._channel is not None
    resolver._channel._opened_at -= 61
    resolver._memory._kept[host] = replace(resolver._memory._kept[host], good_until=0.0)


def test_addresses_of_both_families_are_found(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"a.test": Zone(("192.0.2.1", "192.0.2.2", "2001:db8::1"))}) as server:
            resolver = resolver_of(server, tmp_path)
            assert await resolver.resolve("a.test", 5) == Resolution(("192.0.2.1", "192.0.2.2", "2001:db8::1"))
            await resolver.close()

    run(test)


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        (Zone(rcode=3), Reason.DNS_NXDOMAIN),
        (Zone(rcode=0), Reason.DNS_NO_DATA),
        (Zone(rcode=2), Reason.DNS_FAILURE),
        (Zone(rcode=5), Reason.RESOLVER_FAILURE),
    ],
)
def test_failures_are_told_apart(zone: Zone, reason: Reason, tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"bad.test": zone}) as server:
            resolver = resolver_of(server, tmp_path)
            resolution = await resolver.resolve("bad.test", 10)
            assert (resolution.addresses, resolution.reason) == ((), reason)
            assert resolution.detail
            await resolver.close()

    run(test)


def test_silence_about_one_name_is_that_name_s_trouble(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"mute.test": Zone(silent=True)}) as server:
            resolver = resolver_of(server, tmp_path)
            assert (await resolver.resolve("mute.test", 10)).reason is Reason.DNS_FAILURE
            assert ("", NS) in server.asked
            await resolver.close()

    run(test)


def test_name_servers_that_answer_nothing_are_our_trouble(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({}, otherwise=Zone(silent=True)) as server:
            resolver = resolver_of(server, tmp_path)
            assert (await resolver.resolve("a.test", 10)).reason is Reason.RESOLVER_FAILURE
            await resolver.close()

    run(test)


def test_a_name_server_that_is_not_there_is_our_trouble(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({}) as server:
            resolver = resolver_of(server, tmp_path)
        assert (await resolver.resolve("a.test", 10)).reason is Reason.RESOLVER_FAILURE
        await resolver.close()

    run(test)


def test_the_caller_s_time_is_kept_and_the_question_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"slow.test": Zone(silent=True)}) as server:
            resolver = resolver_of(server, tmp_path)
            began = asyncio.get_running_loop().time()
            hurried = await resolver.resolve("slow.test", 0.2)
            assert asyncio.get_running_loop().time() - began < 1.0
            assert hurried.reason is Reason.DNS_FAILURE
            server.zones["slow.test"] = Zone(("192.0.2.9",))
            assert (await resolver.resolve("slow.test", 10)).addresses == ("192.0.2.9",)
            await resolver.close()

    run(test)


def test_a_server_that_never_answers_for_ipv6_does_not_hold_up_ipv4(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"half.test": Zone(("192.0.2.1",), silent_for_v6=True)}) as server:
            resolver = resolver_of(server, tmp_path)
            assert (await resolver.resolve("half.test", 1.0)).addresses == ("192.0.2.1",)
            await resolver.close()

    run(test)


def test_many_who_ask_at_once_ask_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"a.test": Zone(("192.0.2.1",))}) as server:
            resolver = resolver_of(server, tmp_path)
            found = await asyncio.gather(*[resolver.resolve("a.test", 5) for _ in range(200)])
            assert {resolution.addresses for resolution in found} == {("192.0.2.1",)}
            assert sorted(server.asked) == [("a.test", A), ("a.test", AAAA)]
            await resolver.close()

    run(test)


def test_one_impatient_caller_does_not_end_the_question_of_others(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"a.test": Zone(("192.0.2.1",), silent_for_v6=True)}) as server:
            resolver = resolver_of(server, tmp_path)
            first = asyncio.create_task(resolver.resolve("a.test", 5))
            second = asyncio.create_task(resolver.resolve("a.test", 5))
            await asyncio.sleep(0.05)
            first.cancel()
            assert (await second).addresses == ("192.0.2.1",)
            await resolver.close()

    run(test)


@pytest.mark.parametrize(("ttl", "good_s", "over_s"), [(60, 59, 61), (0, 4, 6), (86_400, LONGEST_TTL_S - 1, LONGEST_TTL_S + 1)])
def test_the_time_to_live_is_honoured_within_bounds(ttl: int, good_s: float, over_s: float, tmp_path: Path) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        async with naming({"a.test": Zone(("192.0.2.1",), ttl=ttl)}) as server:
            resolver = resolver_of(server, tmp_path)
            await resolver.resolve("a.test", 5)
            assert good_s < resolver._memory._kept["a.test"].good_until - loop.time() < over_s
            await resolver.close()

    run(test)


def test_an_answer_is_asked_for_again_when_its_time_is_over_whatever_c_ares_kept(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"a.test": Zone(("192.0.2.1",), ttl=86_400)}) as server:
            resolver = resolver_of(server, tmp_path)
            await resolver.resolve("a.test", 5)
            server.zones["a.test"] = Zone(("192.0.2.2",))
            assert (await resolver.resolve("a.test", 5)).addresses == ("192.0.2.1",)
            end(resolver, "a.test")
            assert (await resolver.resolve("a.test", 5)).addresses == ("192.0.2.2",)
            await resolver.close()

    run(test)


def test_a_channel_ends_after_so_many_questions_and_those_open_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.adapters.resolver.CHANNEL_QUESTIONS", 4)

    async def test() -> None:
        async with naming({}, otherwise=Zone(("192.0.2.1",))) as server:
            resolver = resolver_of(server, tmp_path)
            asking = [asyncio.create_task(resolver.resolve(f"n{number}.test", 5)) for number in range(2)]
            await asyncio.sleep(0)
            first = resolver._channel
            asking += [asyncio.create_task(resolver.resolve(f"n{number}.test", 5)) for number in range(2, 4)]
            await asyncio.sleep(0)
            assert resolver._channel is not first
            assert {found.addresses for found in await asyncio.gather(*asking)} == {("192.0.2.1",)}
            await resolver.close()

    run(test)


def test_a_name_without_ipv6_is_not_asked_for_it_each_time_but_never_given_up_for_that(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"a.test": Zone(("192.0.2.1",))}) as server:
            resolver = resolver_of(server, tmp_path)
            await resolver.resolve("a.test", 5)
            for _ in range(2):
                end(resolver, "a.test")
                assert (await resolver.resolve("a.test", 5)).addresses == ("192.0.2.1",)
            assert sorted(server.asked) == [("a.test", A)] * 3 + [("a.test", AAAA)]
            server.zones["a.test"] = Zone(("2001:db8::1",))
            end(resolver, "a.test")
            assert (await resolver.resolve("a.test", 5)).addresses == ("2001:db8::1",)
            await resolver.close()

    run(test)


def test_a_name_whose_servers_failed_for_ipv6_is_asked_for_it_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"a.test": Zone(("192.0.2.1",), silent_for_v6=True)}) as server:
            resolver = resolver_of(server, tmp_path)
            await resolver.resolve("a.test", 5)
            server.zones["a.test"] = Zone(("192.0.2.1", "2001:db8::1"))
            end(resolver, "a.test")
            assert (await resolver.resolve("a.test", 5)).addresses == ("192.0.2.1", "2001:db8::1")
            await resolver.close()

    run(test)


def test_a_burst_of_names_never_drowns_its_own_answers(tmp_path: Path) -> None:
    """Without a queue the answers for 1,000 names at once would not fit into the buffer of one socket."""

    async def test() -> None:
        async with naming({}, otherwise=Zone(("192.0.2.1",))) as server:
            resolver = resolver_of(server, tmp_path)
            found = await asyncio.gather(*[resolver.resolve(f"n{number}.test", 60) for number in range(1000)])
            assert {resolution.addresses for resolution in found} == {("192.0.2.1",)}
            await resolver.close()

    run(test)


def test_dead_names_make_room_for_a_healthy_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({"well.test": Zone(("192.0.2.1",))}, otherwise=Zone(silent=True)) as server:
            resolver = resolver_of(server, tmp_path)
            dead = [asyncio.create_task(resolver.resolve(f"dead{number}.test", 10)) for number in range(500)]
            await asyncio.sleep(0)
            assert (await resolver.resolve("well.test", 10)).addresses == ("192.0.2.1",)
            assert not any(task.done() for task in dead)
            await resolver.close()
            assert {(await task).reason for task in dead} == {Reason.SHUTTING_DOWN}

    run(test)


def test_a_name_that_never_had_its_turn_is_our_overload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.adapters.name_queue.QUIET_S", 60.0)
    monkeypatch.setattr("core.adapters.name_queue.SLOW_S", 60.0)

    async def test() -> None:
        async with naming({}, otherwise=Zone(silent=True)) as server:
            resolver = resolver_of(server, tmp_path)
            dead = [asyncio.create_task(resolver.resolve(f"dead{number}.test", 10)) for number in range(MOST_FRESH)]
            await asyncio.sleep(0)
            assert (await resolver.resolve("late.test", 0.05)).reason is Reason.OVERLOADED
            await resolver.close()
            await asyncio.gather(*dead)

    run(test)


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({}, otherwise=Zone(("192.0.2.1",))) as server:
            resolver = resolver_of(server, tmp_path, cache_limit=10)
            for number in range(25):
                await resolver.resolve(f"n{number}.test", 5)
            assert list(resolver._memory._kept) == [f"n{number}.test" for number in range(15, 25)]
            await resolver.close()

    run(test)


def test_addresses_and_the_hosts_file_need_no_name_server(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "hosts").write_text("# comment\n192.0.2.7 Printer.lan printer # mine\n2001:db8::7 printer\nbroken line\n")
        async with naming({}) as server:
            resolver = resolver_of(server, tmp_path)
            assert resolver.known("203.0.113.9") == Resolution(("203.0.113.9",))
            assert resolver.known("2001:db8::9") == Resolution(("2001:db8::9",))
            assert resolver.known("printer.lan") == Resolution(("192.0.2.7",))
            assert resolver.known("printer") == Resolution(("192.0.2.7", "2001:db8::7"))
            assert resolver.known("localhost") == Resolution(("127.0.0.1", "::1"))
            assert resolver.known("app.localhost") == Resolution(("127.0.0.1", "::1"))
            assert resolver.known("elsewhere.test") is None
            assert server.asked == []
            await resolver.close()

    run(test)


def test_a_changed_hosts_file_is_read_again(tmp_path: Path) -> None:
    hosts = HostsFile(tmp_path / "hosts")
    assert hosts.addresses("a.test") == ()
    (tmp_path / "hosts").write_text("192.0.2.1 a.test\n")
    assert hosts.addresses("a.test") == ()
    hosts._looked_at -= 6
    assert hosts.addresses("a.test") == ("192.0.2.1",)
    (tmp_path / "hosts").unlink()
    hosts._looked_at -= 6
    assert hosts.addresses("a.test") == ()


def test_closing_ends_open_questions_as_our_doing(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({}, otherwise=Zone(silent=True)) as server:
            resolver = resolver_of(server, tmp_path)
            waiting = asyncio.create_task(resolver.resolve("a.test", 10))
            await server.was_asked.wait()
            await resolver.close()
            assert (await waiting).reason is Reason.SHUTTING_DOWN
            assert (await resolver.resolve("b.test", 10)).reason is Reason.SHUTTING_DOWN

    run(test)


def test_a_name_that_dns_cannot_carry_does_not_exist(tmp_path: Path) -> None:
    async def test() -> None:
        async with naming({}) as server:
            resolver = resolver_of(server, tmp_path)
            assert (await resolver.resolve("a" * 64 + ".test", 5)).reason is Reason.DNS_NXDOMAIN
            await resolver.close()

    run(test)
