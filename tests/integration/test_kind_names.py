"""Checks other than HTTP whose names are resolved by a name server of their own choice."""

import pytest

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.domain.request_options import parse_options
from core.domain.schemes import SCHEMES
from tests.hostile import Zone, naming
from tests.probing import ask, checking, run
from tests.talking import closing, hosting, saying

CONNECTING = sorted(name for name, kind in SCHEMES.items() if not kind.is_http and name != "dns")


def found(result: ProbeResult) -> tuple[Outcome, Reason]:
    return result.outcome, result.reason


@pytest.mark.parametrize("scheme", CONNECTING)
def test_every_kind_asks_the_name_server_of_the_check_and_no_other(scheme: str) -> None:
    async def test() -> None:
        async with (
            hosting(closing) as server,
            naming({"split.test": Zone(("127.0.0.1",))}) as inside,
            naming({"split.test": Zone(("127.0.0.9",))}) as outside,
            checking(names=outside) as engine,
        ):
            wanted = parse_options({"name_server": inside.address})
            result = await engine.probe(ask(f"{scheme}://split.test:{server.port}", options=wanted))
            assert result.address == "127.0.0.1"
            await server.left.wait()
            assert ("split.test", 1) in inside.asked
            assert not outside.asked

    run(test)


def test_it_is_well_where_only_that_name_server_knows_the_name() -> None:
    async def test() -> None:
        async with (
            hosting(saying(b"+OK ready")) as server,
            naming({"split.test": Zone(("127.0.0.1",))}) as names,
            checking() as engine,
        ):
            wanted = parse_options({"name_server": names.address, "tcp": {"expect": "+OK"}})
            result = await engine.probe(ask(f"tcp://split.test:{server.port}", options=wanted))
            assert found(result) == (Outcome.UP, Reason.OK), result.detail
            assert result.dns_us is not None

    run(test)


def test_its_silence_is_not_ours_and_its_address_passes_the_filter() -> None:
    async def test() -> None:
        async with naming({}, otherwise=Zone(silent=True)) as names:
            wanted = parse_options({"name_server": names.address})
            request = ask("tcp://split.test:5432", options=wanted, timeout_ms=300)
            async with checking() as engine:
                result = await engine.probe(request)
                assert found(result) == (Outcome.DOWN, Reason.DNS_FAILURE), result.detail
            names.asked.clear()
            async with checking(private_targets=False) as engine:
                assert found(await engine.probe(request)) == (Outcome.UNKNOWN, Reason.BLOCKED_ADDRESS)
            assert not names.asked

    run(test)
