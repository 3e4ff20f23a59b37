"""A real Celery fleet for tests: worker, schedule worker and beat as processes of their own, and a target that goes down and up."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.conftest import free_port

CHECKER = (sys.executable, "-m", "core.checker")
OPTIONS = ("-l", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat")
NOWHERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "UPTIME_ENV": "test"}
"""No test reaches for the cloud; what cannot be published waits in the outbox."""


def worker(name: str, queues: str, threads: int) -> tuple[str, ...]:
    """The command of a worker."""
    return (*CHECKER, "worker", "-P", "threads", "-c", str(threads), "-Q", queues, "-n", f"{name}@%h", *OPTIONS)


COMMANDS = {
    "worker": worker("worker", "checks,alerts,default", 4),
    "schedule": worker("schedule", "schedule", 2),
    "beat": (*CHECKER, "beat", "-l", "INFO"),
}
LARGE = {**COMMANDS, "worker": worker("worker", "checks", 4), "alerts": worker("alerts", "alerts,default", 4)}
"""As where there is much to check: a worker for checks alone, which loads nothing that others need."""


@dataclass
class Fleet:
    """Processes by name. `folder` takes one log file each; `metrics` are the ports of workers, `own` variables of one."""

    folder: Path
    environ: Mapping[str, str]
    commands: Mapping[str, Sequence[str]] = field(default_factory=lambda: COMMANDS)
    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    metrics: dict[str, int] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Start processes, all by default."""
        for name in names or self.commands:
            self.metrics[name] = free_port()
            environ = {**os.environ, **NOWHERE, **self.environ, "METRICS_PORT": str(self.metrics[name]), **self.own.get(name, {})}
            with (self.folder / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(self.commands[name], stdout=log, stderr=log, env=environ)

    def kill(self, name: str) -> None:
        """End a process without a chance to tidy up."""
        self.processes[name].kill()
        self.processes[name].wait(10)

    def stop(self, name: str, timeout_s: float = 15.0) -> int:
        """Ask a process to end; its exit status."""
        self.processes[name].send_signal(signal.SIGTERM)
        return self.processes[name].wait(timeout_s)

    def alive(self) -> bool:
        """Whether every process runs."""
        return all(process.poll() is None for process in self.processes.values())

    def log(self, name: str) -> str:
        """What a process has written so far."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
        for process in self.processes.values():
            process.wait(10)


class Target:
    """An HTTP server on loopback that answers `status`, and counts the requests."""

    def __init__(self) -> None:
        self.status = 200
        self.requests = 0
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                target.requests += 1
                self.send_response(target.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name that the base class gave it)
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
