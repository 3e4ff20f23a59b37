"""What a worker process holds: connections from its first task on, the probe loop and the flush from its first check on."""

import gc
import threading
from collections.abc import Callable, Sequence
from copy import replace
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import psycopg
from prometheus_client import REGISTRY

from core.adapters.check_reports import CheckReports
from core.adapters.database import Pool, open_pool
from core.adapters.option_seal import OptionSeal
from core.adapters.task_queue import TaskQueue
from core.adapters.tick_pace import TickPace
from core.checker.canaries import Aviary
from core.checker.clocks import ClockWatch
from core.checker.flush import Flusher
from core.checker.heap import Heap
from core.checker.loop import Engine, ProbeLoop
from core.checker.pace import CALM_S, Nudge, Pacer, horizon
from core.checker.settings import CheckerSettings, process_settings
from core.checker.website_series import WebsiteSeries
from core.checker.wishes import Wishes
from core.flows import websites
from core.flows.websites import Applied, Claim, Finished
from core.logs import get_logger

log = get_logger(__name__)

ROOM_WAIT_S: Final = 1.0
FLUSH_CONNECTION_TIMEOUT_S: Final = 5.0
LAST_FLUSH_S: Final = 2.0
GARBAGE_AFTER: Final = 20_000
"""New objects until cycles among them are looked for. Checks make many objects and hardly a cycle."""


class Runtime:
    """The resources of one process. Safe to share between the threads of its pool."""

    def __init__(
        self,
        settings: CheckerSettings,
        make_engine: Callable[[], Engine] | None = None,
        make_aviary: Callable[[], Aviary] | None = None,
    ) -> None:
        self.settings = settings
        self.pool: Pool = open_pool(settings.database_url.reveal(), application="checker", size=settings.database_connections)
        self.queue = TaskQueue(settings.broker_url.reveal())
        self._reports = CheckReports(settings.redis_url.reveal())
        self._wishes = Wishes(self._reports)
        self._make_engine = make_engine or self._probe_engine
        self._make_aviary = make_aviary or self._canaries
        self._seal = OptionSeal(settings.vault_keys)
        self._series = WebsiteSeries(settings.metrics_monitor_limit)
        REGISTRY.register(self._series)
        self.clock = ClockWatch()
        self._heap = Heap()
        self._board = TickPace(settings.redis_url.reveal())
        self.pacer = Pacer(self._board)
        self._nudge = Nudge(self.queue.look_soon)
        self._lock = threading.Lock()
        self._flusher: Flusher | None = None
        self._loop: ProbeLoop | None = None
        self._stopped = False

    def check_one(self, website: UUID) -> bool:
        """Check one website now and answer whoever waits for it; False when it is paused, gone or being checked already.

        Whoever is checking it already is told to answer.

        Raises:
            psycopg.OperationalError, redis.RedisError: PostgreSQL or Redis is away.
        """
        self._checking()
        self._wishes.add(website)
        with self.pool.connection() as connection:
            claim = websites.claim_now(connection, website, datetime.now(UTC))
        if not claim.ids:
            self._reports.announce(website)
            return False
        return self.check(claim, waited_for=True) > 0

    def check(self, claim: Claim, *, waited_for: bool = False) -> int:
        """Put the websites that are still under this claim on the probe loop; returns how many.

        What the loop has no room for is handed back and due again at once. `waited_for`: somebody wants to see all of it.

        Raises:
            psycopg.OperationalError: PostgreSQL is away; the lease will end by itself.
        """
        now = datetime.now(UTC)
        with self.pool.connection() as connection:
            jobs, spoilt = websites.load(connection, claim, now, open_sealed=self._seal.open)
        if waited_for:
            jobs = [replace(job, request=replace(job.request, shows_certificate=True)) for job in jobs]
        loop, flusher = self._checking()
        for done in spoilt:
            flusher.put(done)
        if jobs and not loop.submit(jobs, ROOM_WAIT_S):
            log.warning("runtime.no_room", jobs=len(jobs))
            self._hand_back([(job.lease_id, job.monitor.id) for job in jobs])
            return 0
        return len(jobs)

    def stop(self) -> None:
        """Finish or abort what is in flight, store it, hand the rest back, close. Safe to call twice."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        REGISTRY.unregister(self._series)
        try:
            if self._loop and self._flusher:
                self._finish(self._loop, self._flusher)
        finally:  # a pool that is left open holds the exit of the process up for many seconds
            self._nudge.close()
            self.queue.close()
            self._board.close()
            self._reports.close()
            self.pool.close(timeout=1.0)

    def _finish(self, loop: ProbeLoop, flusher: Flusher) -> None:
        unstarted = loop.stop(self.settings.drain_s)
        lost = flusher.stop(LAST_FLUSH_S)
        log.info("runtime.stopped", handed_back=len(unstarted), not_stored=lost)
        if lost:
            return
        try:
            self._hand_back([(job.lease_id, job.monitor.id) for job in unstarted], timeout_s=LAST_FLUSH_S)
        except psycopg.OperationalError as error:
            log.warning("runtime.leases_left", jobs=len(unstarted), error=str(error))

    def _checking(self) -> tuple[ProbeLoop, Flusher]:
        with self._lock:
            if self._flusher is None:
                self._flusher = Flusher(self._store, self._committed, self._wishes.concern)
                self._flusher.start()
                self._reports.listen(self._wanted)
            if self._loop is None or not (self._loop.alive or self._stopped):
                loop = ProbeLoop(
                    self._make_engine,
                    self._flusher.put,
                    max_in_flight=self.settings.max_in_flight,
                    lag_limit_s=self.settings.lag_limit_s,
                    make_aviary=self._make_aviary,
                )
                loop.start()
                self._loop = loop
            return self._loop, self._flusher

    def _probe_engine(self) -> Engine:
        from core.adapters.probe import ProbeEngine  # noqa: PLC0415  (libcurl and its certificates: only for who probes)
        from core.adapters.resolver import Resolver  # noqa: PLC0415  (c-ares, likewise)

        settings = self.settings
        resolver = Resolver(settings.name_servers, questions_per_s=settings.name_questions_per_s)
        return ProbeEngine(resolver, private_targets=settings.private_targets, ca_file=settings.ca_file)

    def _canaries(self) -> Aviary:
        from core.adapters.canary import open_canaries  # noqa: PLC0415  (libcurl, likewise)

        settings = self.settings
        return Aviary(*open_canaries(settings.name_servers, urls=settings.canary_urls, names=settings.canary_names))

    def _store(self, results: Sequence[Finished]) -> Applied:
        with self.pool.connection(FLUSH_CONNECTION_TIMEOUT_S) as connection:
            return websites.apply_results(connection, results, datetime.now(UTC))

    def _wanted(self, website: UUID) -> None:
        """Somebody waits for a website that this process, or another, holds already."""
        self._wishes.add(website)
        if self._loop is not None:
            self._loop.hasten(website)

    def _committed(self, applied: Applied) -> None:
        self.queue.kick_alerts(applied.alert_ids)
        self._wishes.answer(applied)
        if applied.judged and min(step.next_check_at for _, step in applied.judged) < datetime.now(UTC) + horizon(CALM_S):
            self._nudge()
        self._series.count(applied, datetime.now(UTC))
        if applied.stale:
            log.info("flush.stale", results=applied.stale)
        self._heap.trim()

    def _hand_back(self, held: Sequence[tuple[UUID, int]], timeout_s: float = FLUSH_CONNECTION_TIMEOUT_S) -> None:
        if not held:
            return
        by_lease: dict[UUID, list[int]] = {}
        for lease_id, monitor_id in held:
            by_lease.setdefault(lease_id, []).append(monitor_id)
        with self.pool.connection(timeout_s) as connection:
            for lease_id, ids in by_lease.items():
                websites.hand_back(connection, lease_id, ids)
        self.queue.look_soon()


class _Process:
    """The runtime of this process, made when a task first needs it: after a fork, never before."""

    lock = threading.Lock()
    runtime: Runtime | None = None


def runtime() -> Runtime:
    """The runtime of this process."""
    with _Process.lock:
        if _Process.runtime is None:
            _Process.runtime = Runtime(process_settings())
            gc.freeze()  # what was loaded so far stays: looking through it again and again would hold the loop up
            gc.set_threshold(GARBAGE_AFTER)
        return _Process.runtime


def shut_down() -> None:
    """Stop the runtime of this process, if it has one."""
    with _Process.lock:
        held, _Process.runtime = _Process.runtime, None
    if held:
        held.stop()
