"""Boxes for tests: ports of their own, a home of their own, and the command as users call it."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, override

import httpx
import psutil

from core.local import secrets, state
from core.local.process import BOX_MARKER

PORTS_OF_A_BOX = 11
NOT_INHERITED = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PUBLIC_URL", "PING_URL", "CANARY_PING_S", "DJANGO_SETTINGS_MODULE")
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


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder for homes that every account may pass through, as PostgreSQL's must when we are root; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="uptimemonitor-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


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


class RunningBox:
    """A box that was started with the command, and a user of its API."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.printed = ""
        self.port_base = free_port_base()
        self.environ = environ_of(home, self.port_base)
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port_base}/api/v1/", timeout=20, trust_env=False)

    def command(self, *arguments: str, timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
        """`uptimemonitor` with these arguments, on this box."""
        return command(self.environ, *arguments, timeout_s=timeout_s)

    def up(self, *arguments: str) -> str:
        """Start it; returns what was printed."""
        done = self.command("up", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def log_in(self) -> None:
        """As the demo's user, who is registered if need be."""
        credentials = {"email": secrets.DEMO_EMAIL, "password": self.secrets.demo_password}
        self.api.post("auth/register/", json=credentials)
        self.api.headers["Authorization"] = f"Bearer {self.post('auth/login/', credentials)['access']}"

    @property
    def secrets(self) -> secrets.BoxSecrets:
        """The secrets in its home."""
        stored = secrets.load(self.home)
        assert stored
        return stored

    def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """What the API answers."""
        return _body(self.api.get(path, params=parameters))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the API answers."""
        return _body(self.api.post(path, json=body))

    def mails(self) -> list[dict[str, Any]]:
        """What the mail catcher caught, oldest first."""
        caught: list[dict[str, Any]] = httpx.get(f"http://127.0.0.1:{self.port_base + 4}/messages", trust_env=False).json()
        return caught[::-1]

    def ping(self, heartbeat_id: str, action: str = "") -> httpx.Response:
        """Ping a heartbeat at the gateway."""
        return httpx.get(f"http://127.0.0.1:{self.port_base + 1}/api/ping/{heartbeat_id}/{action}", timeout=20, trust_env=False)

    def status(self) -> dict[str, Any]:
        """`status --json`."""
        shown: dict[str, Any] = json.loads(self.command("status", "--json").stdout)
        return shown

    def pid_of(self, process: str) -> int:
        """The pid of a process, from the supervisor's state."""
        box = state.read(self.home / "run")
        assert box
        pid = next(one.pid for one in box.processes if one.name == process)
        assert pid
        return pid

    def family(self) -> set[psutil.Process]:
        """Every living process of this box: what carries its mark, and what those forked (PostgreSQL overwrites its environment)."""
        found = set()
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(BOX_MARKER) == self.secrets.box_id:
                    found |= {process, *process.children(recursive=True)}
        return found

    def destroy(self) -> None:
        """Stop it and delete it."""
        self.api.close()
        self.command("down")
        shutil.rmtree(self.home, ignore_errors=True)


def _body(answer: httpx.Response) -> dict[str, Any]:
    assert not answer.is_error, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    body: dict[str, Any] = answer.json()
    return body


class Site:
    """A website and a webhook receiver of a test's own, on one port: `GET /<name>` is up or down by name, `POST` is remembered."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def hooks(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        """What was posted to a path: headers and body, in order of arrival."""
        return [(headers, body) for at, headers, body in self.received if at == path]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(503 if self.path in site.down else 200)
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                site.received.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(200)
                self.end_headers()

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        return Handler
