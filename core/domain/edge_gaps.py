"""Gaps of the edge: times in which pings may not have come in because of us, so that silence proves nothing.

A canary of ours pings our own public address. Each answer proves that the edge took pings at that moment; what lies between two proofs is a
gap when the canary failed in between, or when nobody asked for too long. Nobody asks while the core is away: then pings of others, once
all of them are stored, are proofs as good as the canary's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

MISSED_CANARIES: Final = 3
"""After so many intervals without a proof the edge may have been away unseen."""

BELIEVED_FOR: Final = timedelta(minutes=10)
"""A canary that fails for longer while pings come in proves something else: a firewall, or an address that only we cannot reach."""

PATIENCE: Final = timedelta(minutes=10)
"""How long a gap in which nobody asked waits for the pings that may fill it; one that never comes must not hold judgement up for ever."""


@dataclass(frozen=True, slots=True)
class Gap:
    """From the last proof before to the first one after.

    In a `silent` one nobody asked; it is not `settled` until all pings of its time are stored.
    """

    began_at: datetime
    ended_at: datetime
    silent: bool = False
    settled: bool = True

    @property
    def length(self) -> timedelta:
        """How long it was."""
        return self.ended_at - self.began_at

    def touches(self, begin: datetime, end: datetime) -> bool:
        """Whether a ping that was sent between `begin` and `end` may have met this gap."""
        return self.began_at < end and begin < self.ended_at


@dataclass(frozen=True, slots=True)
class EdgeWatch:
    """What is known of the edge. `proved_at` is the last proof, None for a canary that has never been well: it has no say yet.

    `asked_at` is when it was asked last. While it fails, `failing_since` is the last proof before.
    """

    proved_at: datetime | None = None
    failing_since: datetime | None = None
    asked_at: datetime | None = None


def proved(watch: EdgeWatch, at: datetime, interval: timedelta) -> tuple[EdgeWatch, list[Gap]]:
    """The canary was well at `at`; also returns the gaps that this ends."""
    before, gaps = _resumed(watch, at, interval)
    if before.failing_since is not None:
        gaps.append(Gap(before.failing_since, at))
    return EdgeWatch(proved_at=at, asked_at=at), gaps


def failed(watch: EdgeWatch, at: datetime, interval: timedelta) -> tuple[EdgeWatch, list[Gap]]:
    """The canary failed at `at`; also returns the time before in which nobody had asked."""
    if watch.proved_at is None or watch.asked_at is None:
        return watch, []
    before, gaps = _resumed(watch, at, interval)
    since = before.failing_since or min(max(watch.asked_at, at - MISSED_CANARIES * interval), at)
    return replace(before, failing_since=since, asked_at=at), gaps


def is_doubtful(watch: EdgeWatch, at: datetime) -> bool:
    """Whether a canary fails for so long that it is not believed if pings come in all the same."""
    return watch.failing_since is not None and at - watch.failing_since > BELIEVED_FOR


def without(gap: Gap, proofs: Iterable[datetime], interval: timedelta) -> list[Gap]:
    """What is left of a gap in which nobody asked, given the times of all pings in it, in order."""
    moments = [gap.began_at, *(at for at in proofs if gap.began_at < at < gap.ended_at), gap.ended_at]
    return [Gap(one, other, silent=True) for one, other in pairwise(moments) if other - one > MISSED_CANARIES * interval]


def touched(gaps: Iterable[Gap], begin: datetime, end: datetime) -> Gap | None:
    """The gap that a ping between `begin` and `end` may have met, with all that follows it without a proof in between; None for none."""
    met: Gap | None = None
    for gap in sorted(gaps, key=lambda gap: gap.began_at):
        if gap.touches(begin, end) if met is None else gap.began_at <= met.ended_at or gap.touches(begin, end):
            met = gap if met is None else replace(met, ended_at=max(met.ended_at, gap.ended_at))
    return met


def horizon(watch: EdgeWatch, gaps: Iterable[Gap]) -> datetime | None:
    """Nobody whose deadline is later can be judged yet; None where all can."""
    open_since = [watch.failing_since] if watch.failing_since else []
    return min([*open_since, *(gap.began_at for gap in gaps if not gap.settled)], default=None)


def _resumed(watch: EdgeWatch, at: datetime, interval: timedelta) -> tuple[EdgeWatch, list[Gap]]:
    """As `watch` was if somebody has asked all the time; else what was known until then has ended, and a silent gap follows it."""
    if watch.asked_at is None or at - watch.asked_at <= MISSED_CANARIES * interval:
        return watch, []
    known = [Gap(watch.failing_since, watch.asked_at)] if watch.failing_since and watch.failing_since < watch.asked_at else []
    return replace(watch, failing_since=None), [*known, Gap(watch.asked_at, at, silent=True, settled=False)]
