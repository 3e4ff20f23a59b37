"""The process that `uptimemonitor up` detaches: takes the home's lock, clears up after a killed predecessor, runs the supervisor."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping

from core.env import Env, SettingError
from core.local import box, home, ports, secrets, stale, state
from core.local.box import Box
from core.local.home import UNFINISHED, Home, HomeUnusable
from core.local.lock import AlreadyRunning, BoxLock
from core.local.ports import PortTaken
from core.local.postgres import PostgresUnavailable
from core.local.secrets import BoxSecrets, SecretsLost
from core.local.settings import BoxSettings
from core.local.state import BoxState, Phase
from core.local.supervisor import Supervisor

EXIT_FAILED = 1
EXIT_ALREADY_RUNNING = 75
PROBLEMS = (AlreadyRunning, HomeUnusable, PortTaken, PostgresUnavailable, SecretsLost, SettingError)
"""What a user can do something about: told in one sentence, without a traceback."""


def main() -> None:
    """Entry point of `python -m core.local.supervise`."""
    settings = BoxSettings.from_env(Env(os.environ))
    place = home.prepare(settings.home)
    try:
        held = BoxLock.take(place.run)
    except AlreadyRunning:
        sys.exit(EXIT_ALREADY_RUNNING)
    try:
        supervisor = _make(settings, place, os.environ)
    except PROBLEMS as problem:
        _tell_failure(place, str(problem))
        sys.exit(EXIT_FAILED)
    ended_well = asyncio.run(supervisor.run())
    held.release()
    sys.exit(0 if ended_well else EXIT_FAILED)


def secrets_for(place: Home, settings: BoxSettings) -> BoxSecrets:
    """The box's secrets; made now if it has neither secrets nor data.

    Raises:
        SecretsLost: there is data, but what it was encrypted with is gone.
    """
    stored = secrets.load(place.root)
    if stored:
        return stored
    if (place.data / UNFINISHED).exists():
        raise SecretsLost("a restore did not come to its end: run it again (`uptimemonitor restore FILE`)")
    if place.has_data() and settings.database_url is None:
        raise SecretsLost(
            f"{place.data} holds data, but {place.root / secrets.FILE} is missing: put it back, "
            "or wipe and restore a backup (`uptimemonitor restore FILE`)"
        )
    return secrets.create(place.root)


def _make(settings: BoxSettings, place: Home, environ: Mapping[str, str]) -> Supervisor:
    box_secrets = secrets_for(place, settings)
    described = box.open_box(settings, box_secrets, place)
    clear_the_way(described)
    return Supervisor(box.specs(described, environ), place.run, place.logs)


def clear_the_way(described: Box, only: str | None = None) -> None:
    """End what a killed supervisor left, and check that our ports (or those of one process) are free. Call under the lock.

    Raises:
        PortTaken: somebody else has one of them.
    """
    for process in stale.reap(described.home.run, described.secrets.box_id):
        sys.stdout.write(f"ended a process that an earlier supervisor had left: {process}\n")
    wanted = [port for port in box.wanted_ports(described) if only in {None, port.process}]
    ports.require_free(described.settings.ports.base, wanted)


def _tell_failure(place: Home, message: str) -> None:
    sys.stdout.write(f"{message}\n")
    state.write(place.run, BoxState(pid=os.getpid(), started_at=time.time(), phase=Phase.FAILED, message=message))


if __name__ == "__main__":
    main()
