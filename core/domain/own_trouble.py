"""Our own trouble, told from the targets': bursts of failures, what canaries say about them, windows and clocks that were missed.

A burst proves nothing, it only asks the canaries: a large hoster may really be down. Times without a date are seconds of a monotonic
clock.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from copy import replace
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult

WINDOW_S: Final = 1.0
BURST_SHARE: Final = 0.1
"""Of the websites that were fine and have been checked within the window, the share that failed. It is low because being wrong
about a burst costs one look at the canaries; where few websites are checked, a single failure is one."""

NAME_ECHO_S: Final = 10.0
"""For how long the resolver may repeat a failure of a trouble: a question takes up to five seconds, its answer is kept for five."""

LIARS_AFTER_S: Final = 600.0
"""For how long canaries may fail while most websites answer, before nobody listens to them any more."""

LONGEST_GAP: Final = timedelta(days=13)
"""How far back a missed window is recorded at most: as many days as partitions are made ahead of a box that is then switched off."""

LARGEST_DRIFT_S: Final = 5.0
"""More than a wall clock is corrected by in small steps, less than anybody's idea of a jump."""

NAME_FAILURES: Final = frozenset({Reason.DNS_FAILURE, Reason.DNS_NXDOMAIN, Reason.DNS_NO_DATA})
"""A name server that has lost its own way gives any of them, for every name."""


class Trouble(StrEnum):
    """What canaries can show."""

    NETWORK = "network"
    RESOLVER = "resolver"

    @property
    def reason(self) -> Reason:
        """The reason of a check that must not count because of it."""
        return Reason.LOCAL_NETWORK if self is Trouble.NETWORK else Reason.RESOLVER_FAILURE


@dataclass(slots=True)
class RecentResults:
    """How the websites fared that were fine before, within the last `WINDOW_S`."""

    _results: deque[tuple[float, bool]] = field(default_factory=deque)
    _failures: int = 0

    def add(self, now: float, *, failed: bool) -> None:
        """Take a result in and forget what is too old."""
        self._results.append((now, failed))
        self._failures += failed
        while self._results[0][0] < now - WINDOW_S:
            self._failures -= self._results.popleft()[1]

    @property
    def is_burst(self) -> bool:
        """Whether so many failed that the canaries should be asked, as of the latest result."""
        return self._failures > 0 and self._failures >= BURST_SHARE * len(self._results)


@dataclass(frozen=True, slots=True)
class Spell:
    """Whether a trouble lasts, and when it ended last. A check that began before its end does not count when it fails."""

    active: bool = False
    ended_at: float = float("-inf")

    def began(self) -> "Spell":
        """The canaries failed."""
        return replace(self, active=True)

    def ended(self, now: float) -> "Spell":
        """A canary is well at `now`; nothing changes where there was no trouble."""
        return Spell(active=False, ended_at=now) if self.active else self

    def covers(self, began_at: float) -> bool:
        """Whether a check that began then may have failed because of it."""
        return self.active or began_at < self.ended_at


def canaries_fail(armed_and_well: Iterable[bool]) -> bool:
    """Whether those canaries that have ever been well all fail. One that is well is proof enough; without any, nothing is known."""
    found = list(armed_and_well)
    return bool(found) and not any(found)


def are_liars(failing_for_s: float, *, up: int, failed: int) -> bool:
    """Whether canaries that have failed for so long are contradicted by the websites checked meanwhile."""
    return failing_for_s >= LIARS_AFTER_S and up > failed


def excused(result: ProbeResult, began_at: float, network: Spell, resolver: Spell) -> ProbeResult:
    """The result as it may count: a failure while the canaries fail too says nothing about the target."""
    if result.outcome is not Outcome.DOWN:
        return result
    if result.reason in NAME_FAILURES and resolver.covers(began_at - NAME_ECHO_S):
        return _as_unknown(result, Trouble.RESOLVER, "our name servers failed")
    if network.covers(began_at):
        return _as_unknown(result, Trouble.NETWORK, "our own network failed")
    return result


def missed_window(due_at: datetime, started_at: datetime, interval_s: int) -> datetime | None:
    """When the gap before a check began that started more than an interval late; None where it was in time."""
    if (started_at - due_at).total_seconds() <= interval_s:
        return None
    return max(due_at, started_at - LONGEST_GAP)


def clock_jump(expected_wall_s: float, wall_s: float) -> float:
    """By how much the wall clock was set, in seconds, against where the monotonic clock expected it; 0.0 for a drift."""
    jump = wall_s - expected_wall_s
    return jump if abs(jump) > LARGEST_DRIFT_S else 0.0


def not_monitored_text(count: int, names: Sequence[str], since: datetime, reason: Reason) -> str:
    """What people are told when `count` websites, the first of them `names`, have not been monitored since then."""
    when = f"since {since:%Y-%m-%d %H:%M} UTC"
    if reason is Reason.BLOCKED_ADDRESS:
        return f"Not monitored {when} because its address is one that may not be checked: its state is unknown."
    why = f"because of trouble on our side ({reason.label})"
    if count == 1:
        return f"Not monitored {when} {why}: its state is unknown."
    listed = ", ".join(names) + (f" and {count - len(names)} more" if count > len(names) else "")
    return f"{count} websites are not monitored {when} {why}: {listed}. Their state is unknown, not down."


def monitored_again_text(since: datetime) -> str:
    """What people are told when it is over."""
    return f"Monitored again, after a gap since {since:%Y-%m-%d %H:%M} UTC."


def _as_unknown(result: ProbeResult, trouble: Trouble, why: str) -> ProbeResult:
    detail = f"{why}, so this does not count: {result.detail or result.reason.label}"
    return replace(result, outcome=Outcome.UNKNOWN, reason=trouble.reason, detail=detail)
