"""What `uptimemonitor ping` and `uptimemonitor run` do.

The job comes first: whatever goes wrong with its pings, it runs, and its exit status is ours.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Final
from uuid import uuid4

from core.client.job import Ended, run_job
from core.client.target import Misnamed, Target, find_target

START_S: Final = 30.0
"""A start that has not arrived after so long stays away: it would make the run look shorter than it is. So does one after its run."""

LAST_WORD_S: Final = 1.0
"""How long after its time an attempt that is under way may still say how it ended."""

DONE, FAILED, WRONG_USAGE = 0, 1, 2

type Say = Callable[[str], None]


def complain(text: str) -> None:
    """A line on stderr, if there still is one."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"uptimemonitor: {text}\n")
        sys.stderr.flush()


def ping(*, heartbeat: str, action: str, rid: str | None, body: bytes, timeout_s: float, say: Say = complain) -> int:
    """Send one ping; returns 0 when it is recorded, 1 when it is not, 2 when there is no such address."""
    from core.client.delivery import deliver  # noqa: PLC0415  (see `_Report._work`)

    try:
        target = find_target(heartbeat, os.environ.get("UPTIME_PING_URL"))
    except Misnamed as error:
        say(str(error))
        return WRONG_USAGE
    problem = deliver(target.address(action, rid), body, give_up_at=time.monotonic() + timeout_s)
    if problem:
        say(f"the ping was not recorded: {problem}")
    return FAILED if problem else DONE


def run(*, heartbeat: str, command: Sequence[str], keep_output: bool, pty: bool, timeout_s: float, say: Say = complain) -> int:
    """Run a job with a ping at its start and one at its end; returns the job's exit status, whatever becomes of the pings."""
    try:
        report: _Silence = _Report(find_target(heartbeat, os.environ.get("UPTIME_PING_URL")), timeout_s, say)
    except Misnamed as error:
        say(f"the job runs without pings: {error}")
        report = _Silence()
    with _impatient() as enough:
        ended = run_job(command, keep_output=keep_output, pty=pty, started=report.begin)
        if not ended.ran:
            complain(ended.output.decode(errors="replace"))
        report.end(ended, enough)
    return ended.status


class _Silence:
    """Reports to nobody."""

    def begin(self) -> None:
        """Nothing."""

    def end(self, ended: Ended, enough: threading.Event) -> None:
        """Nothing."""


class _Report(_Silence):
    """Tells of one run from a thread that ends with the process: a gateway that hangs never holds up the job.

    The end is sent after the start, so that the gateway, which orders pings as they come, sees them in this order.
    """

    def __init__(self, target: Target, timeout_s: float, say: Say) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._say = say
        self._rid = str(uuid4())
        self._began_at = time.monotonic()
        self._ended: Ended | None = None
        self._over = threading.Event()
        self._give_up_at = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True)

    def begin(self) -> None:
        """The job runs."""
        self._thread.start()

    def end(self, ended: Ended, enough: threading.Event) -> None:
        """The job has ended: deliver that in time, or until it is `enough`."""
        self._ended = ended
        self._give_up_at = time.monotonic() + self._timeout_s
        self._over.set()
        if not self._thread.is_alive():
            self._thread.start()
        while self._thread.is_alive() and time.monotonic() < self._give_up_at + LAST_WORD_S and not enough.is_set():
            self._thread.join(0.05)
        if self._thread.is_alive():
            self._say("the end of the job was not recorded: no answer from the gateway in time")

    def _work(self) -> None:
        # Imported here, beside the running job: it takes longer than most other things that happen before the job starts.
        from core.client.delivery import ATTEMPT_S, deliver  # noqa: PLC0415  (for this reason)

        if not self._ended or self._ended.ran:
            deliver(
                self._target.address("start", self._rid),
                b"",
                give_up_at=self._began_at + START_S,
                attempt_s=min(ATTEMPT_S, self._timeout_s / 2),
                enough=self._over.is_set,
            )
        self._over.wait()
        assert self._ended, "it is over"
        address = self._target.address(str(self._ended.status), self._rid)
        if problem := deliver(address, self._ended.output, give_up_at=self._give_up_at):
            self._say(f"the end of the job was not recorded: {problem}")


@contextlib.contextmanager
def _impatient() -> Iterator[threading.Event]:
    """An event that is set by the signals which would end us, while the job does not get them: before it runs, and when it has ended."""
    enough = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        enough.set()

    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.signal(number, stop) for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        yield enough
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
