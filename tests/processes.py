"""Processes of the product in tests: started as `python -m <module>`, killed at the end, with their output at hand."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

DEADLINE_S = 20.0


def wait_until(condition: Callable[[], bool], timeout_s: float = DEADLINE_S, what: str = "the condition") -> None:
    """Poll until `condition` holds; fail with `what` if it does not in time."""
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up, f"{what} did not hold within {timeout_s} s"
        time.sleep(0.02)


def accepts(port: int) -> bool:
    """Whether something listens on the loopback port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_for_port(port: int, timeout_s: float = DEADLINE_S, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return when the port accepts; fail at once when `process`, which is to open it, has ended."""

    def is_open() -> bool:
        assert process is None or process.poll() is None, "the process has ended"
        return accepts(port)

    wait_until(is_open, timeout_s, f"port {port} accepting")


@contextmanager
def module_process(
    module: str, arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m module`, killed at the end if it still runs. Its output goes where the test's goes."""
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], env={**os.environ, **(environ or {})})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def heed_signals() -> None:
    """Whoever starts tests in the background has them ignore what a terminal sends, and the command keeps to that."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
