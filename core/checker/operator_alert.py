"""One line for the operator when checks stop counting because of us, and one when they count again; never a line for each check."""

from datetime import datetime
from typing import Final

from core.domain.outcomes import Outcome, Reason
from core.domain.probes import ProbeResult
from core.logs import get_logger

log = get_logger(__name__)

QUIET_S: Final = 60.0
"""Without a check that did not count, the trouble is over."""

_OURS: Final = frozenset({Reason.LOCAL_NETWORK, Reason.RESOLVER_FAILURE, Reason.OVERLOADED})


class OperatorAlert:
    """Sees every result of a process. Times are of a monotonic clock."""

    def __init__(self) -> None:
        self._began_at: float | None = None
        self._latest_at = 0.0
        self._results = 0

    def see(self, result: ProbeResult, now: float) -> None:
        """Take note of a result; the first that does not count because of us is said at once."""
        if result.outcome is not Outcome.UNKNOWN or result.reason not in _OURS:
            return
        self._latest_at = now
        self._results += 1
        if self._began_at is None:
            self._began_at = now
            log.error("own_trouble.began", reason=result.reason.label, detail=result.detail)

    def look(self, now: float) -> None:
        """Say that it is over, once it is."""
        if self._began_at is not None and now - self._latest_at >= QUIET_S:
            log.warning("own_trouble.ended", seconds=round(self._latest_at - self._began_at, 1), checks_not_counted=self._results)
            self._began_at, self._results = None, 0


class EdgeAlert:
    """One line for the operator when nobody can be judged because DynamoDB does not answer, and one when it answers again."""

    def __init__(self) -> None:
        self._since: datetime | None = None

    def see(self, now: datetime, *, unreachable: bool) -> None:
        """Take note of how a tick of the detector went."""
        if unreachable and self._since is None:
            self._since = now
            log.error("own_trouble.began", reason="edge_unreachable", detail="DynamoDB does not answer: no heartbeat is judged")
        elif self._since is not None and not unreachable:
            log.warning("own_trouble.ended", reason="edge_unreachable", seconds=round((now - self._since).total_seconds(), 1))
            self._since = None
