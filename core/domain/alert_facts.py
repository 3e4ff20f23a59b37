"""What an alert says, independent of the channel: stored in `alert.facts`, sent in AlertRequested."""

from uuid import UUID

import msgspec

from core.contracts.events import ExpiryFacts, GroupFacts, IncidentFacts, MonitorFacts


class AlertFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a message is about.

    `text` explains in one sentence; `incident` is absent where no outage is meant, `expiry` where nothing ends, `group` where none is
    told. `output_of` is the ping whose body says why a job failed, `ends` are the order keys that a recovery ends besides its own.
    """

    monitor: MonitorFacts | None = None
    incident: IncidentFacts | None = None
    expiry: ExpiryFacts | None = None
    group: GroupFacts | None = None
    text: str = ""
    output_of: UUID | None = None
    ends: list[UUID] = []
