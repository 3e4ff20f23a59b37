"""What benchmarks run on: real servers, helper processes that announce their port, and the CPU counters of processes."""

import json
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from core import logs
from core.local import postgres, valkey
from tests.conftest import _migrate, free_port
from tests.perf.settings import SETTINGS
from tests.processes import wait_for_port

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parents[2]


@contextmanager
def work_folder() -> Iterator[Path]:
    """A folder that the account of PostgreSQL may enter."""
    with tempfile.TemporaryDirectory(prefix="uptimemonitor-bench-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def deployed_python() -> str:
    """The interpreter of an environment as it is deployed, made under `build/`.

    Libraries load what they find: with `rich`, which tools of developers bring, every process would take 5 MB more.

    Raises:
        FileNotFoundError: there is no uv; any target of the Makefile fetches it.
    """
    environment = ROOT / "build" / "bench" / "venv"
    uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    subprocess.run(
        [uv, "sync", "--frozen", "--quiet", "--no-default-groups", "--no-install-project", "--compile-bytecode"],
        cwd=ROOT,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(environment), "UV_PYTHON": os.path.realpath(sys.executable)},
        check=True,
    )
    return str(environment / "bin" / "python")


@contextmanager
def postgres_server(folder: Path, **settings: str) -> Iterator[tuple[str, int]]:
    """A migrated database as one box runs it but for `settings`, fsync included: its URL and the server's process."""
    server = postgres.locate(folder, free_port(), secrets.token_hex(8))
    server.prepare()
    quiet = subprocess.DEVNULL
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with subprocess.Popen([*server.argv(), *options], stdout=quiet, stderr=quiet, **server.process_options()) as process:
        try:
            server.wait_ready()
            server.create_database()
            _migrate(server.dsn())
            yield server.dsn(), process.pid
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def valkey_server() -> Iterator[tuple[str, int]]:
    """An empty broker: its URL and its process."""
    port = free_port()
    with subprocess.Popen(valkey.argv(port), stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield valkey.url(port), process.pid
        finally:
            process.terminate()


@contextmanager
def announcing(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m module`, with pipes: it prints where it listens first, and ends at the end of its input at the latest."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def canned_aws() -> Iterator[str]:
    """A server with canned answers (`tests.perf.canned_aws`) in a process of its own, whose CPU is AWS's; its endpoint."""
    with announcing("tests.perf.canned_aws") as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def invoke(kind: str, endpoint: str, count: int, target: str) -> dict[str, float]:
    """Milliseconds of a call of a Lambda handler (`tests.perf.invoke` explains the arguments and the keys)."""
    command = [sys.executable, "-m", "tests.perf.invoke", kind, endpoint, str(count), target]
    done = subprocess.run(
        command, env={**os.environ, **SETTINGS, "PRIVATE_TARGETS": "true"}, check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """What this process logs and prints goes to a file meanwhile, as it does on one box."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with path.open("w") as file, redirect_stdout(file):
        logs.configure("bench")
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)


class Meter:
    """CPU seconds that processes have taken since it was made, children included; of this process, only its own."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before = self._now()
        self._began = time.perf_counter()

    def spent(self) -> dict[str, float]:
        """By process; this one is `this`."""
        now = self._now()
        return {name: now[name] - before for name, before in self._before.items()}

    def wall_s(self) -> float:
        """Seconds of the clock."""
        return time.perf_counter() - self._began

    def _now(self) -> dict[str, float]:
        return {"this": time.process_time(), **{name: cpu_s(pid) for name, pid in self._pids.items()}}


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, its living children, and its children that have ended.

    Raises:
        FileNotFoundError: there is no such process.
    """
    while True:
        try:
            return sum(_ticks(member) for member in _family(pid)) / TICKS_PER_S
        except (FileNotFoundError, ProcessLookupError):  # a child has ended meanwhile: its parent counts it by now
            Path(f"/proc/{pid}/stat").stat()


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15])
