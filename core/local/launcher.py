"""Starting and stopping a box from outside: detach the supervisor, follow its state file, tell it to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from core.local import home, lock, secrets, stale, state
from core.local.home import Home
from core.local.logfiles import tail
from core.local.process import die_with_parent
from core.local.settings import CHECKOUT, BoxSettings
from core.local.state import BoxState, Phase
from core.local.supervise import EXIT_ALREADY_RUNNING

START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
TAIL_LINES = 25

type Progress = Callable[[BoxState], None]


class BoxFailed(Exception):
    """The box did not start; the message says why, with the end of the log of what failed."""


def up(settings: BoxSettings, environ: Mapping[str, str], progress: Progress) -> BoxState:
    """Start the box unless it runs, and wait until all of it is ready. Nothing is left running when this raises.

    Raises:
        BoxFailed: a process did not become ready, or something outside is in the way (the message says what).
        HomeUnusable: the home cannot be written.
    """
    place = home.prepare(settings.home)
    supervisor = _spawn(place, environ, attached=False)
    try:
        return _wait_ready(place, supervisor, progress)
    except BaseException:
        if supervisor.poll() is None:
            supervisor.terminate()
            supervisor.wait(STOP_TIMEOUT_S)
        raise


def run_in_foreground(
    settings: BoxSettings, environ: Mapping[str, str], progress: Progress, ready: Callable[[BoxState], None]
) -> int:
    """Start the box as a child of this process, call `ready` once it is, and stop it on SIGINT or SIGTERM."""
    place = home.prepare(settings.home)
    supervisor = _spawn(place, environ, attached=True)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.terminate())
    try:
        ready(_wait_ready(place, supervisor, progress))
        return supervisor.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        if supervisor.poll() is None:
            supervisor.terminate()
            supervisor.wait(STOP_TIMEOUT_S)


def down(settings: BoxSettings) -> bool:
    """Stop the box, or clear up after one whose supervisor was killed; False if nothing ran."""
    place = home.locate(settings.home)
    if lock.is_held(place.run):
        _stop_supervisor(place)
        return True
    box_secrets = secrets.load(place.root)
    return bool(box_secrets and stale.reap(place.run, box_secrets.box_id))


def running(settings: BoxSettings) -> BoxState | None:
    """The state of the running box, or None."""
    return _running(home.locate(settings.home).run)


def _running(run: Path) -> BoxState | None:
    if not lock.is_held(run):
        return None
    pid, seen = lock.holder(run), state.read(run)
    if seen and seen.pid == pid:
        return seen
    return BoxState(pid=pid, started_at=time.time())  # it has just begun; the file is its predecessor's


def _spawn(place: Home, environ: Mapping[str, str], *, attached: bool) -> subprocess.Popen[bytes]:
    """Start the supervisor; an attached one ends with this process, whatever ends it (on Linux)."""
    with (place.logs / "supervisor.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "core.local.supervise"],
            cwd=CHECKOUT,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM) if attached else None,  # noqa: PLW1509  (there are no threads here)
        )


def _wait_ready(place: Home, supervisor: subprocess.Popen[bytes], progress: Progress) -> BoxState:
    """Follow the state file until the box is ready; another supervisor that runs already will do as well."""
    give_up = time.monotonic() + START_TIMEOUT_S
    seen = None
    while time.monotonic() < give_up:
        seen = _look(place, supervisor)
        if seen:
            progress(seen)
            if seen.phase is Phase.READY:
                return seen
        time.sleep(POLL_S)
    late = [process.name for process in seen.processes if process.phase not in {Phase.READY, Phase.DONE}] if seen else []
    raise BoxFailed(f"not ready after {START_TIMEOUT_S:.0f} s: {', '.join(late)}; see {place.logs}")


def _look(place: Home, supervisor: subprocess.Popen[bytes]) -> BoxState | None:
    """The state of the box that we started, or found running; None while it has said nothing yet."""
    status = supervisor.poll()
    if status == EXIT_ALREADY_RUNNING:
        if other := _running(place.run):
            return other
        raise BoxFailed("the box that was running has just stopped: try again")
    seen = state.read(place.run)
    ours = seen if seen and seen.pid == supervisor.pid else None
    if status is not None:
        raise BoxFailed(_why(place, ours))
    return ours


def _why(place: Home, failed: BoxState | None) -> str:
    if failed is None:
        return "\n".join(["the supervisor ended unexpectedly:", *tail(place.logs / "supervisor.log", TAIL_LINES)])
    if failed.failed is None:
        return failed.message or "stopped while it was starting"
    log = place.logs / f"{failed.failed}.log"
    lines = tail(log, TAIL_LINES)
    return "\n".join([f"{failed.failed}: {failed.message}", *([f"--- the end of {log} ---", *lines] if lines else [])])


def _stop_supervisor(place: Home) -> None:
    """SIGTERM, and wait for the lock, which is let go last of all; a supervisor that hangs is killed, its children with it."""
    pid = lock.holder(place.run)
    os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + STOP_TIMEOUT_S
    while lock.is_held(place.run):
        if time.monotonic() > give_up:
            psutil.Process(pid).kill()
            break
        time.sleep(POLL_S)
    box_secrets = secrets.load(place.root)
    if box_secrets:
        stale.reap(place.run, box_secrets.box_id)
