"""Which of several beats ticks. During a deployment two of them run, and one stands by for the other at any time.

A tick that is sent twice costs work and nothing else, because websites are claimed in SQL; one that nobody sends is silence. So a beat
that cannot ask whether it leads, leads.
"""

from collections.abc import Callable
from typing import Final, Protocol

from core import metrics
from core.checker.clocks import steady
from core.logs import get_logger

log = get_logger(__name__)

LEASE_S: Final = 6.0
"""So long nothing ticks after the leader was killed, at most, and until the next question of the one that stands by."""

ASK_S: Final = 1.5
"""Beat turns every two seconds at least (`beat_max_loop_interval`), so it asks about three times within a lease."""


class Lease(Protocol):
    """What only one process holds at a time; neither method raises."""

    def hold(self, seconds: float) -> bool | None:
        """Take it, or renew it; False while another holds it, None where nobody could be asked."""
        ...

    def release(self) -> None:
        """Let another have it at once."""
        ...


class Leadership:
    """Knows until when this process leads. Its own clock ends a term: a process that was stopped for a minute leads no longer."""

    def __init__(self, lease: Lease, clock: Callable[[], float] = steady) -> None:
        self._lease = lease
        self._clock = clock
        self._asked_at = self._leads_until = float("-inf")
        self._led: bool | None = None

    def leads(self) -> bool:
        """Whether to tick now. Asks where it has not asked for a while."""
        now = self._clock()
        if now >= self._asked_at + ASK_S:
            self._asked_at = now
            held = self._lease.hold(LEASE_S)
            self._leads_until = float("-inf") if held is False else now + LEASE_S
        leads = self._clock() < self._leads_until
        if leads is not self._led:
            log.info("beat.leads" if leads else "beat.stands_by")
            metrics.BEAT_LEADS.set(leads)
        self._led = leads
        return leads

    def resign(self) -> None:
        """This process ends: another may lead at once."""
        self._leads_until = float("-inf")
        self._lease.release()
