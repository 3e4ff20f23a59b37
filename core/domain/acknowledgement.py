"""Somebody takes an outage on, or gives it back: what changes, and what people are told.

An incident has one acknowledgement at a time, the first one. It silences what would follow (reminders, escalations) and nothing else: the
end of the outage is told all the same.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Standing:
    """How an incident stands. `told`: people heard of the outage, so they hear who takes it on, too."""

    resolved_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    told: bool


class OutageOver(Exception):
    """There is nothing left to take on; `at` is when it ended."""

    def __init__(self, at: datetime) -> None:
        super().__init__(f"The outage ended at {at:%Y-%m-%d %H:%M:%S} UTC.")
        self.at = at


def may_acknowledge(standing: Standing) -> bool:
    """Whether an acknowledgement changes anything: a second one does not, whoever it is from.

    Raises:
        OutageOver: the incident is resolved.
    """
    if standing.resolved_at:
        raise OutageOver(standing.resolved_at)
    return standing.acknowledged_at is None


def may_take_back(standing: Standing) -> bool:
    """Whether there is an acknowledgement to take back.

    Raises:
        OutageOver: the incident is resolved; who took it on is history now.
    """
    if standing.resolved_at:
        raise OutageOver(standing.resolved_at)
    return standing.acknowledged_at is not None


def acknowledged_text(by: str) -> str:
    """What people are told when somebody takes an outage on."""
    return f"{by} has taken this on. You will hear when it is over."


def taken_back_text(by: str) -> str:
    """What they are told when nobody looks after it any more."""
    return f"{by} had taken this on and does not any more. It is still down."
