"""A receiver of pings, and the command that sends them, as its own process."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.ping_receiver import HEARTBEAT, Receiver, ping_receiver
from tests.processes import heed_signals

PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


class Command:
    """Starts `uptimemonitor` with arguments; every process is ended with the test."""

    def __init__(self, ping_url: str) -> None:
        self.environ = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
        self.environ["UPTIME_PING_URL"] = ping_url
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """A running process; its streams are pipes where `options` say nothing else."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        argv = [sys.executable, "-m", "core.cli", *arguments]
        process = subprocess.Popen(argv, **{"env": self.environ, "preexec_fn": heed_signals, **streams, **options})
        self.running.append(process)
        return process

    def run(
        self, *arguments: str, given: bytes = b"", env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """A process that was `given` an input and has ended."""
        process = self.start(*arguments, stdin=subprocess.PIPE, env={**self.environ, **(env or {})})
        stdout, stderr = process.communicate(given, timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def job(self, *command: str, options: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess[bytes]:
        """`uptimemonitor run` of a command."""
        return self.run("run", "--heartbeat", HEARTBEAT, *options, "--", *command, **more)

    def shell(self, script: str, options: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess[bytes]:
        """The same of a line of shell."""
        return self.job("sh", "-c", script, options=options, **more)

    def start_shell(self, script: str, options: tuple[str, ...] = (), **more: Any) -> subprocess.Popen[bytes]:
        """The same, not waited for."""
        return self.start("run", "--heartbeat", HEARTBEAT, *options, "--", "sh", "-c", script, **more)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with ping_receiver() as running:
        yield running


@pytest.fixture
def command(receiver: Receiver) -> Iterator[Command]:
    starter = Command(receiver.url)
    yield starter
    for process in starter.running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)
