"""A monitor changed its state: the one value that every flow hands to `core.flows.incidents`."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from core.domain.outcomes import Reason


class MonitorRef(msgspec.Struct, frozen=True, gc=False):
    """The monitor, as messages name it. `target` is a website's URL or a heartbeat's schedule in words."""

    id: int
    uid: UUID
    workspace_id: UUID
    kind: Literal["website", "heartbeat"]
    name: str
    target: str


class WentDown(msgspec.Struct, frozen=True, gc=False):
    """Confirmed down. `began_at`: the first failed check, or the deadline that was missed.

    `output_of` is the ping that holds what the job said when it failed, if it said something.
    """

    monitor: MonitorRef
    began_at: datetime
    reason: Reason
    detail: str
    output_of: UUID | None = None


class CameUp(msgspec.Struct, frozen=True, gc=False):
    """Up again after an open incident. `at`: the check or ping that showed it."""

    monitor: MonitorRef
    at: datetime


type Transition = WentDown | CameUp
