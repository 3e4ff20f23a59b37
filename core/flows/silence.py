"""From silence to a missed heartbeat: the detector.

Invariants: nothing is changed whose deadline has moved since the detector looked; nobody is called missed whose ping is on its way to us,
or may have met a gap of our own edge.
"""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.adapters.database import Pool
from core.adapters.heartbeat_table import EdgeUnreachable, HeartbeatTable
from core.adapters.store import heartbeats as store
from core.adapters.store import unknown_silence
from core.domain.heartbeat import Heartbeat
from core.domain.heartbeat_watch import (
    MARGIN,
    EdgeState,
    Missed,
    Postponed,
    Projection,
    Unknown,
    excuse,
    is_behind,
    judge,
    rearmed,
    window_from,
)
from core.domain.transitions import Transition
from core.flows.edge_watch import CLEAR, EdgeWatcher, Sight
from core.flows.heartbeats import Applied
from core.flows.incidents import record_transitions
from core.logs import get_logger

log = get_logger(__name__)

DUE_LIMIT: Final = 1000
DUE_ROUNDS: Final = 20
"""After so many times the limit the next tick goes on."""

CATCH_UP: Final = timedelta(minutes=10)
"""How long a heartbeat whose pings are on their way is not called missed."""

type Verdict = Postponed | Missed | Unknown


class Backlog:
    """Who waits for pings that are on their way, and since when: what they say comes before what silence says.

    A ping that never comes (a dead letter) holds a verdict up for `longest` only. Safe to share between threads.
    """

    def __init__(self, longest: timedelta = CATCH_UP) -> None:
        self._longest = longest
        self._since: dict[int, datetime] = {}
        self._lock = threading.Lock()

    def holds(self, monitor_id: int, now: datetime, *, is_behind: bool) -> bool:
        """Whether this heartbeat is not judged yet."""
        with self._lock:
            if not is_behind:
                self._since.pop(monitor_id, None)
                return False
            return now - self._since.setdefault(monitor_id, now) < self._longest

    def tidy(self, now: datetime) -> None:
        """Drop what is too old to matter."""
        with self._lock:
            self._since = {key: since for key, since in self._since.items() if now - since < 2 * self._longest}


class Detector:
    """Judges heartbeats whose deadline has passed. Safe to share between threads.

    Without a watcher our edge counts as well all the time.
    """

    def __init__(self, pool: Pool, table: HeartbeatTable, watcher: EdgeWatcher | None = None) -> None:
        self._pool = pool
        self._table = table
        self._watcher = watcher
        self._backlog = Backlog()

    def judge_due(self, now: datetime, limit: int = DUE_LIMIT) -> Applied:
        """Judge every heartbeat whose deadline has passed, `limit` in each transaction. An unreachable edge judges nobody."""
        self._backlog.tidy(now)
        applied = Applied()
        last: Heartbeat | None = None
        before = now - MARGIN
        for _ in range(DUE_ROUNDS):
            with self._pool.connection() as connection:
                overdue = store.due(connection, before, limit, last)
            if overdue and last is None:  # a tick that finds nobody asks nothing more
                before = self._before(now)
                overdue = [h for h in overdue if h.state.deadline_at and h.state.deadline_at <= before]
            part = self._judge(overdue, now)
            applied = applied.add(part)
            if len(overdue) < limit or part.edge_unreachable:
                break
            last = overdue[-1]
        return applied

    def judge_one(self, uid: UUID, now: datetime) -> Applied:
        """Judge one heartbeat, if its deadline has passed."""
        with self._pool.connection() as connection:
            overdue = store.due_one(connection, uid, self._before(now))
        return self._judge(overdue, now)

    def _before(self, now: datetime) -> datetime:
        """Nobody whose deadline is later is judged now."""
        horizon = self._watcher.sight(now, now).horizon if self._watcher else None
        return min(now - MARGIN, horizon) if horizon else now - MARGIN

    def _judge(self, overdue: Sequence[Heartbeat], now: datetime) -> Applied:
        """Read the edge outside any transaction, then compare, judge and set in one."""
        if not overdue:
            return Applied()
        try:
            edge = self._table.latest(heartbeat.monitor.uid for heartbeat in overdue)
            sight = self._sight(overdue, edge, now)
            with self._pool.connection() as connection, connection.transaction():
                unmoved = store.lock_unmoved(connection, overdue)
                verdicts = [(h, self._verdict(h, edge[h.monitor.uid], now, sight)) for h in unmoved if h.monitor.uid in edge]
                nowhere = [h for h in unmoved if h.monitor.uid not in edge]
                lost = self._made_anew(nowhere, now)
                later = [(h.monitor.id, v.due_at, v.deadline_at) for h, v in verdicts if isinstance(v, Postponed)]
                missed = [verdict for _, verdict in verdicts if isinstance(verdict, Missed)]
                unknown = [verdict for _, verdict in verdicts if isinstance(verdict, Unknown)]
                store.postpone(connection, later)
                store.save(connection, [*(v.heartbeat for v in missed), *(v.heartbeat for v in unknown), *lost])
                since = [(v.heartbeat.monitor.id, v.since) for v in unknown]
                since += [(h.monitor.id, h.state.deadline_at) for h in nowhere if h.state.deadline_at]
                if since:
                    unknown_silence.note(connection, since)
                transitions: list[Transition] = [verdict.transition for verdict in missed if verdict.transition]
                alert_ids = record_transitions(connection, transitions, now)
        except EdgeUnreachable as error:
            log.warning("heartbeat.edge_unreachable", overdue=len(overdue), error=str(error))
            return Applied(edge_unreachable=True)
        excused = [verdict.heartbeat.monitor for verdict in unknown]
        return Applied(alert_ids, transitions=transitions, judged=len(overdue), unknown=excused)

    def _sight(self, overdue: Sequence[Heartbeat], edge: Mapping[UUID, EdgeState], now: datetime) -> Sight:
        """What is known of our own gaps; with a fresh proof that the edge takes pings if anybody is about to be called missed."""
        if self._watcher is None:
            return CLEAR
        judged = ((h, judge(h, edge[h.monitor.uid], now)) for h in overdue if h.monitor.uid in edge)
        silent = [window_from(h, verdict) for h, verdict in judged if isinstance(verdict, Missed)]
        return self._watcher.sight(min(silent), now, fresh=True) if silent else CLEAR

    def _verdict(self, heartbeat: Heartbeat, edge: EdgeState, now: datetime, sight: Sight) -> Verdict | None:
        """None: not yet. Pings on their way are stored first, and what is under way at the edge comes to its end."""
        verdict = judge(heartbeat, edge, now)
        if not isinstance(verdict, Missed):
            return verdict
        if sight.horizon and verdict.window_until > sight.horizon:
            return None
        if self._backlog.holds(heartbeat.monitor.id, now, is_behind=is_behind(heartbeat, edge)):
            return None
        excused = excuse(heartbeat, verdict, sight.gaps)
        if excused and sight.horizon and excused.gap.ended_at >= sight.horizon:
            return None  # it goes on
        return excused or verdict

    def _made_anew(self, lost: Sequence[Heartbeat], now: datetime) -> list[Heartbeat]:
        """New expectations for heartbeats without an item at the edge: their pings ended in 404, which is our fault and not theirs.

        Their items are made anew while their rows are locked, so that a deletion waits and then removes them again.
        """
        if not lost:
            return []
        log.error("heartbeat.lost_at_edge", heartbeats=[str(h.monitor.uid) for h in lost])
        self._table.rebuild(Projection(h.monitor.uid, h.monitor.workspace_id, h.config_version, h.state) for h in lost)
        return [rearmed(heartbeat, now) for heartbeat in lost]
