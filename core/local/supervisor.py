"""Keeps the processes of a box running: ordered start, readiness, restart with backoff, ordered stop.

A process that keeps dying while the box starts makes the start fail; once the box has been ready, everything is restarted for
ever. What the supervisor knows is in its state file (`core.local.state`) after every change.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from core.local import stale, state
from core.local.logfiles import keep_small
from core.local.process import LogReady, Readiness, Spec, signal_session, spawn
from core.local.state import BoxState, Phase, ProcessState

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 30.0
HEALTHY_AFTER_S = 10.0
START_ATTEMPTS = 3
POLL_S = 0.05
TRIM_EVERY_S = 5.0
STOP_WITHIN_S = 4.5
SHARE_OF_A_WAVE = 0.7
"""Of the time that is left for a stop, what a wave that is not the last may take."""


class Supervisor:
    """Runs `specs` until told to stop. `run` holds pid files and the state file, `logs` one file for each process."""

    def __init__(self, specs: Sequence[Spec], run: Path, logs: Path) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._folder = run
        self._logs = logs
        self._ready = {spec.name: asyncio.Event() for spec in specs}
        self._live: dict[str, asyncio.subprocess.Process] = {}
        self._stop = asyncio.Event()
        self._started = False
        self._states = {s.name: ProcessState(name=s.name, ports=list(s.ports), log=str(self._log(s.name))) for s in specs}
        self._box = BoxState(pid=os.getpid(), started_at=time.time(), processes=list(self._states.values()))

    async def run(self) -> bool:
        """Start everything, keep it running until `stop()` or a signal, stop everything. False if the start failed."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, self.stop)
        self._publish()
        async with asyncio.TaskGroup() as group:
            for spec in self._specs.values():
                group.create_task(self._keep(spec))
            group.create_task(self._announce())
            group.create_task(self._trim_logs())
            group.create_task(self._stop_all())
        self._box.phase = Phase.FAILED if self._box.failed else Phase.STOPPED
        self._publish()
        return self._box.failed is None

    def stop(self) -> None:
        """Ask for a stop."""
        self._stop.set()

    # --- one process ------------------------------------------------------------------------------------------------

    async def _keep(self, spec: Spec) -> None:
        """The life of one process: wait for what it needs, start it, start it again when it dies."""
        if not await self._unless_stopped(self._needs(spec)) or not await self._prepared(spec):
            return
        delay = FIRST_DELAY_S
        while not self._stop.is_set():
            began = time.monotonic()
            await self._live_once(spec)
            if self._stop.is_set() or self._states[spec.name].phase is Phase.DONE or self._is_hopeless(spec):
                return
            if time.monotonic() - began > HEALTHY_AFTER_S:
                delay = FIRST_DELAY_S
            self._change(spec, phase=Phase.BACKOFF, restarts=self._states[spec.name].restarts + 1)
            await self._unless_stopped(asyncio.sleep(delay))
            delay = min(delay * 2, LONGEST_DELAY_S)

    async def _needs(self, spec: Spec) -> None:
        for name in spec.after:
            await self._ready[name].wait()

    async def _prepared(self, spec: Spec) -> bool:
        if spec.prepare is None:
            return True
        self._change(spec, phase=Phase.STARTING)
        try:
            await asyncio.to_thread(spec.prepare)
        except Exception as error:  # noqa: BLE001  (whatever it was, it is told and the start fails)
            self._fail(spec, str(error) or type(error).__name__)
            return False
        return True

    async def _live_once(self, spec: Spec) -> None:
        """Start the process and return when it has ended, with its state up to date."""
        ready = spec.ready.from_now() if isinstance(spec.ready, LogReady) else spec.ready
        try:
            process = await spawn(spec, self._log(spec.name))
        except OSError as error:
            self._change(spec, phase=Phase.STOPPED, message=f"cannot be started: {error}")
            return
        self._live[spec.name] = process
        if self._stop.is_set():  # the stop came while it was being forked, and did not see it
            process.kill()
        stale.remember(self._folder, spec.name, process.pid, spec.stop_signal)
        self._change(spec, phase=Phase.STARTING, pid=process.pid, started_at=time.time(), ready_at=None)
        await self._until_dead(spec, process, ready)

    async def _until_dead(self, spec: Spec, process: asyncio.subprocess.Process, ready: Readiness | None) -> None:
        watch = asyncio.create_task(self._watch_readiness(spec, process, ready))
        status = await process.wait()
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        signal_session(process.pid, signal.SIGKILL)
        del self._live[spec.name]
        stale.forget(self._folder, spec.name)
        done = spec.task and status == 0
        phase = Phase.DONE if done else Phase.STOPPED
        self._change(spec, phase=phase, pid=None, last_exit=status, message=f"ended with {_in_words(status)}")
        if done:
            self._ready[spec.name].set()

    async def _watch_readiness(self, spec: Spec, process: asyncio.subprocess.Process, ready: Readiness | None) -> None:
        """Mark the process ready once it is; one that takes too long is killed, and so started again."""
        if spec.task:
            return
        give_up = time.monotonic() + spec.start_timeout_s
        while ready and not await ready():
            if time.monotonic() > give_up:
                process.kill()
                return
            await asyncio.sleep(POLL_S)
        if not self._stop.is_set():
            self._change(spec, phase=Phase.READY, ready_at=time.time())
            self._ready[spec.name].set()

    def _is_hopeless(self, spec: Spec) -> bool:
        process = self._states[spec.name]
        hopeless = not self._started and (spec.task or process.restarts + 1 >= START_ATTEMPTS)
        if hopeless:
            self._fail(spec, process.message)
        return hopeless

    # --- the box ----------------------------------------------------------------------------------------------------

    async def _announce(self) -> None:
        if await self._unless_stopped(self._all_ready()):
            self._started = True
            self._box.phase, self._box.ready_at = Phase.READY, time.time()
            self._publish()

    async def _all_ready(self) -> None:
        for ready in self._ready.values():
            await ready.wait()

    async def _trim_logs(self) -> None:
        while not self._stop.is_set():
            keep_small(self._log(name) for name in (*self._specs, "supervisor"))
            await self._unless_stopped(asyncio.sleep(TRIM_EVERY_S))

    async def _stop_all(self) -> None:
        """Once asked to: end wave after wave; what does not end in its share of `STOP_WITHIN_S` is killed."""
        await self._stop.wait()
        self._box.phase = Phase.STOPPING
        self._publish()
        give_up = time.monotonic() + STOP_WITHIN_S
        waves = sorted({spec.wave for spec in self._specs.values()}, reverse=True)
        for left in range(len(waves), 0, -1):
            patience_s = max(0.0, give_up - time.monotonic()) * (1 if left == 1 else SHARE_OF_A_WAVE)
            await self._end_wave(waves[-left], patience_s)

    async def _end_wave(self, wave: int, patience_s: float) -> None:
        live = [(spec, self._live[name]) for name, spec in self._specs.items() if spec.wave == wave and name in self._live]
        for spec, process in live:
            self._change(spec, phase=Phase.STOPPING)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(spec.stop_signal)
        waits = [asyncio.create_task(process.wait()) for _, process in live]
        if waits:
            _, stubborn = await asyncio.wait(waits, timeout=patience_s)
            for _, process in live:
                if process.returncode is None:
                    signal_session(process.pid, signal.SIGKILL)
            if stubborn:
                await asyncio.wait(stubborn)

    # --- bookkeeping ------------------------------------------------------------------------------------------------

    async def _unless_stopped(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Do `work`, give it up on a stop; whether it was finished and no stop is asked for."""
        doing, stopping = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        _, unfinished = await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in unfinished:
            task.cancel()
        return doing.done() and not self._stop.is_set()

    def _fail(self, spec: Spec, message: str) -> None:
        """The first failure is the story; what follows from it is not."""
        self._change(spec, phase=Phase.FAILED, message=message)
        if self._box.failed is None and not self._stop.is_set():
            self._box.failed, self._box.message = spec.name, message
        self.stop()

    def _change(self, spec: Spec, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self._states[spec.name], name, value)
        self._publish()

    def _publish(self) -> None:
        with contextlib.suppress(OSError):  # a full disk must not end the supervisor: it goes on unseen
            state.write(self._folder, self._box)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _in_words(status: int) -> str:
    return f"status {status}" if status >= 0 else signal.Signals(-status).name
