"""Lambda for tests: AWS's own runtime client runs a handler in a process of its own, and takes its invocations from a Runtime API here.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. Nothing of this environment is on the path of that process: only the folder
of the function, the runtime client as Lambda's image has it, and the standard library.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.metadata import distribution
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, override
from uuid import uuid4

import psutil

from tests.receivers import _Server

PREFIX: Final = "/2018-06-01/runtime/"
FUNCTION_TIMEOUT_S: Final = 30
PATIENCE_S: Final = 60.0
LAUNCH: Final = "import sys; sys.path[:0] = sys.argv[1:3]; from awslambdaric.__main__ import main; main(sys.argv[2:])"
RUNTIME_CLIENT: Final = ("awslambdaric", "simplejson", "snapshot-restore-py")


@dataclass(frozen=True)
class Outcome:
    """What came of an invocation, or of the start: an answer, or an error as the runtime reports it."""

    answer: Any = None
    error: Mapping[str, Any] | None = None


@dataclass
class _Invocation:
    event: Any
    id: str = field(default_factory=lambda: str(uuid4()))
    outcome: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)


class RuntimeApi:
    """Hands invocations to one runtime, and takes what it says of them.

    Once it has asked for the first one, `init_cpu_s` is the CPU of the cold start, and `init_s` what it took.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[_Invocation | None] = SimpleQueue()
        self._given: dict[str, _Invocation] = {}
        self._started: SimpleQueue[Outcome | None] = SimpleQueue()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.process: psutil.Popen | None = None
        self.begun = time.perf_counter()
        self.init_cpu_s = self.init_s = 0.0

    @property
    def address(self) -> str:
        """For AWS_LAMBDA_RUNTIME_API."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def wait_started(self) -> Outcome | None:
        """Wait for the end of the cold start; what went wrong, or None."""
        return self._started.get(timeout=PATIENCE_S)

    def invoke(self, event: Any) -> Outcome:
        """Invoke the function, and wait for what comes of it."""
        invocation = _Invocation(event)
        self._waiting.put(invocation)
        return invocation.outcome.get(timeout=PATIENCE_S)

    def peak_mib(self) -> float:
        """The most memory that the process has had so far, as Lambda reports it."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    def close(self) -> None:
        """End."""
        self._waiting.put(None)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _next(self) -> _Invocation | None:
        if self.process and not self.init_cpu_s:
            times = self.process.cpu_times()
            self.init_cpu_s, self.init_s = times.user + times.system, time.perf_counter() - self.begun
            self._started.put(None)
        invocation = self._waiting.get()
        if invocation:
            self._given[invocation.id] = invocation
        return invocation

    def _take(self, what: str, body: bytes) -> None:
        """What the runtime posts: `init/error`, `invocation/<id>/response` or `invocation/<id>/error`."""
        if what == "init/error":
            self._started.put(Outcome(error=json.loads(body)))
            return
        _, invocation_id, verb = what.split("/")
        said = json.loads(body or b"null")
        outcome = Outcome(answer=said) if verb == "response" else Outcome(error=said)
        self._given.pop(invocation_id).outcome.put(outcome)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                assert self.path == f"{PREFIX}invocation/next", self.path
                if (invocation := api._next()) is None:
                    self.close_connection = True
                    return
                deadline = int((time.time() + FUNCTION_TIMEOUT_S) * 1000)
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": invocation.id,
                    "Lambda-Runtime-Deadline-Ms": str(deadline),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:tested",
                    "Content-Type": "application/json",
                }
                self._answer(HTTPStatus.OK, json.dumps(invocation.event).encode(), headers)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                api._take(self.path.removeprefix(PREFIX), body)
                self._answer(HTTPStatus.ACCEPTED, b'{"status":"OK"}', {"Content-Type": "application/json"})

            def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        return Handler


@contextmanager
def function(folder: Path, runtime: Path, handler: str, environ: Mapping[str, str]) -> Iterator[RuntimeApi]:
    """A function that has been started from its unpacked package; `runtime` is a folder of `runtime_client`."""
    api = RuntimeApi()
    told = {
        **environ,
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "tested",
        "LAMBDA_TASK_ROOT": str(folder),
    }
    command = [sys.executable, "-I", "-S", "-B", "-c", LAUNCH, str(folder), str(runtime), handler]
    api.begun = time.perf_counter()
    api.process = psutil.Popen(command, env=told, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        yield api
    finally:
        with suppress(psutil.NoSuchProcess):
            api.process.kill()
        api.process.wait(10)
        api.close()


def runtime_client(folder: Path) -> Path:
    """Put the runtime client and what it needs, and nothing else of this environment, into an empty folder; returns it."""
    for name in RUNTIME_CLIENT:
        found = distribution(name)
        for top in {file.parts[0] for file in found.files or [] if not file.parts[0].endswith(".dist-info")} - {
            "..",
            "__pycache__",
        }:
            (folder / top).symlink_to(Path(str(found.locate_file(top))))
    return folder
