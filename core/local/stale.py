"""What a killed supervisor left behind: find it by pid and start time, or by the box's mark, and end it.

A pid alone proves nothing, pids are reused: a process is ours if it started when we wrote down that it did, or if it carries the
unguessable id of this box in its environment.
"""

import contextlib
import json
import signal
from pathlib import Path

import psutil

from core.local.process import BOX_MARKER

SAME_START_S = 0.05
PATIENCE_S = 3.0
SUFFIX = ".pid"


def remember(run: Path, name: str, pid: int, sign: signal.Signals) -> None:
    """Write down a process that was just started, and the signal that ends it well."""
    with contextlib.suppress(psutil.NoSuchProcess):  # gone already: nothing to reap
        fact = {"pid": pid, "started": psutil.Process(pid).create_time(), "signal": int(sign)}
        (run / f"{name}{SUFFIX}").write_text(json.dumps(fact), encoding="utf-8")


def forget(run: Path, name: str) -> None:
    """Strike it off: it ended under our eyes."""
    (run / f"{name}{SUFFIX}").unlink(missing_ok=True)


def reap(run: Path, box_id: str) -> list[str]:
    """End everything that an earlier supervisor of this home left running; returns what it was, for the log."""
    found = _remembered(run) | dict.fromkeys(_marked(box_id), signal.SIGTERM)
    described = [f"{process.pid} {process.name()}" for process in found if process.is_running()]
    _end(found)
    for file in run.glob(f"*{SUFFIX}"):
        file.unlink()
    return described


def _remembered(run: Path) -> dict[psutil.Process, signal.Signals]:
    found = {}
    for file in run.glob(f"*{SUFFIX}"):
        with contextlib.suppress(psutil.NoSuchProcess, ValueError, KeyError):  # a torn file describes nothing
            fact = json.loads(file.read_text(encoding="utf-8"))
            process = psutil.Process(fact["pid"])
            if abs(process.create_time() - fact["started"]) < SAME_START_S:
                found[process] = signal.Signals(fact["signal"])
    return found


def _marked(box_id: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _mark_of(process) == box_id]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(BOX_MARKER)
    except (psutil.Error, OSError):
        return None


def _end(found: dict[psutil.Process, signal.Signals]) -> None:
    for process, sign in found.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(sign)
    _, stubborn = psutil.wait_procs(list(found), timeout=PATIENCE_S)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=PATIENCE_S)
