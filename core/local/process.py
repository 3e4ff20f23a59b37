"""One process of the box: how to start it, when it is ready, and how it dies with its supervisor.

Each process leads a session of its own, so that what it forked can be ended with it. On Linux the kernel signals it when the
supervisor dies (PR_SET_PDEATHSIG: bound to the *thread* that forks, so only the main thread may spawn).
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.local.postgres import ProcessOptions

PR_SET_PDEATHSIG = 1
PROBE_TIMEOUT_S = 1.0
BOX_MARKER = "UPTIME_BOX"
"""In the environment of every process of a box, with the box's id as its value."""


class Readiness(Protocol):
    """Tells whether a started process does its work."""

    async def __call__(self) -> bool:
        """One quick try; never raises for a process that is not ready."""
        ...


@dataclass(frozen=True, slots=True)
class TcpReady:
    """Ready when the port accepts."""

    host: str
    port: int

    async def __call__(self) -> bool:
        """Try to connect."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:  # a timeout is one, too
            return False
        writer.close()
        return True


@dataclass(frozen=True, slots=True)
class HttpReady:
    """Ready when GET answers 200, with `text` in its body."""

    host: str
    port: int
    path: str
    text: str = ""

    async def __call__(self) -> bool:
        """Try one request."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                status_line, _, rest = (await self._get()).partition(b"\r\n")
        except OSError:
            return False
        return b" 200 " in status_line and self.text.encode() in rest

    async def _get(self) -> bytes:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(f"GET {self.path} HTTP/1.0\r\nHost: {self.host}\r\n\r\n".encode())
            return await reader.read()
        finally:
            writer.close()


@dataclass(frozen=True, slots=True)
class LogReady:
    """Ready when the process has logged `text` since its start (for processes that listen on nothing)."""

    log: Path
    text: str
    offset: int = 0

    async def __call__(self) -> bool:
        """Look at the log."""
        try:
            with self.log.open("rb") as file:
                file.seek(self.offset)
                return self.text.encode() in file.read()
        except FileNotFoundError:
            return False

    def from_now(self) -> "LogReady":
        """The same for a process that is about to start: what is in the log already does not count."""
        size = self.log.stat().st_size if self.log.exists() else 0
        return LogReady(self.log, self.text, size)


@dataclass(frozen=True, slots=True)
class Spec:
    """How to run one process.

    `after` names what must be ready (or done) before it starts; `prepare` runs before its first start, in a thread; a `task` is
    expected to end with status 0 by itself. On a stop, processes of a higher `wave` end first.
    """

    name: str
    argv: Sequence[str]
    ready: Readiness | None = None
    after: tuple[str, ...] = ()
    wave: int = 2
    task: bool = False
    ports: tuple[int, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[], None] | None = None
    options: ProcessOptions = field(default_factory=ProcessOptions)
    stop_signal: signal.Signals = signal.SIGTERM
    start_timeout_s: float = 60.0


async def spawn(spec: Spec, log: Path) -> asyncio.subprocess.Process:
    """Start the process with its output appended to `log`. Call from the main thread only."""
    with log.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *spec.argv,
            env=dict(spec.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent(spec.stop_signal),
            **spec.options,
        )


def die_with_parent(sign: signal.Signals) -> Callable[[], None] | None:
    """Runs in the child between fork and exec, after the change of account, which would clear the setting."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    supervisor = os.getpid()

    def set_signal() -> None:
        if libc.prctl(PR_SET_PDEATHSIG, sign) != 0 or os.getppid() != supervisor:
            os._exit(70)

    return set_signal


def signal_session(leader: int, sign: signal.Signals) -> None:
    """Signal the process group that the process led, whether or not the leader still lives."""
    try:
        os.killpg(leader, sign)
    except ProcessLookupError:
        return
