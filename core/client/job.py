"""Runs a job as if we were not there: same streams, same signals, same exit status; only the end of its output is kept.

With a terminal for its input the job stays in our process group, so that Ctrl-C, Ctrl-Z and `fg` do what they do without us; otherwise it
has a process group of its own, and signals that we get go to all of it.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final

from core.client.streams import CHUNK, Pipe, captured
from core.client.tail import Tail

PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
FROM_THE_TERMINAL: Final = frozenset({signal.SIGINT, signal.SIGQUIT})
"""The kernel sends these to everybody in front of the terminal, so to the job too."""

CANNOT_RUN, NOT_FOUND = 126, 127
KILLED: Final = 128
LEFT_OPEN_S: Final = 1.0
"""How long we go on reading after the job has ended, when something that it left behind goes on writing."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: its exit status (128 + n for signal n) and the end of its output; of one that never `ran`, why not."""

    status: int
    output: bytes
    ran: bool = True


def run_job(command: Sequence[str], *, keep_output: bool, pty: bool, started: Callable[[], None]) -> Ended:
    """Run to its end. `started` is called as soon as the job runs; a command that cannot be run ends with 126 or 127, as in a shell."""
    tail = Tail()
    with contextlib.ExitStack() as stack:
        passing = stack.enter_context(_passing_signals(in_front=os.isatty(0)))
        streams = stack.enter_context(captured(pty=pty)) if keep_output else None
        try:
            job = subprocess.Popen(
                command,
                stdout=streams.stdout if streams else None,
                stderr=streams.stderr if streams else None,
                process_group=passing.process_group,
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
            return _not_run(command[0], error)
        passing.to(job)
        started()
        if streams:
            streams.handed_over()
            _copy(job, streams.pipes, tail)
        status = job.wait()
    return Ended(status if status >= 0 else KILLED - status, tail.bytes())


def _not_run(name: str, error: Exception) -> Ended:
    status = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN
    why = error.strerror if isinstance(error, OSError) else str(error)
    return Ended(status, f"cannot run {name}: {why}".encode(), ran=False)


class _Passing:
    """Where signals go: nowhere yet, then to the job; what comes in between is kept for it."""

    def __init__(self, *, in_front: bool) -> None:
        self._in_front = in_front
        self._job: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    @property
    def process_group(self) -> int | None:
        """For Popen: 0 is a new one, None is ours."""
        return None if self._in_front else 0

    def to(self, job: subprocess.Popen[bytes]) -> None:
        self._job = job
        for number in self._early:
            self._send(job, number)

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self._job is None:
            self._early.append(number)
        elif self._job.returncode is None:
            self._send(self._job, number)

    def _send(self, job: subprocess.Popen[bytes], number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended, or runs as somebody else
            if not self._in_front:
                os.killpg(job.pid, number)
            elif number not in FROM_THE_TERMINAL:
                os.kill(job.pid, number)


@contextlib.contextmanager
def _passing_signals(*, in_front: bool) -> Iterator[_Passing]:
    """Handle the signals that are passed on; one that we were told to ignore (nohup) stays ignored, for the job too.

    SIGCHLD gets a handler of its own: where it is ignored, nobody could learn the exit status.
    """
    passing = _Passing(in_front=in_front)
    handled = [number for number in PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, passing) for number in handled}
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        yield passing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _copy(job: subprocess.Popen[bytes], pipes: Sequence[Pipe], tail: Tail) -> None:
    """Pass on what the job writes until it has ended and its pipes are empty."""
    with selectors.DefaultSelector() as selector, _alarm() as alarm:
        selector.register(alarm, selectors.EVENT_READ)
        for pipe in pipes:
            selector.register(pipe.source, selectors.EVENT_READ, pipe)
        while job.poll() is None:
            for key, _ in selector.select():
                if key.data is None:
                    os.read(alarm, CHUNK)
                elif not key.data.pass_on(tail):
                    selector.unregister(key.fileobj)
    give_up = time.monotonic() + LEFT_OPEN_S
    for pipe in pipes:
        while pipe.has_more() and time.monotonic() < give_up:
            pipe.pass_on(tail)


@contextlib.contextmanager
def _alarm() -> Iterator[int]:
    """A descriptor that becomes readable with every signal, SIGCHLD among them."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    try:
        yield read_end
    finally:
        signal.set_wakeup_fd(before)
        os.close(read_end)
        os.close(write_end)
