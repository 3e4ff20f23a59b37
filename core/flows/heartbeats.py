"""From pings to the state of heartbeats (`core.flows.silence` judges those from which none comes).

Invariants: a ping counts once, because only the transaction that inserts it applies it; a state changes under its row lock, together with
the incident, alert and event that follow.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from core.adapters.database import Connection
from core.adapters.event_bus import EventBus
from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.store import edge
from core.adapters.store import heartbeats as store
from core.adapters.store.outbox import OutboxEvent
from core.contracts.events import Detail, HeartbeatPinged
from core.domain import heartbeat as rules
from core.domain.heartbeat import Heartbeat, PingFact
from core.domain.transitions import CameUp, MonitorRef, Transition
from core.flows.heartbeat_creation import create_missing
from core.flows.heartbeat_statistics import due_times
from core.flows.incidents import record_transitions

SWEEP_AFTER: Final = timedelta(seconds=30)
"""How long a ping may be on its way before it is published again."""


CREATION: Final = timedelta(minutes=10)
"""Longer than any transaction that creates a heartbeat may take."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A ping that was stored now, with its heartbeat: for the metrics."""

    heartbeat: Heartbeat
    ping: HeartbeatPinged


@dataclass(frozen=True, slots=True)
class Applied:
    """What a flow did. After the commit: kick `alert_ids`, and count the rest (`core.flows.heartbeat_metrics`).

    `downtimes` are the lengths of the outages that ended; `judged` says how many heartbeats the detector has looked at,
    `unknown` whose silence proves nothing, because our edge had a gap. `waiting` are pings that are not stored yet: their heartbeat may be
    about to be created, so they stay pending and come again.
    """

    alert_ids: list[UUID] = field(default_factory=list)
    pings: list[Counted] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    downtimes: list[tuple[MonitorRef, timedelta]] = field(default_factory=list)
    judged: int = 0
    unknown: list[MonitorRef] = field(default_factory=list)
    edge_unreachable: bool = False
    waiting: frozenset[UUID] = frozenset()

    def add(self, other: "Applied") -> "Applied":
        """Both together."""
        return Applied(
            self.alert_ids + other.alert_ids,
            self.pings + other.pings,
            self.transitions + other.transitions,
            self.downtimes + other.downtimes,
            self.judged + other.judged,
            self.unknown + other.unknown,
            self.edge_unreachable or other.edge_unreachable,
            self.waiting | other.waiting,
        )


def apply_pings(connection: Connection, pings: Sequence[Detail[HeartbeatPinged]], now: datetime) -> Applied:
    """Store pings and let the new ones change their heartbeats, in the order of their sequences. One transaction.

    Heartbeats that their first ping created are made first. Pings that are stored already, and those of heartbeats that were deleted,
    change nothing. Those of heartbeats that may be about to be created wait.
    """
    with connection.transaction():
        create_missing(connection, pings, now)
        heartbeats, created_soon = _locked(connection, [ping.data.heartbeat_id for ping in pings], now)
        known = {p.data.ping_id: p.data for p in pings if p.data.heartbeat_id in heartbeats}
        due = due_times(heartbeats, known.values())
        rows = [_row(heartbeats[p.heartbeat_id], p, due.get(p.ping_id)) for p in known.values()]
        inserted = store.insert_pings(connection, rows) if rows else set()
        new = [known[ping_id] for ping_id in inserted]
        changed, transitions, downtimes = _step(heartbeats, new)
        if changed:
            store.save(connection, changed)
        if resumed := [h.monitor.id for h in changed if heartbeats[h.monitor.uid].paused_at and h.paused_at is None]:
            store.resume(connection, resumed, now)
        alert_ids = _record(connection, transitions, now)
    after = {h.monitor.uid: h for h in changed}
    waiting = frozenset(ping.data.ping_id for ping in pings if ping.data.heartbeat_id in created_soon)
    counted = [Counted(after[ping.heartbeat_id], ping) for ping in new]
    return Applied(alert_ids, counted, transitions, downtimes, waiting=waiting)


def realign(connection: Connection, now: datetime, jump_s: float) -> int:
    """The wall clock was set by `jump_s` seconds: nobody is late because of that; returns how many deadlines were moved.

    Set back, a schedule of times on the wall expects again what comes after now, where the last ping is stamped later than that.
    """
    with connection.transaction():
        moved = store.realign(connection, now=now, jump_s=jump_s)
        if jump_s < 0 and (stamped_later := store.lock_stamped_later(connection, now)):
            store.save(connection, [_counted_from(heartbeat, now) for heartbeat in stamped_later])
            moved += len(stamped_later)
    return moved


def sweep_pending(table: HeartbeatTable, bus: EventBus, now: datetime) -> int:
    """Publish pings again that the core should have stored by now; returns how many the bus took.

    Raises:
        EdgeUnreachable: try again at the next sweep.
    """
    late = table.pending(now, SWEEP_AFTER)
    taken = bus.publish([OutboxEvent(HeartbeatPinged.__name__, ping.detail) for ping in late])
    published = [ping for ping, done in zip(late, taken, strict=True) if done]
    table.put_off(published, now, SWEEP_AFTER)
    return len(published)


def _locked(connection: Connection, uids: Sequence[UUID], now: datetime) -> tuple[dict[UUID, Heartbeat], set[UUID]]:
    """The heartbeats with these ids, locked, and which of the others may be about to be created.

    A creation notes the id before its slug leads to it, and removes the note with the commit that makes the row. So the note is looked for
    first and the row then: whoever finds neither looks for what is no more.
    """
    found = {h.monitor.uid: h for h in store.lock(connection, uids)}
    missing = [uid for uid in uids if uid not in found]
    if not missing:
        return found, set()
    noted = edge.noted_since(connection, missing, now - CREATION)
    found |= {h.monitor.uid: h for h in store.lock(connection, missing)}
    return found, noted - found.keys()


def _row(heartbeat: Heartbeat, ping: HeartbeatPinged, due_at: datetime | None) -> store.PingRow:
    return store.PingRow(
        ping.ping_id,
        heartbeat.monitor.id,
        ping.sequence,
        ping.pinged_at,
        ping.kind,
        ping.exit_status,
        ping.method,
        ping.source_ip,
        ping.user_agent,
        ping.body_size,
        ping.body_truncated,
        ping.body_lost,
        ping.rid,
        ping.started_at,
        due_at,
    )


def _step(
    heartbeats: dict[UUID, Heartbeat], pings: Iterable[HeartbeatPinged]
) -> tuple[list[Heartbeat], list[Transition], list[tuple[MonitorRef, timedelta]]]:
    """The heartbeats that these pings change, what follows (each heartbeat's in order), and how long ended outages were."""
    changed: dict[UUID, Heartbeat] = {}
    transitions: list[Transition] = []
    downtimes: list[tuple[MonitorRef, timedelta]] = []
    for ping in sorted(pings, key=lambda ping: ping.sequence):
        before = changed.get(ping.heartbeat_id, heartbeats[ping.heartbeat_id])
        body_of = ping.ping_id if ping.body_size else None
        fact = PingFact(ping.sequence, ping.kind, ping.exit_status, ping.pinged_at, ping.rid, ping.started_at, body_of)
        changed[ping.heartbeat_id], transition = rules.step(before, fact)
        if transition:
            transitions.append(transition)
        if isinstance(transition, CameUp) and before.state.changed_at:
            downtimes.append((transition.monitor, max(transition.at - before.state.changed_at, timedelta())))
    return sorted(changed.values(), key=lambda heartbeat: heartbeat.monitor.id), transitions, downtimes


def _record(connection: Connection, transitions: Sequence[Transition], now: datetime) -> list[UUID]:
    """Record in rounds with one transition a monitor: a batch may hold an outage, its end and the next outage."""
    rounds: list[list[Transition]] = []
    seen: dict[int, int] = defaultdict(int)
    for transition in transitions:
        nth = seen[transition.monitor.id]
        seen[transition.monitor.id] += 1
        if nth == len(rounds):
            rounds.append([])
        rounds[nth].append(transition)
    return [alert_id for part in rounds for alert_id in record_transitions(connection, part, now)]


def _counted_from(heartbeat: Heartbeat, now: datetime) -> Heartbeat:
    """As if its last ping had come now; its runs are as they are."""
    return replace(heartbeat, state=rules.expecting(replace(heartbeat.state, anchor_at=now), heartbeat.schedule))
