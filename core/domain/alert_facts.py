"""What an alert says, independent of the channel: stored in `alert.facts`, sent in AlertRequested."""

import msgspec

from core.contracts.events import ExpiryFacts, IncidentFacts, MonitorFacts


class AlertFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`text` explains in one sentence; `incident` is absent where no outage is meant, `expiry` where nothing ends."""

    monitor: MonitorFacts | None = None
    incident: IncidentFacts | None = None
    expiry: ExpiryFacts | None = None
    text: str = ""
