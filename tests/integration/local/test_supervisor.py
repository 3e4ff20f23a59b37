"""The supervisor over real processes: order, readiness, restarts, stops, and what is left when it is killed."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.local import stale, state
from core.local.logfiles import keep_small, tail
from core.local.process import BOX_MARKER
from core.local.state import BoxState, Phase, ProcessState

SERVE = "import time, sys; print('serving'); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('serving'); time.sleep(600)"
FORKS = "import os, time; os.fork(); print('serving'); time.sleep(600)"
TELLS = """
import signal, sys, time
def end(*_):
    print('ended', time.time())
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print('serving')
time.sleep(600)
"""
SLOW = "import time; time.sleep(0.5); print('serving'); time.sleep(600)"


def wait_for[T](look: Callable[[], T], timeout_s: float = 15.0) -> T:
    give_up = time.monotonic() + timeout_s
    while not (seen := look()):
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)
    return seen


class SmallBox:
    """A box of test processes in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.logs = folder / "logs"
        self.box_id = secrets.token_hex(8)
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.run.mkdir()
        self.logs.mkdir()

    def start(self, *specs: dict[str, Any]) -> subprocess.Popen[bytes]:
        (self.run / state.FILE).unlink(missing_ok=True)
        self.supervisor = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.local.small_box", str(self.folder), self.box_id, *map(json.dumps, specs)]
        )
        return self.supervisor

    def box(self) -> BoxState:
        seen = wait_for(lambda: state.read(self.run))
        assert seen
        return seen

    def process(self, name: str) -> ProcessState:
        return next(process for process in self.box().processes if process.name == name)

    def wait_ready(self) -> BoxState:
        wait_for(lambda: self.box().phase is Phase.READY)
        return self.box()

    def family(self) -> list[psutil.Process]:
        """Every living process of this box."""
        return [process for process in psutil.process_iter() if self._is_mine(process)]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(BOX_MARKER) == self.box_id and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


@pytest.fixture
def small_box(tmp_path: Path) -> Iterator[SmallBox]:
    box = SmallBox(tmp_path)
    yield box
    if box.supervisor and box.supervisor.poll() is None:
        box.supervisor.kill()
        box.supervisor.wait()
    for process in box.family():
        process.kill()


def serving(name: str, code: str = SERVE, **more: Any) -> dict[str, Any]:
    return {"name": name, "code": code, "ready": "serving", **more}


def test_what_others_need_is_ready_before_they_start(small_box: SmallBox) -> None:
    small_box.start(
        serving("web", after=["schema"]),
        {"name": "schema", "code": "import time; time.sleep(0.3)", "task": True, "after": ["store"]},
        serving("store", SLOW),
    )
    small_box.wait_ready()
    store, schema, web = (small_box.process(name) for name in ("store", "schema", "web"))
    assert store.ready_at is not None
    assert schema.started_at is not None
    assert web.started_at is not None
    assert store.ready_at <= schema.started_at
    assert schema.phase is Phase.DONE
    assert schema.started_at + 0.3 <= web.started_at


def test_a_killed_process_is_started_again(small_box: SmallBox) -> None:
    small_box.start(serving("web"), serving("other"))
    small_box.wait_ready()
    first, other = small_box.process("web").pid, small_box.process("other").pid
    assert first
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: small_box.process("web").pid not in {first, None} and small_box.process("web").phase is Phase.READY)
    again = small_box.process("web")
    assert (again.restarts, again.last_exit) == (1, -signal.SIGKILL)
    assert small_box.process("other").pid == other


def test_what_a_killed_process_forked_ends_with_it(small_box: SmallBox) -> None:
    small_box.start(serving("web", FORKS))
    small_box.wait_ready()
    before = {process.pid for process in small_box.family()}
    assert len(before) == 2
    leader = small_box.process("web").pid
    assert leader
    os.kill(leader, signal.SIGKILL)
    wait_for(lambda: small_box.process("web").restarts == 1 and small_box.process("web").phase is Phase.READY)
    assert not before & {process.pid for process in small_box.family()}


def test_a_process_that_keeps_dying_makes_the_start_fail_and_leaves_nothing(small_box: SmallBox) -> None:
    supervisor = small_box.start(serving("store"), serving("web", "print('no such table'); raise SystemExit(3)", after=["store"]))
    assert supervisor.wait(20) == 1
    box = small_box.box()
    assert (box.phase, box.failed, box.message) == (Phase.FAILED, "web", "ended with status 3")
    assert tail(small_box.logs / "web.log", 1) == ["no such table"]
    assert small_box.family() == []


def test_a_failed_task_is_not_tried_again(small_box: SmallBox) -> None:
    supervisor = small_box.start({"name": "schema", "code": "raise SystemExit('cannot migrate')", "task": True})
    assert supervisor.wait(20) == 1
    assert small_box.process("schema").restarts == 0
    assert small_box.box().failed == "schema"


def test_a_stop_goes_wave_by_wave_and_a_deaf_process_cannot_hold_it_up(small_box: SmallBox) -> None:
    supervisor = small_box.start(serving("store", TELLS, wave=0), serving("web", TELLS, wave=1), serving("deaf", DEAF, wave=2))
    small_box.wait_ready()
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    ends = {name: float(tail(small_box.logs / f"{name}.log", 1)[0].split()[1]) for name in ("store", "web")}
    assert ends["web"] < ends["store"]
    assert small_box.box().phase is Phase.STOPPED
    assert small_box.family() == []
    assert not list(small_box.run.glob("*.pid"))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_killed_supervisor_takes_its_processes_with_it(small_box: SmallBox) -> None:
    supervisor = small_box.start(serving("web"), serving("store"))
    small_box.wait_ready()
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: small_box.family() == [])


def test_what_a_killed_supervisor_could_not_take_is_ended_by_the_next_start(small_box: SmallBox) -> None:
    supervisor = small_box.start(serving("deaf", DEAF), serving("web", FORKS))
    small_box.wait_ready()
    supervisor.kill()
    supervisor.wait()
    left = {process.pid for process in small_box.family()}
    assert left
    small_box.start(serving("web"))
    small_box.wait_ready()
    assert not left & set(psutil.pids())


def test_a_foreign_process_with_a_remembered_pid_is_spared(small_box: SmallBox) -> None:
    foreign = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        stale.remember(small_box.run, "web", foreign.pid, signal.SIGTERM)
        file = small_box.run / "web.pid"
        fact = json.loads(file.read_text())
        file.write_text(json.dumps({**fact, "started": fact["started"] - 60}))
        assert stale.reap(small_box.run, small_box.box_id) == []
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


def test_a_log_is_cut_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 2000)
        keep_small([log], largest=1000)
        writer.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "web.log.1").stat().st_size == 2000
