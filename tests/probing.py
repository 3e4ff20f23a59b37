"""The probe engine in tests: made for a test, asked on an event loop of its own, with deadlines."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from core.adapters.hosts_file import HostsFile
from core.adapters.probe import ProbeEngine
from core.adapters.resolver import Resolver
from core.domain.probes import ProbeRequest, ProbeResult, parse_accepted_status
from tests.hostile import HostileServer, NameServer, Script, serving


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test on the loop that workers use, for a minute at most."""

    async def limited() -> None:
        async with asyncio.timeout(60):
            await test()

    uvloop.run(limited())


def ask(url: str, **changes: object) -> ProbeRequest:
    """A plain GET of `url`; `changes` replace fields of the request."""
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
    """An engine that asks `names` (nobody without it) and is closed at the end."""
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
