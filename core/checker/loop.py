"""The probe loop: one thread with one uvloop event loop that starts every probe at its due time.

Jobs wait in the agenda until they are due, then in line where many are for one host (`core.checker.lines`), then while `max_in_flight`
probes run. A job that waited so long that its lease may end before its probe does is dropped: it will be claimed again, and nobody
checks twice.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import replace
from datetime import UTC, datetime
from typing import Final, Protocol
from uuid import UUID

import uvloop

from core.checker.agenda import CALM, Agenda
from core.checker.canaries import Aviary, OwnTroubleWatch
from core.checker.lines import STEP_S, HostLines, Waiting
from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeRequest, ProbeResult
from core.domain.website import excuse
from core.flows.websites import Finished, Job, internal_trouble
from core.logs import get_logger

log = get_logger(__name__)

BACKLOG: Final = 5_000
"""Jobs that may wait beside those in flight, to be due or to get their turn, 1 kB each: two seconds of what a process can check."""

STARTS_AT_ONCE: Final = 64
"""Each may ask for two names: more answers than that at once, and the receive buffer of a socket loses some."""

LONGEST_WAIT_S: Final = 10.0
"""Websites are claimed a moment ahead. Who seems to be due much later saw the wall clock jump back on its way here."""

PULSE_S: Final = 0.1
STARVED_SHARE: Final = 0.2
"""The part of a probe's life by which the loop may have been late all in all. Its pulses are late by a hundredth when all is well."""

START_TIMEOUT_S: Final = 30.0
ABORT_TIMEOUT_S: Final = 1.0


class Engine(Protocol):
    """What makes the probes, on one event loop. `close` ends those in flight as `UNKNOWN`/`SHUTTING_DOWN`."""

    async def probe(self, request: ProbeRequest) -> ProbeResult:
        """Make one check; never raises for what the target or the network does."""
        ...

    async def close(self) -> None:
        """Release everything."""
        ...


class ProbeLoop:
    """Runs probes on a thread of its own. `submit` and `stop` may be called from any thread; `deliver` is called on the loop's.

    The wall clock is read once for each batch; from there on the loop's own clock counts, which nobody sets.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        deliver: Callable[[Finished], None],
        *,
        max_in_flight: int,
        lag_limit_s: float,
        make_aviary: Callable[[], Aviary] = Aviary,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._wall_clock = wall_clock
        self._make_engine = make_engine
        self._make_aviary = make_aviary
        self._deliver = deliver
        self._max_in_flight = max_in_flight
        self._lag_limit_s = lag_limit_s
        self._agenda = Agenda()
        self._lines = HostLines()
        self._ready: deque[Waiting] = deque()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._dropped = 0
        self._starting = False
        self._alarm: asyncio.TimerHandle | None = None
        self._step_alarm: asyncio.TimerHandle | None = None
        self._pulse_due = 0.0
        self._lagged_until = 0.0
        self._late_s = 0.0
        self._open = False
        self._room = threading.Event()
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._unstarted: list[Job] = []
        self._thread = threading.Thread(target=self._run, name="probe-loop", daemon=True)

    def start(self) -> None:
        """Start the thread; returns when probes can run.

        Raises:
            Exception: whatever kept the engine from starting.
        """
        self._thread.start()
        self._started.result(START_TIMEOUT_S)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def submit(self, jobs: Sequence[Job], wait_s: float) -> bool:
        """Hand jobs over; False when the loop is stopping, or so full that no room came within `wait_s`."""
        if not self._room.wait(wait_s) or not self._open:
            return False
        self._started.result().call_soon_threadsafe(self._accept, list(jobs))
        return True

    def hasten(self, website: UUID) -> None:
        """Start the check of a website (its public id) now, if it waits here for its time: somebody waits for it."""
        if self._open:
            self._started.result().call_soon_threadsafe(self._hasten, website)

    def stop(self, grace_s: float) -> list[Job]:
        """Let probes in flight finish within `grace_s`, abort the rest; returns the jobs that never started. Safe to call twice."""
        if self.alive:
            self._open = False
            self._started.result().call_soon_threadsafe(self._stop_within, grace_s)
            self._thread.join(grace_s + 2 * ABORT_TIMEOUT_S)
        unstarted, self._unstarted = self._unstarted, []
        return unstarted

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except Exception as error:
            log.exception("probe_loop.died")
            if not self._started.done():
                self._started.set_exception(error)
        finally:
            self._open = False
            self._room.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Future[float] = self._loop.create_future()
        self._engine = self._make_engine()
        self._watch = OwnTroubleWatch(self._make_aviary(), self._deliver)
        self._pulse_due = self._loop.time()
        self._pulse()
        self._open = True
        self._room.set()
        self._started.set_result(self._loop)
        await self._drain(await self._stopping)

    def _stop_within(self, grace_s: float) -> None:
        if not self._stopping.done():
            self._stopping.set_result(grace_s)

    async def _drain(self, grace_s: float) -> None:
        for alarm in (self._alarm, self._step_alarm):
            if alarm:
                alarm.cancel()
        self._unstarted = [job for job, _ in (*self._ready, *self._lines.clear(), *self._agenda.take(float("inf")))]
        self._ready.clear()
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace_s)
        closing = asyncio.ensure_future(self._engine.close())
        await asyncio.wait([closing, *self._running], timeout=ABORT_TIMEOUT_S)
        watch_closing = asyncio.ensure_future(self._watch.close())
        await asyncio.wait([watch_closing], timeout=ABORT_TIMEOUT_S)
        for task, job in [(task, job) for task, job in self._running.items() if not task.done()]:
            task.cancel()
            self._deliver(Finished(job, internal_trouble(datetime.now(UTC), "the checker is stopping", Reason.SHUTTING_DOWN)))
        for ended in (closing, watch_closing):
            if ended.done():
                ended.result()

    def _accept(self, jobs: Sequence[Job]) -> None:
        if self._stopping.done():
            self._unstarted.extend(jobs)
            return
        now = self._loop.time()
        offset = now - self._wall_clock()
        calm = len(self._agenda) + len(jobs) <= CALM
        for job in jobs:
            due = min(job.due_at.timestamp() + offset, now + LONGEST_WAIT_S)
            start_by = job.leased_until.timestamp() + offset - job.request.timeout_ms / 1000
            if due <= now:
                self._line_up([(job, start_by)])
            else:
                self._agenda.add(due, job, start_by, calm=calm and not job.failing)
        self._wake()

    def _hasten(self, website: UUID) -> None:
        hastened = self._agenda.take_out(website)
        if hastened and not self._stopping.done():
            for job, _ in hastened:
                self._lines.hurry(job)
            self._ready.extendleft(hastened)
            self._start_soon()

    def _line_up(self, due: Sequence[Waiting]) -> None:
        self._ready += [item for item in due if self._lines.enter(item)]
        self._step_later()

    def _step_later(self) -> None:
        if self._lines and self._step_alarm is None:
            self._step_alarm = self._loop.call_later(STEP_S, self._step)

    def _step(self) -> None:
        self._step_alarm = None
        self._ready += self._lines.step()
        self._step_later()
        self._start_soon()

    def _wake(self) -> None:
        """Start what is due and set the alarm for what is due next."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        self._line_up(self._agenda.take(self._loop.time()))
        self._start_ready()
        next_at = self._agenda.next_at()
        if next_at is not None:
            self._alarm = self._loop.call_at(next_at + 0.001, self._wake)

    def _start_ready(self) -> None:
        """Start probes, and let the loop look at its sockets after `STARTS_AT_ONCE`: what probes ask for at once is answered at once."""
        self._starting = False
        room = min(self._max_in_flight - len(self._running), STARTS_AT_ONCE)
        while self._ready and room > 0:
            job, start_by = self._ready.popleft()
            if self._loop.time() > start_by:
                self._dropped += 1
                self._leave(job)
                continue
            task = self._loop.create_task(self._check(job))
            self._running[task] = job
            task.add_done_callback(self._ended)
            room -= 1
        if self._ready and len(self._running) < self._max_in_flight:
            self._start_soon()
        self._signal_room()

    def _start_soon(self) -> None:
        if not self._starting:
            self._starting = True
            self._loop.call_soon(self._start_ready)

    def _signal_room(self) -> None:
        if len(self._agenda) + len(self._lines) + len(self._ready) < BACKLOG:
            self._room.set()
        else:
            self._room.clear()

    async def _check(self, job: Job) -> None:
        began, late_before_s = self._loop.time(), self._late_s
        try:
            result = await self._engine.probe(job.request)
        except Exception:
            log.exception("probe_loop.engine_failed", monitor_id=str(job.monitor.uid))
            result = internal_trouble(datetime.now(UTC), "the probe failed")
        self._watch.take(Finished(job, self._excused(result, began, late_before_s)), began)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._leave(self._running.pop(task))
        if self._ready:
            self._start_soon()

    def _leave(self, job: Job) -> None:
        if follower := self._lines.leave(job):
            self._ready.append(follower)

    def _excused(self, result: ProbeResult, began: float, late_before_s: float) -> ProbeResult:
        """What failed while our own loop lagged, once for long or often for a little, may have failed because of it."""
        now = self._loop.time()
        behind_s = max(now - self._pulse_due, 0.0)
        lagged = self._lagged_until if behind_s <= self._lag_limit_s else now
        starved = self._late_s + behind_s - late_before_s > max(STARVED_SHARE * (now - began), self._lag_limit_s / 2)
        if (lagged < began and not starved) or not excuse(result.outcome, result.reason):
            return result
        detail = f"the checker was overloaded, so this does not count: {result.detail or result.reason.label}"
        return replace(result, outcome=Outcome.UNKNOWN, reason=Reason.OVERLOADED, detail=detail)

    def _pulse(self) -> None:
        now = self._loop.time()
        self._late_s += max(now - self._pulse_due, 0.0)
        if now - self._pulse_due > self._lag_limit_s:
            self._lagged_until = now
            log.warning("probe_loop.lagged", lag_s=round(now - self._pulse_due, 3), in_flight=len(self._running))
        if self._dropped:
            log.warning("probe_loop.dropped_late", jobs=self._dropped, in_flight=len(self._running))
            self._dropped = 0
        self._pulse_due = now + PULSE_S
        self._loop.call_at(self._pulse_due, self._pulse)
