"""What a container runs, and how it is found to be well."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Protocol

import pytest

from core.service import __main__ as entry
from core.service import health
from core.service.commands import BEAT_TURN, SERVICES, WORKER_READY
from core.service.health import FRESH_S, Unwell, look
from tests.conftest import free_port

NOW = 1_800_000_000.0


class Says(Protocol):
    """Serves a body and a status; gives the port."""

    def __call__(self, body: str, status: int = 200) -> int: ...


@pytest.fixture
def says() -> Iterator[Says]:
    """A service on loopback that answers every request with a body and a status; gives its port."""
    servers: list[HTTPServer] = []

    def serve(body: str, status: int = 200) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server.server_port

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def metrics_at(port: int) -> dict[str, str]:
    return {"METRICS_PORT": str(port)}


def test_arguments_come_last_so_that_they_win() -> None:
    argv, _ = entry.command("worker", ["-c", "8"], {})
    assert argv[-2:] == ("-c", "8")
    assert argv[1:3] == ("-m", "core.checker")


def test_what_the_container_was_given_stays() -> None:
    _, environ = entry.command("inbox", [], {"METRICS_PORT": "7000", "LOG_LEVEL": ""})
    assert environ["METRICS_PORT"] == "7000"
    assert "LOG_LEVEL" not in environ


def test_services_that_share_a_task_have_ports_of_their_own() -> None:
    ports = [service.port for service in SERVICES.values() if service.port]
    assert sorted(set(ports)) == sorted(ports)
    assert {name: service.environ.get("METRICS_PORT") for name, service in SERVICES.items()} == {
        "web": None,
        "worker": "9101",
        "schedule": "9102",
        "beat": "9104",
        "inbox": "9103",
        "migrate": None,
        "edge-sync": None,
        "reseal": None,
    }


@pytest.mark.parametrize("arguments", [[], ["wbe"], ["--help"]])
def test_what_is_no_service_is_refused_with_those_there_are(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(arguments) == 2
    assert "web|worker|schedule|beat|inbox|migrate|edge-sync|reseal" in capsys.readouterr().err


def test_a_worker_is_well_once_it_takes_tasks(says: Says) -> None:
    look(SERVICES["worker"], metrics_at(says(f'{WORKER_READY}worker_name="w"}} 4.0\n')), NOW)
    with pytest.raises(Unwell, match="take work"):
        look(SERVICES["worker"], metrics_at(says("process_open_fds 9.0\n")), NOW)


@pytest.mark.parametrize("age_s", [0.0, FRESH_S])
def test_a_beat_is_well_while_it_turns(says: Says, age_s: float) -> None:
    look(SERVICES["beat"], metrics_at(says(f"{BEAT_TURN} {NOW - age_s}\n")), NOW)


@pytest.mark.parametrize("body", [f"{BEAT_TURN} {NOW - FRESH_S - 1}\n", "", f"# HELP {BEAT_TURN} Unix time\n"])
def test_a_beat_that_turns_no_more_is_unwell(says: Says, body: str) -> None:
    with pytest.raises(Unwell, match="old"):
        look(SERVICES["beat"], metrics_at(says(body)), NOW)


def test_a_service_that_answers_with_an_error_is_unwell(says: Says) -> None:
    with pytest.raises(Unwell, match="500"):
        look(SERVICES["inbox"], metrics_at(says("", 500)), NOW)


def test_a_service_that_is_gone_is_unwell() -> None:
    with pytest.raises(Unwell, match="refused"):
        look(SERVICES["inbox"], metrics_at(free_port()), NOW)


def test_a_task_that_ends_by_itself_is_well() -> None:
    look(SERVICES["migrate"], {}, NOW)


def test_the_check_knows_from_a_note_what_runs_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(health, "NOTE", tmp_path / "note")
    assert health.main([]) == 1
    assert "No such file" in capsys.readouterr().out
    health.note("migrate")
    assert health.main([]) == 0
    health.note("something else")
    assert health.main([]) == 1
