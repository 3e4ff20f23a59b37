"""From the tick to the queue: claim what is due in the next moment and send it in batches; what cannot be sent is handed back."""

from collections.abc import Sequence
from datetime import datetime
from itertools import batched
from math import isfinite
from typing import Final, Protocol

from core.adapters.database import Pool
from core.checker.pace import Pacer, horizon
from core.contracts.tasks import CHECKS
from core.flows import websites
from core.flows.websites import Claim
from core.logs import get_logger

log = get_logger(__name__)

BATCH: Final = 250
MOST_WAITING: Final = 40
"""Batches that may wait in the queue. Beyond it workers do not keep up, and claiming more would only let leases run out in the queue."""

BATCH_EXPIRES_S: Final = 120.0


class Broker(Protocol):
    """The part of the task queue that dispatching needs."""

    def lengths(self, queues: Sequence[str]) -> dict[str, int]:
        """Messages waiting by queue."""
        ...

    def send(self, task_name: str, *args: object, expires_s: float | None = None) -> bool:
        """Whether the broker took the task."""
        ...


def claim_limit(waiting: int) -> int:
    """How many websites to claim while `waiting` batches are in the queue: the longer it is, the fewer."""
    return max(MOST_WAITING - waiting, 0) * BATCH


class Clock(Protocol):
    """The part of the clock watch that dispatching needs."""

    def jump(self) -> float:
        """Seconds by which the wall clock was set since `settle`; minus infinity when nobody knows."""
        ...

    def settle(self) -> None:
        """What followed from the jump is done."""
        ...


def follow_clock(pool: Pool, clock: Clock, now: datetime) -> None:
    """Move the schedule with a wall clock that was set."""
    jump_s = clock.jump()
    if not jump_s:
        return
    with pool.connection() as connection:
        moved = websites.realign(connection, now, jump_s)
    clock.settle()
    if moved:
        log.warning("dispatch.clock_was_set", seconds=round(jump_s, 1) if isfinite(jump_s) else None, websites_moved=moved)


def dispatch_due(pool: Pool, broker: Broker, now: datetime, pacer: Pacer, ahead_s: float | None = None) -> int:
    """Send what is due until the next tick to the workers; returns how many websites were sent.

    `ahead_s` is when that comes, as beat says with each tick; None for a look that somebody asked for in between.
    """
    limit = claim_limit(broker.lengths([CHECKS])[CHECKS])
    if limit == 0:
        log.warning("dispatch.workers_behind", waiting_batches=MOST_WAITING)
        return 0
    reach = horizon(pacer.pace_s() if ahead_s is None else ahead_s)
    with pool.connection() as connection:
        claim = websites.claim_due(connection, now, horizon=reach, limit=limit)
    pacer.found(len(claim.ids))
    return _send(pool, broker, claim)


def _send(pool: Pool, broker: Broker, claim: Claim) -> int:
    sent = 0
    for ids in batched(claim.ids, BATCH, strict=False):
        if not broker.send("check_websites", list(ids), str(claim.lease_id), expires_s=BATCH_EXPIRES_S):
            with pool.connection() as connection:
                websites.hand_back(connection, claim.lease_id, claim.ids[sent:])
            return sent
        sent += len(ids)
    return sent
