"""Any interleaving of late, duplicate and reordered results gives the same incidents as the in-order sequence.

The flows are the real ones, the store below is the fence in a few lines of Python; the integration test of the same name plays the same
machine on SQL.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from copy import replace
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast
from unittest.mock import patch
from uuid import UUID

import psycopg
import pytest
from hypothesis import Phase

from core.adapters.store.websites import CheckRow, ConfigRow
from core.domain.outcomes import MonitorState
from core.domain.schedule import next_check_at
from core.domain.transitions import CameUp, Transition, WentDown
from core.domain.website import Policy, WebsiteState
from core.flows import websites as flows
from core.flows.websites import Claim
from tests.interleavings import TIMEOUT, Incident, OverFlows, play

INTERVAL = timedelta(seconds=60)


@dataclass
class Row:
    """One website with its state."""

    policy: Policy
    next_check_at: datetime | None
    state: WebsiteState = field(default_factory=WebsiteState)
    lease_id: UUID | None = None
    leased_until: datetime | None = None

    def is_free(self, now: datetime) -> bool:
        return self.leased_until is None or self.leased_until <= now

    def take(self, lease_id: UUID, due_at: datetime, now: datetime, margin: timedelta) -> None:
        self.next_check_at, self.lease_id = due_at, lease_id
        self.leased_until = max(due_at, now) + TIMEOUT + margin

    def end_lease(self) -> None:
        self.lease_id = self.leased_until = None

    def void(self) -> None:
        self.end_lease()

    def forget_counts(self) -> None:
        self.state = replace(self.state, failures=0, successes=0, first_failure_at=None)


@dataclass
class Store:
    """What `core.adapters.store.websites` and `core.flows.incidents` do, in memory."""

    rows: dict[int, Row] = field(default_factory=dict)
    checks: list[int] = field(default_factory=list)
    incidents: dict[int, list[Incident]] = field(default_factory=dict)

    def claim_due(
        self, _: object, *, lease_id: UUID, now: datetime, horizon: timedelta, limit: int, margin: timedelta
    ) -> list[int]:
        due = sorted(
            (row.next_check_at, monitor_id)
            for monitor_id, row in self.rows.items()
            if row.next_check_at and row.next_check_at <= now + horizon and self.is_free(row, now)
        )[:limit]
        for due_at, monitor_id in due:
            self.rows[monitor_id].take(lease_id, due_at, now, margin)
        return [monitor_id for _, monitor_id in due]

    def is_free(self, row: Row, now: datetime) -> bool:
        return row.is_free(now)

    def claim_now(self, _: object, *, uid: UUID, lease_id: UUID, now: datetime, margin: timedelta) -> int | None:
        row = self.rows[uid.int]
        if row.next_check_at is None or not row.is_free(now):
            return None
        row.take(lease_id, now, now, margin)
        return uid.int

    def load(self, _: object, *, ids: Sequence[int], lease_id: UUID, now: datetime, margin: timedelta) -> list[ConfigRow]:
        found = []
        for monitor_id in ids:
            row = self.rows[monitor_id]
            if row.lease_id != lease_id or row.next_check_at is None or row.leased_until is None:
                continue
            is_short = row.leased_until - margin / 2 < max(row.next_check_at, now) + TIMEOUT
            found.append(config(monitor_id, row, row.next_check_at, row.leased_until, is_short=is_short))
        return found

    def renew(self, _: object, *, ids: Sequence[int], lease_id: UUID, now: datetime, margin: timedelta) -> dict[int, datetime]:
        ends = {}
        for monitor_id in ids:
            row = self.rows[monitor_id]
            assert row.lease_id == lease_id
            assert row.next_check_at
            row.leased_until = ends[monitor_id] = max(row.next_check_at, now) + TIMEOUT + margin
        return ends

    def release(self, _: object, *, lease_id: UUID, ids: Sequence[int]) -> None:
        for monitor_id in ids:
            if self.rows[monitor_id].lease_id == lease_id:
                self.rows[monitor_id].end_lease()

    def realign(self, _: object, *, now: datetime, jump_s: float, margin: timedelta) -> int:
        for row in self.rows.values():
            if row.next_check_at is None:
                continue
            if jump_s > 0:
                row.next_check_at += max(-((row.next_check_at - now) // INTERVAL), 0) * INTERVAL
            elif row.next_check_at > now + INTERVAL + timedelta(seconds=5):
                row.next_check_at = now + (row.next_check_at - now) % INTERVAL
            if row.leased_until and jump_s < 0:
                row.leased_until = min(row.leased_until, now + TIMEOUT + 2 * margin)
        return len(self.rows)

    def holds(self, saved: CheckRow, row: Row) -> bool:
        return row.lease_id == saved.lease_id and row.next_check_at is not None

    def save_gaps(self, _: object, gaps: Sequence[tuple[int, datetime]], *, outcome: int, reason: int) -> None:
        """Nobody asks for them here."""

    def save_checks(self, _: object, checks: Sequence[CheckRow]) -> set[int]:
        counted = [saved for saved in checks if self.holds(saved, self.rows[saved.monitor_id])]
        for saved in counted:
            self.save(saved, self.rows[saved.monitor_id])
            self.checks.append(saved.monitor_id)
        return {saved.monitor_id for saved in counted}

    def save(self, saved: CheckRow, row: Row) -> None:
        row.state, row.next_check_at = remembered(saved, row.state), saved.next_check_at
        row.end_lease()

    def record_transitions(self, _: object, transitions: Sequence[Transition], now: datetime) -> list[UUID]:
        for transition in transitions:
            told = self.incidents[transition.monitor.id]
            is_open = bool(told) and told[-1][1] is None
            if isinstance(transition, WentDown) and not is_open:
                told.append((transition.began_at, None))
            elif isinstance(transition, CameUp) and is_open:
                told[-1] = (told[-1][0], max(transition.at, told[-1][0]))
        return []


def remembered(saved: CheckRow, before: WebsiteState) -> WebsiteState:
    return WebsiteState(
        MonitorState(saved.state),
        saved.failures,
        saved.successes,
        saved.first_failure_at,
        saved.unknown_since,
        saved.checked_at,
        saved.changed_at or before.changed_at,
    )


def config(monitor_id: int, row: Row, due_at: datetime, leased_until: datetime, *, is_short: bool) -> ConfigRow:
    return ConfigRow(
        monitor_id=monitor_id,
        uid=UUID(int=monitor_id),
        workspace_id=UUID(int=1),
        name="shop",
        url="http://127.0.0.1:1/",
        method="GET",
        interval_s=row.policy.interval_s,
        retry_interval_s=row.policy.retry_interval_s,
        timeout_ms=int(TIMEOUT.total_seconds() * 1000),
        failure_threshold=row.policy.failure_threshold,
        recovery_threshold=row.policy.recovery_threshold,
        accepted_status="200-299",
        follow_redirects=True,
        max_redirects=5,
        verify_tls=True,
        options=None,
        sealed_options=None,
        due_at=due_at,
        leased_until=leased_until,
        is_short=is_short,
        state=row.state.state,
        failures=row.state.failures,
        successes=row.state.successes,
        first_failure_at=row.state.first_failure_at,
        unknown_since=row.state.unknown_since,
        last_checked_at=row.state.last_checked_at,
        changed_at=row.state.changed_at,
    )


class NoConnection:
    """The store in memory needs none."""

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()


class MemoryWorld(OverFlows):
    """The real flow functions over the store in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        super().__init__(cast("psycopg.Connection[Any]", NoConnection()))
        self._patches = ExitStack()
        self._patches.enter_context(patch.object(flows, "store", store))
        self._patches.enter_context(patch.object(flows, "record_transitions", store.record_transitions))
        self._patches.enter_context(patch.object(flows, "record_notices", lambda *_: []))

    def add(self, policy: Policy, now: datetime) -> int:
        monitor_id = len(self._store.rows) + 1
        self._store.rows[monitor_id] = Row(policy, now)
        self._store.incidents[monitor_id] = []
        return monitor_id

    def claim_now(self, monitor_id: int, now: datetime) -> Claim:
        return flows.claim_now(self._connection, UUID(int=monitor_id), now)

    def edit(self, monitor_id: int, now: datetime, *, request: bool) -> None:
        row = self._store.rows[monitor_id]
        row.void()
        if request:
            row.forget_counts()
        if row.next_check_at is not None:
            row.next_check_at = min(row.next_check_at, now if request else next_check_at(monitor_id, 60, now))

    def pause(self, monitor_id: int, now: datetime) -> None:
        row = self._store.rows[monitor_id]
        row.next_check_at = None
        row.void()
        row.forget_counts()

    def resume(self, monitor_id: int, now: datetime) -> None:
        self._store.rows[monitor_id].next_check_at = next_check_at(monitor_id, 60, now)

    def incidents(self, monitor_id: int) -> list[Incident]:
        return self._store.incidents[monitor_id]

    def checks(self, monitor_id: int) -> int:
        return self._store.checks.count(monitor_id)

    def close(self) -> None:
        self._patches.close()


def test_any_interleaving_gives_the_incidents_of_the_checks_in_order() -> None:
    play(lambda: MemoryWorld(Store()), max_examples=200)


def _keep_the_lease(self: Store, saved: CheckRow, row: Row) -> None:
    row.state, row.next_check_at = remembered(saved, row.state), saved.next_check_at


BREAKAGES: dict[str, tuple[type[Any], str, Callable[..., Any]]] = {
    "results count without their lease": (Store, "holds", lambda self, saved, row: row.next_check_at is not None),
    "results count while paused": (Store, "holds", lambda self, saved, row: row.lease_id in (saved.lease_id, None)),
    "a stored result leaves its lease": (Store, "save", _keep_the_lease),
    "an edit leaves the lease": (Row, "void", lambda self: None),
    "claims take what others hold": (Store, "is_free", lambda self, row, now: True),
    "claims wait for ever for what others hold": (Store, "is_free", lambda self, row, now: row.leased_until is None),
    "nothing ever counts": (Store, "holds", lambda self, saved, row: False),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_fence_is_found(breakage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*BREAKAGES[breakage])
    with pytest.raises(AssertionError):
        play(lambda: MemoryWorld(Store()), max_examples=200, phases=[Phase.generate], print_blob=False)
