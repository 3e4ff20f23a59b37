"""What a check means for its website: confirmation, recovery, and what we say when we cannot tell.

A website goes down after `failure_threshold` failures in a row and comes up after `recovery_threshold` successes in a row; in
between it is looked at again soon. `UNKNOWN` is our own trouble: it neither counts nor resets a count, and changes no state.
"""

from copy import replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from core.domain.outcomes import MonitorState, Outcome, Reason
from core.domain.schedule import next_check_at, retry_at
from core.domain.transitions import CameUp, MonitorRef, Transition, WentDown

UNKNOWN_TOLERANCE: Final = timedelta(minutes=10)
"""How long we may be unable to tell before people are told that their website is not being watched."""

UNKNOWN_GROWTH: Final = 0.5

SURE_UNDER_LAG: Final = frozenset(
    {
        Reason.ASSERTION_CERTIFICATE,
        Reason.ASSERTION_DNS,
        Reason.ASSERTION_FINAL_URL,
        Reason.ASSERTION_HEADER,
        Reason.ASSERTION_JSON,
        Reason.ASSERTION_KEYWORD,
        Reason.ASSERTION_REGEX,
        Reason.BLOCKED_ADDRESS,
        Reason.CONNECT_REFUSED,
        Reason.DNS_NO_DATA,
        Reason.DNS_NXDOMAIN,
        Reason.HTTP_STATUS,
        Reason.INSECURE_REDIRECT,
        Reason.LOGIN_REFUSED,
        Reason.REDIRECT_LIMIT,
        Reason.SERVICE_REFUSED,
        Reason.TLS_CHAIN_EXPIRED,
        Reason.TLS_CLIENT_CERT_REQUIRED,
        Reason.TLS_EXPIRED,
        Reason.TLS_HOSTNAME,
        Reason.TLS_NOT_OFFERED,
        Reason.TLS_NOT_YET_VALID,
        Reason.TLS_UNTRUSTED,
    }
)
"""Failures that the target stated itself. Any other may be a time-out, a reset or a cut that our own slowness caused."""


class Policy(msgspec.Struct, frozen=True, gc=False):
    """How a website is judged. Intervals in seconds; thresholds are counts in a row, at least 1."""

    interval_s: int
    retry_interval_s: int
    failure_threshold: int
    recovery_threshold: int


class WebsiteState(msgspec.Struct, frozen=True, gc=False):
    """What is remembered between checks. `unknown_since` is set while the latest checks could not tell."""

    state: MonitorState = MonitorState.NEW
    failures: int = 0
    successes: int = 0
    first_failure_at: datetime | None = None
    unknown_since: datetime | None = None
    last_checked_at: datetime | None = None
    changed_at: datetime | None = None


class Check(msgspec.Struct, frozen=True, gc=False):
    """One finished check: when it started, what it said and why. `detail` is a sentence for people."""

    at: datetime
    outcome: Outcome
    reason: Reason
    detail: str = ""


class NotMonitored(msgspec.Struct, frozen=True, gc=False):
    """Nobody could tell for `UNKNOWN_TOLERANCE` how the website is. Said once, `reason` being our latest trouble."""

    monitor: MonitorRef
    since: datetime
    reason: Reason


class MonitoredAgain(msgspec.Struct, frozen=True, gc=False):
    """We can tell again, after a `NotMonitored` about the time since `since`."""

    monitor: MonitorRef
    since: datetime


type Notice = NotMonitored | MonitoredAgain


class Step(msgspec.Struct, frozen=True, gc=False):
    """What follows from one check. `down_since` is when the outage that this check ended had begun."""

    state: WebsiteState
    transition: Transition | None
    notice: Notice | None
    next_check_at: datetime
    down_since: datetime | None = None


def step(monitor: MonitorRef, state: WebsiteState, check: Check, policy: Policy, *, now: datetime, jitter: float) -> Step:
    """Judge one check. `now` is when it is judged: the next check is after it. `jitter` is a random number in `[0, 1)`."""
    if check.outcome is Outcome.UNKNOWN:
        return _cannot_tell(monitor, state, check, policy, now=now, jitter=jitter)
    after, transition = (
        _succeeded(monitor, state, check, policy) if check.outcome is Outcome.UP else _failed(monitor, state, check, policy)
    )
    again = _confirming(after)
    if again:
        due = retry_at(
            attempt=again,
            retry_interval_s=policy.retry_interval_s,
            interval_s=policy.interval_s,
            after=now,
            jitter=jitter,
        )
    else:
        due = next_check_at(monitor.id, policy.interval_s, now)
    notice = MonitoredAgain(monitor, state.unknown_since) if state.unknown_since and _was_told(state) else None
    return Step(after, transition, notice, due, state.first_failure_at if isinstance(transition, CameUp) else None)


def excuse(outcome: Outcome, reason: Reason) -> bool:
    """Whether a result that was measured while our own loop lagged must not count: a failure that slowness may explain."""
    return outcome is Outcome.DOWN and reason not in SURE_UNDER_LAG


def _succeeded(monitor: MonitorRef, state: WebsiteState, check: Check, policy: Policy) -> tuple[WebsiteState, Transition | None]:
    recovering = state.state is MonitorState.DOWN
    successes = state.successes + 1 if recovering else 0
    if recovering and successes < policy.recovery_threshold:
        return WebsiteState(state.state, 0, successes, state.first_failure_at, None, check.at, state.changed_at), None
    changed_at = state.changed_at if state.state is MonitorState.UP else check.at
    after = WebsiteState(MonitorState.UP, last_checked_at=check.at, changed_at=changed_at)
    return after, CameUp(monitor, check.at) if recovering else None


def _failed(monitor: MonitorRef, state: WebsiteState, check: Check, policy: Policy) -> tuple[WebsiteState, Transition | None]:
    failures = state.failures + 1
    first = state.first_failure_at or check.at
    if state.state is MonitorState.DOWN or failures < policy.failure_threshold:
        return WebsiteState(state.state, failures, 0, first, None, check.at, state.changed_at), None
    after = WebsiteState(MonitorState.DOWN, failures, 0, first, None, check.at, check.at)
    return after, WentDown(monitor, first, check.reason, check.detail)


def _confirming(state: WebsiteState) -> int:
    """The number of the coming retry while a count is under way, else 0."""
    return state.successes if state.state is MonitorState.DOWN else state.failures


def _cannot_tell(monitor: MonitorRef, state: WebsiteState, check: Check, policy: Policy, *, now: datetime, jitter: float) -> Step:
    """Nothing changes; look again soon, and less often the longer it lasts: our trouble is not cured by more work."""
    since = state.unknown_since or check.at
    after = replace(state, unknown_since=since, last_checked_at=check.at)
    notice = NotMonitored(monitor, since, check.reason) if _was_told(after) and not _was_told(state) else None
    due = retry_at(
        attempt=1,
        retry_interval_s=policy.retry_interval_s + UNKNOWN_GROWTH * max((check.at - since).total_seconds(), 0),
        interval_s=policy.interval_s,
        after=now,
        jitter=jitter,
    )
    return Step(after, None, notice, due)


def _was_told(state: WebsiteState) -> bool:
    """Whether the latest check was, like all since `unknown_since`, unable to tell, for long enough that people know."""
    if state.unknown_since is None or state.last_checked_at is None:
        return False
    return state.last_checked_at - state.unknown_since >= UNKNOWN_TOLERANCE
