"""When people are told that a website is slow, and that it is fast again: it is up all the while, so nothing here is about its state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from core.domain.outcomes import Outcome, Reason

LONGEST_RUN: Final = 60
"""The most checks in a row that anybody can ask for."""

PATIENCE: Final = 2
"""Checks in a row are found in this many times the time that they take: beyond that they tell nothing of today."""

type News = Literal["degraded", "fast_again"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check as it is stored."""

    at: datetime
    outcome: Outcome
    reason: Reason

    @property
    def is_slow(self) -> bool:
        """Well, but slower than wanted."""
        return self.outcome is Outcome.UP and self.reason is Reason.DEGRADED

    @property
    def is_fast(self) -> bool:
        """Well in every way."""
        return self.outcome is Outcome.UP and self.reason is not Reason.DEGRADED


@dataclass(frozen=True, slots=True)
class Change:
    """What people are told now, and since when it is so."""

    news: News
    since: datetime


def judge(checks: Sequence[Check], threshold: int, *, told: bool) -> Change | None:
    """What the checks of a website, the latest first, say that people do not know yet; `told`: they know that it is slow.

    So many alike in a row say something, in either direction. One that failed is neither slow nor fast, and ends a row; one that nobody
    could tell about is passed over.
    """
    run = [check for check in checks if check.outcome is not Outcome.UNKNOWN][:threshold]
    if threshold < 1 or len(run) < threshold:
        return None
    if told:
        return Change("fast_again", run[-1].at) if all(check.is_fast for check in run) else None
    return Change("degraded", run[-1].at) if all(check.is_slow for check in run) else None


def slow_text(threshold: int, limit_ms: int, latest_ms: int, since: datetime) -> str:
    """What people are told of a website that is slow."""
    checks = "Its latest check" if threshold == 1 else f"Each of its last {threshold} checks"
    return (
        f"{checks} took more than {limit_ms} ms, the latest {latest_ms} ms. It is up, but slow since {since:%Y-%m-%d %H:%M} UTC."
    )


def fast_again_text(threshold: int, slow_since: datetime, since: datetime) -> str:
    """What people are told when that is over."""
    checks = "Its latest check was" if threshold == 1 else f"Its last {threshold} checks were"
    return f"{checks} fast enough. It was slow from {slow_since:%Y-%m-%d %H:%M} to {since:%Y-%m-%d %H:%M} UTC."
