"""Watch our own edge, so that silence in its gaps is nobody's fault.

Invariants: a time in which the canary failed, or in which nobody asked and no ping came in, is a gap before anybody is judged by it; a gap
in which nobody asked is settled once, after all pings of it are stored. Whoever writes holds the row of `edge_watch`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from core import metrics
from core.adapters.database import Connection, Pool
from core.adapters.heartbeat_table import EdgeUnreachable, HeartbeatTable
from core.adapters.store import edge_gaps as store
from core.adapters.store.edge_gaps import StoredGap
from core.domain import edge_gaps as rules
from core.domain.edge_gaps import EdgeWatch, Gap
from core.logs import get_logger

log = get_logger(__name__)

FRESH: Final = timedelta(seconds=5)
"""A proof that is older is renewed before anybody is called missed."""


class Canary(Protocol):
    """Something that pings our own public address."""

    def is_well(self, canary_id: UUID) -> bool:
        """Whether a ping was taken now. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Sight:
    """What can be judged now: nobody whose deadline is after `horizon`, and nobody whose ping may have met one of `gaps`."""

    horizon: datetime | None
    gaps: list[Gap]


CLEAR: Final = Sight(None, [])


class EdgeWatcher:
    """Asks the canary and remembers the answers. Without a canary everything is clear. `clock` gives the time at which it answered."""

    def __init__(
        self, pool: Pool, table: HeartbeatTable, canary: Canary | None, interval: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._table = table
        self._canary = canary
        self._interval = interval
        self._clock = clock

    def look(self) -> None:
        """Ask the canary now, store what follows, and settle what can be settled."""
        assert self._canary, "nobody looks without a canary"
        with self._pool.connection() as connection:
            canary_id, _ = store.watch(connection)
        is_well = self._canary.is_well(canary_id)
        with self._pool.connection() as connection, connection.transaction():
            self._note(connection, is_well=is_well)
        self.settle()

    def sight(self, since: datetime, now: datetime, *, fresh: bool = False) -> Sight:
        """What can be judged of deadlines after `since`. `fresh`: with a proof that is not older than `FRESH`."""
        if self._canary is None:
            return CLEAR
        watch, gaps = self._known(since)
        if fresh and watch.proved_at is not None and not watch.failing_since and now - watch.proved_at > FRESH:
            self.look()
            watch, gaps = self._known(since)
        return Sight(rules.horizon(watch, gaps), gaps)

    def _known(self, since: datetime) -> tuple[EdgeWatch, list[Gap]]:
        with self._pool.connection() as connection:
            return store.watch(connection)[1], store.gaps_since(connection, since)

    def settle(self) -> int:
        """Look for pings in the gaps in which nobody asked, once all pings of that time are stored; returns how many gaps were settled."""
        now = self._clock()
        with self._pool.connection() as connection, connection.transaction():
            return sum(self._settle(connection, stored, now) for stored in store.lock_unsettled(connection))

    def _note(self, connection: Connection, *, is_well: bool) -> None:
        _, before = store.watch(connection, lock=True)
        now = self._clock()
        after, gaps = (rules.proved if is_well else rules.failed)(before, now, self._interval)
        if not is_well and rules.is_doubtful(after, now) and store.has_pings(connection, now - self._interval, now):
            after = EdgeWatch()
            log.error("edge.canary_not_believed", failing_since=str(before.failing_since))
        if gaps:
            store.insert_gaps(connection, gaps)
        store.save_watch(connection, after)
        _tell(before, after, gaps)

    def _settle(self, connection: Connection, stored: StoredGap, now: datetime) -> bool:
        gap = stored.gap
        if now - gap.ended_at < rules.PATIENCE and not self._is_stored(gap.ended_at):
            return False
        left = rules.without(gap, store.proofs(connection, gap), self._interval)
        store.replace(connection, stored, left)
        metrics.EDGE_GAP_SECONDS.inc(sum(one.length.total_seconds() for one in left))
        log.warning("edge.silence_settled", began_at=str(gap.began_at), ended_at=str(gap.ended_at), gaps=len(left))
        return True

    def _is_stored(self, until: datetime) -> bool:
        """Whether every ping up to a time is stored."""
        try:
            return not self._table.pending(until, timedelta(0), limit=1, resting=True)
        except EdgeUnreachable as error:
            log.warning("edge.not_settled", error=str(error))
            return False


def _tell(before: EdgeWatch, after: EdgeWatch, gaps: Sequence[Gap]) -> None:
    """One line for the operator when the edge is away, and one when it is back; and the metrics."""
    if after.proved_at:
        metrics.EDGE_PROVED.set(after.proved_at.timestamp())
    if after.failing_since and not before.failing_since:
        log.error(
            "own_trouble.began", reason="edge", detail="our own ping address does not answer", since=str(after.failing_since)
        )
    for gap in gaps:
        if gap.silent:
            log.warning("edge.silence", began_at=str(gap.began_at), ended_at=str(gap.ended_at))
        else:
            log.warning("own_trouble.ended", reason="edge", seconds=round(gap.length.total_seconds(), 1))
            metrics.EDGE_GAP_SECONDS.inc(gap.length.total_seconds())
