"""Canaries against real servers on loopback."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from core.adapters.canary import NameCanary, open_canaries
from core.checker.settings import CheckerSettings
from core.env import Env, SettingError
from tests.hostile import Script, Zone, answer, naming, redirect, serving


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    uvloop.run(limited())


def test_a_url_is_well_while_it_answers_2xx() -> None:
    async def test() -> None:
        scripts: dict[str, bytes | Script] = {
            "/204": answer("204 No Content"),
            "/portal": redirect("/204"),
            "/500": answer("500 Oops"),
        }
        async with serving(scripts) as server:
            urls = [server.url("/204"), server.url("/portal"), server.url("/500"), "http://127.0.0.1:1/"]
            network, _, close = open_canaries([], urls=urls, names=[])
            assert [await canary.is_well() for canary in network] == [True, False, False, False]
            await close()

    run(test)


def test_an_address_is_well_while_it_accepts_connections() -> None:
    async def test() -> None:
        async with serving({"/": answer("200 OK")}) as server:
            port = server.url().split(":")[2].strip("/")
            network, _, close = open_canaries(
                [], urls=[f"tcp://127.0.0.1:{port}", "tcp://127.0.0.1:1", "tcp://nobody.invalid:80"], names=[]
            )
            assert [await canary.is_well() for canary in network] == [True, False, False]
            await close()

    run(test)


def test_a_name_is_well_only_while_the_name_server_answers_for_it_now() -> None:
    async def test() -> None:
        zones = {
            "well.test": Zone(("192.0.2.1",)),
            "none.test": Zone(rcode=3),
            "ill.test": Zone(rcode=2),
            "mute.test": Zone(silent=True),
        }
        async with naming(zones) as server:
            found = [
                await NameCanary([server.address], name).is_well() for name in ("well.test", "none.test", "ill.test", "mute.test")
            ]
            assert found == [True, False, False, False]
            zones["well.test"] = Zone(silent=True)
            assert not await NameCanary([server.address], "well.test").is_well()

    run(test)


def settings(**environ: str) -> CheckerSettings:
    needed = {"DATABASE_URL": "postgresql://u@127.0.0.1/d", "REDIS_URL": "redis://127.0.0.1/0"}
    return CheckerSettings.from_env(Env(needed | environ))


def test_canaries_are_a_list_or_none() -> None:
    assert len(settings().canary_urls) == len(settings().canary_names) == 2
    assert settings(CANARY_URLS="none", CANARY_NAMES="none").canary_urls == ()
    assert settings(CANARY_URLS="tcp://10.0.0.1:53, https://x.test/").canary_urls == ("tcp://10.0.0.1:53", "https://x.test/")


@pytest.mark.parametrize("urls", ["ftp://x.test/", "x.test", "tcp://x.test", "tcp://x.test:99999", "http://a.test/,none"])
def test_a_canary_that_could_never_answer_stops_the_start(urls: str) -> None:
    with pytest.raises(SettingError, match="CANARY_URLS"):
        settings(CANARY_URLS=urls)
