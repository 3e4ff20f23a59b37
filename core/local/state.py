"""What the supervisor says about itself: one JSON file, replaced as a whole on every change."""

from enum import StrEnum
from pathlib import Path

import msgspec

FILE = "state.json"


class Phase(StrEnum):
    """Where a process, or the box as a whole, is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    DONE = "done"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class ProcessState(msgspec.Struct, kw_only=True):
    """One process. Times are Unix times; `last_exit` is the exit status of its last death, negative for a signal."""

    name: str
    phase: Phase = Phase.WAITING
    pid: int | None = None
    started_at: float | None = None
    ready_at: float | None = None
    restarts: int = 0
    last_exit: int | None = None
    message: str = ""
    ports: list[int] = []
    log: str = ""


class BoxState(msgspec.Struct, kw_only=True):
    """The supervisor and its processes. `failed` names the process that made a start fail, `message` says why."""

    pid: int
    started_at: float
    phase: Phase = Phase.STARTING
    ready_at: float | None = None
    failed: str | None = None
    message: str = ""
    processes: list[ProcessState] = []


def write(run: Path, state: BoxState) -> None:
    """Replace the file."""
    partial = run / f"{FILE}.partial"
    partial.write_bytes(msgspec.json.encode(state))
    partial.rename(run / FILE)


def read(run: Path) -> BoxState | None:
    """The last state written, or None. Whether that supervisor still lives is a question for the lock (`core.local.lock`)."""
    try:
        return msgspec.json.decode((run / FILE).read_bytes(), type=BoxState)
    except FileNotFoundError:
        return None
