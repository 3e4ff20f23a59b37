"""When a website is checked next.

Every monitor has a phase of its own, derived from its id, within its interval: checks of many monitors spread evenly, and pausing,
restarting or running late never moves a monitor's slots.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
RETRY_GROWTH: Final = 1.5
JITTER_SHARE: Final = 0.2
LONGEST_GROWTH: Final = 16
"""Attempts after which the delay of a retry stops growing; a bound for the arithmetic, far above any cap."""

_MASK: Final = 2**64 - 1


def phase(monitor_id: int, interval_s: int) -> timedelta:
    """The monitor's own offset within its interval, `0 <= phase < interval`, to the microsecond."""
    return timedelta(microseconds=_offset(monitor_id, interval_s * 1_000_000))


def next_check_at(monitor_id: int, interval_s: int, after: datetime) -> datetime:
    """The monitor's first slot after `after`: strictly later, by at most one interval. `after` is aware."""
    interval = interval_s * 1_000_000
    elapsed = (after - EPOCH) // MICROSECOND
    since_slot = (elapsed - _offset(monitor_id, interval)) % interval
    return EPOCH + timedelta(microseconds=elapsed - since_slot + interval)


def retry_at(*, attempt: int, retry_interval_s: float, interval_s: float, after: datetime, jitter: float) -> datetime:
    """When to look again before a slot comes: the delay grows by half with each attempt and never exceeds the interval.

    Args:
        attempt: 1 for the first retry.
        retry_interval_s: the first delay; jitter only shortens it, so that a promised time of detection is kept.
        interval_s: the monitor's ordinary interval, in seconds.
        after: the end of the check that asks for the retry.
        jitter: random number in `[0, 1)`: a crowd that failed at once does not come back at once.
    """
    growth = RETRY_GROWTH ** min(max(attempt - 1, 0), LONGEST_GROWTH)
    delay = min(retry_interval_s * growth, interval_s)
    return after + timedelta(seconds=delay * (1 - JITTER_SHARE * jitter))


def _offset(monitor_id: int, interval_us: int) -> int:
    return _mix(monitor_id) * interval_us >> 64


def _mix(value: int) -> int:
    """Spread an id over 64 bits (the finaliser of splitmix64): neighbouring ids end up far apart."""
    mixed = (value + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)
