"""Boxes for tests: ports of their own, a home of their own, and the command as users call it."""

import os
import random
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

PORTS_OF_A_BOX = 11
NOT_INHERITED = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PUBLIC_URL", "PING_URL", "DJANGO_SETTINGS_MODULE")
"""What tests.environment sets for tests in this process would lead a box elsewhere."""


def free_port_base() -> int:
    """The first of as many free ports in a row as a box takes, below the range that the kernel gives to clients."""
    candidates = list(range(20_000, 32_000, 20))
    random.shuffle(candidates)
    return next(base for base in candidates if all(_is_free(base + offset) for offset in range(PORTS_OF_A_BOX)))


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def environ_of(home: Path, port_base: int, **more: str) -> dict[str, str]:
    """The environment of a user who has set these two, and `more`."""
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED and not name.startswith("AWS_")}
    return {**kept, "UPTIME_HOME": str(home), "UPTIME_PORT_BASE": str(port_base), **more}


def command(environ: dict[str, str], *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run `uptimemonitor` with these arguments."""
    return subprocess.run(
        [sys.executable, "-m", "core.cli", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
