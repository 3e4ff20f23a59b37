"""When people are told that something ends: a certificate, or the registration of a domain."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

STEPS: Final = (30, 14, 7, 3, 1)
"""Days before the end; each is told once."""

DAY: Final = timedelta(days=1)
SHARE_OF_LIFE: Final = 0.5
NAMES_TOLD: Final = 5


def steps_of(life: timedelta | None) -> tuple[int, ...]:
    """The steps for what lives so long (None: for years). In the first half of its life nobody renews it, so there are none."""
    return STEPS if life is None else tuple(step for step in STEPS if step * DAY <= life * SHARE_OF_LIFE)


def due_step(ends_at: datetime, now: datetime, told: int | None, steps: Sequence[int] = STEPS) -> int | None:
    """The step to tell people of now, or None. `told` is the least step that they were told of.

    Steps that were missed are not made up for: the one that is due covers them. What has ended is not ending: that shows in checks.
    """
    left = ends_at - now
    if left <= timedelta(0):
        return None
    step = min((step for step in steps if left <= step * DAY), default=None)
    return step if step is not None and (told is None or step < told) else None


def days_left(ends_at: datetime, now: datetime) -> int:
    """Whole days to the end, the nearest number: just after a step was reached it is that step."""
    return round((ends_at - now) / DAY)


def ending_text(what: str, ends_at: datetime, now: datetime, names: Sequence[str]) -> str:
    """What people are told: `what` ends then, and which websites (by name) that is about."""
    listed = ", ".join(names[:NAMES_TOLD]) + (f" and {len(names) - NAMES_TOLD} more" if len(names) > NAMES_TOLD else "")
    return f"{what} ends in {_days(days_left(ends_at, now))}, at {ends_at:%Y-%m-%d %H:%M} UTC. It is about {listed}."


def _days(count: int) -> str:
    return {0: "less than a day", 1: "1 day"}.get(count, f"{count} days")
