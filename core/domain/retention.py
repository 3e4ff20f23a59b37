"""How long facts and what is made of them are kept."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept: facts for `days`, hourly rollups for `rollup_days`, daily ones as long as the monitor.

    Of pings that are older than `days`, failures are kept for `failure_days`, and of each heartbeat enough to have its newest `pings`.
    """

    days: int = 90
    rollup_days: int = 400
    failure_days: int = 365
    pings: int = 100
