"""Moving in from Healthchecks: its API as a server, ours behind another, and the example as a process."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from core.api.monitors.models import Monitor
from tests.integration.api.conftest import Caller, make_caller
from tests.unit.test_from_healthchecks import SIMPLE

ROOT = Path(__file__).parents[3]
CHECKS = [
    SIMPLE,
    {name: value for name, value in SIMPLE.items() if name != "timeout"}
    | {"name": "Report", "slug": "report", "schedule": "Mon..Fri 08:00", "tz": "Europe/Riga", "status": "paused"},
    SIMPLE | {"name": "Words", "slug": "words", "filter_http_body": True, "failure_kw": "ERROR"},
    SIMPLE | {"name": "Too often", "slug": "often", "timeout": 5},
]


class Server(http.server.ThreadingHTTPServer):
    """Both sides: the checks for who has the read-only key, and everything else through the API's own client."""

    daemon_threads = True
    caller: Caller


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == "/api/v3/checks/" and self.headers["X-Api-Key"] == "read-only"
        self._answer(200 if known else 401, {"checks": CHECKS})

    def do_PUT(self) -> None:
        self._pass_on("put")

    def do_POST(self) -> None:
        self._pass_on("post")

    def _pass_on(self, method: str) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, Server)
        try:
            answer = getattr(self.server.caller.client, method)(self.path, body, format="json")
        finally:
            connection.close()  # each request has a thread of its own, and with it a connection
        self._answer(answer.status_code, answer.json())

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


@contextmanager
def served(caller: Caller) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Answers)
    server.caller = caller
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def moved(url: str, *arguments: str, key: str = "read-only") -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HEALTHCHECKS_URL": url,
        "HEALTHCHECKS_KEY": key,
        "UPTIME_API": f"{url}/api/v1",
        "UPTIME_KEY": "k",
    }
    command = [sys.executable, "-m", "examples.from_healthchecks", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.usefixtures("committed_database", "outside")
def test_a_project_moves_in_and_saying_it_again_changes_nothing() -> None:
    with served(make_caller("alice@example.com")) as url:
        plan = moved(url)
        assert (plan.returncode, len(plan.stdout.splitlines()), Monitor.objects.count()) == (0, 4, 0)
        first, second = moved(url, "--apply"), moved(url, "--apply")
    assert (first.returncode, second.returncode) == (1, 1), "one check cannot be had here"
    assert "often: 400 period_s" in first.stderr
    assert first.stdout == second.stdout
    found = {beat.slug: beat for beat in Monitor.objects.select_related("heartbeat")}
    assert sorted(slug for slug in found if slug) == ["nightly-backup", "report", "words"]
    assert {beat.heartbeat.config_version for beat in found.values()} == {1}
    report = found["report"]
    assert (report.heartbeat.schedule_kind, report.heartbeat.time_zone, report.paused_at is None) == (
        "oncalendar",
        "Europe/Riga",
        False,
    )
    assert (found["words"].heartbeat.filters or {}).get("fail") == ["ERROR"]
