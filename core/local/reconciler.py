"""Empties the ping gateway's journal: what PostgreSQL has is settled, what is missing there for too long is run again.

Running again is idempotent by ping id: the Lambda records a ping once, the core stores it once.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from itertools import batched, islice
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from core.adapters.database import Pool
from core.adapters.store import edge
from core.local.journal import Journal, JournalUnavailable, Waiting
from core.local.ping_runner import PingRunner
from core.logs import get_logger

PAUSE_S = 2.0
BATCH = 500
OVERDUE_S = 10.0
"""A ping that is not in PostgreSQL after this time is run again; then after twice the time, and so on."""

LONGEST_PAUSE_S = 600.0
AGAIN_LIMIT = 50
"""Pings run again in one round: while the core is away, re-runs must not crowd out new pings."""

_log = get_logger(__name__)


class Reconciler:
    """One round at a time, in a thread of its own. `now` gives the time (aware UTC)."""

    def __init__(self, journal: Journal, runner: PingRunner, pool: Pool, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._runner = runner
        self._pool = pool
        self._now = now
        self._pauses: dict[UUID, tuple[datetime, float]] = {}
        self._canary_id: UUID | None = None

    def run_until(self, stop: threading.Event) -> None:
        """A round every few seconds until `stop` is set; a database or a disk that is away is tried again."""
        while not stop.wait(PAUSE_S):
            try:
                self.round()
            except (psycopg.Error, PoolTimeout, JournalUnavailable) as error:
                _log.warning("journal.not_reconciled", error=str(error))

    def round(self) -> None:
        """Settle what is stored or refused for good; run again what is overdue."""
        self._journal.settle(self._runner.take_final())
        waiting = self._runner.waiting()
        missing: list[Waiting] = []
        for batch in batched(self._journal.living(), BATCH, strict=False):
            stored = self._stored(batch) | self._from_canary(batch, waiting)
            self._journal.settle(list(stored))
            missing += [entry for entry in batch if entry.id not in stored and entry.id not in waiting]
            if not stored:
                break
        self._run_again(missing)

    def _stored(self, batch: Sequence[Waiting]) -> set[UUID]:
        times = [entry.received_ms for entry in batch]
        with self._pool.connection(timeout=PAUSE_S) as connection:
            return edge.stored_pings(connection, [entry.id for entry in batch], _moment(min(times)), _moment(max(times)))

    def _from_canary(self, batch: Sequence[Waiting], waiting: AbstractSet[UUID]) -> set[UUID]:
        """The pings of our own canary that the Lambda has taken: nobody stores them."""
        if self._canary_id is None:
            with self._pool.connection(timeout=PAUSE_S) as connection:
                self._canary_id = edge.canary_id(connection)
        return {entry.id for entry in batch if entry.heartbeat == self._canary_id and entry.id not in waiting}

    def _run_again(self, missing: Sequence[Waiting]) -> None:
        due = list(islice(self._due(missing), AGAIN_LIMIT))
        living = {entry.id for entry in missing}
        self._pauses = {entry_id: pause for entry_id, pause in self._pauses.items() if entry_id in living}
        if due:
            _log.info("ping.run_again", count=len(due), oldest_ms=due[0].received_ms)
            self._runner.requeue(due)

    def _due(self, missing: Sequence[Waiting]) -> Iterator[Waiting]:
        now = self._now()
        for entry in missing:
            at, pause_s = self._pauses.get(entry.id, (_moment(entry.received_ms) + timedelta(seconds=OVERDUE_S), OVERDUE_S))
            if now >= at:
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                self._pauses[entry.id] = (now + timedelta(seconds=pause_s), pause_s)
                yield entry


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
