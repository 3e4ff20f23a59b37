"""The public events: what travels on the bus, in the `detail` of an EventBridge event.

`detail` is `{"metadata": Metadata, "data": <one of the structs below>}`; `detail-type` is the name of the struct. Changes that
only add optional fields keep `Metadata.version`; anything else is a new version beside the old one. Times are UTC, RFC 3339.
Bodies of pings and secrets of channels never travel here: the bus carries all workspaces and is read by others.
"""

from datetime import datetime
from typing import Annotated, Final, Literal, get_args
from uuid import UUID

import msgspec

VERSION: Final = 1

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone; one without is refused."""

OPEN: Final = msgspec.Meta(extra_json_schema={"x-open": True})
"""Marks an enum that may get values under the same version: subscribers must expect some that they do not know."""

RECOVERY_SEQUENCE: Final = 1_000_000
"""The place of a recovery among the messages about its incident. An incident ends once, so that needs no counter: it is simply last."""

MonitorKind = Annotated[Literal["website", "heartbeat"], OPEN]
AlertType = Annotated[
    Literal[
        "down",
        "recovered",
        "acknowledged",
        "unacknowledged",
        "escalated",
        "reminder",
        "flapping",
        "degraded",
        "fast_again",
        "group",
        "not_monitored",
        "monitored_again",
        "certificate_expiring",
        "domain_expiring",
        "channel_disabled",
        "verification",
        "test",
    ],
    OPEN,
]
ALERT_TYPES: Final[tuple[str, ...]] = get_args(get_args(AlertType)[0])
PingKind = Literal["success", "fail", "start", "log"]
ErrorType = Literal["transient", "permanent", "rate_limited"]


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What every event carries. `correlation_id` is the incident's id where there is one, else the id of the cause."""

    event_id: UUID
    version: int = VERSION
    occurred_at: Moment
    workspace_id: UUID
    correlation_id: UUID


class MonitorFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The monitor as it was when the event happened. `target` is the URL of a website, the schedule in words of a heartbeat."""

    id: UUID
    kind: MonitorKind
    name: str
    target: str


class IncidentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One outage. `began_at` is the first failed check or the missed deadline, `opened_at` when it was confirmed.

    `acknowledged_by` is who has taken it on since `acknowledged_at`, in words.
    """

    id: UUID
    reason: str
    detail: str
    began_at: Moment
    opened_at: Moment
    resolved_at: Moment | None = None
    acknowledged_at: Moment | None = None
    acknowledged_by: str = ""


class IncidentOpened(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor went down, confirmed."""

    monitor: MonitorFacts
    incident: IncidentFacts


class IncidentResolved(msgspec.Struct, frozen=True, kw_only=True):
    """A monitor is up again."""

    monitor: MonitorFacts
    incident: IncidentFacts


class IncidentAcknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has taken an outage on: `incident` says who, and since when."""

    monitor: MonitorFacts
    incident: IncidentFacts


class IncidentUnacknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledgement was taken back while the outage lasts. `was_acknowledged_by` is whose it was."""

    monitor: MonitorFacts
    incident: IncidentFacts
    was_acknowledged_by: str


class CertificateExpiring(msgspec.Struct, frozen=True, kw_only=True):
    """A website's certificate ends in `days_left` days."""

    monitor: MonitorFacts
    fingerprint_sha256: str
    not_after: Moment
    days_left: int


class DomainExpiring(msgspec.Struct, frozen=True, kw_only=True):
    """The registration of a website's domain ends in `days_left` days."""

    monitor: MonitorFacts
    domain: str
    ends_at: Moment
    days_left: int


class HeartbeatCreation(msgspec.Struct, frozen=True, kw_only=True):
    """A heartbeat that its first ping created: settings as the API has them. Whoever stores a ping of it first creates it.

    With a `schedule` (cron or OnCalendar), `period_s` says nothing.
    """

    slug: str
    tags: list[str] = []
    period_s: int = 86_400
    grace_s: int = 3_600
    schedule: str = ""
    time_zone: str = "UTC"


class HeartbeatPinged(msgspec.Struct, frozen=True, kw_only=True):
    """A job pinged. `ping_id` identifies the ping for ever, `sequence` orders the pings of one heartbeat (gaps are normal).

    `rid` is the run id that the job sent. `started_at` is when the run started that this ping ends, where the edge saw it start.
    `body_key` is where in S3 the body is (of a small one, nowhere); of one that is `body_lost` only the beginning was kept.
    `creation` is there until the core has said that it has the heartbeat.
    """

    ping_id: UUID
    heartbeat_id: UUID
    sequence: int
    kind: PingKind
    exit_status: int | None = None
    pinged_at: Moment
    method: str
    source_ip: str = ""
    user_agent: str = ""
    body_size: int = 0
    body_truncated: bool = False
    rid: UUID | None = None
    started_at: Moment | None = None
    body_key: str = ""
    body_lost: bool = False
    creation: HeartbeatCreation | None = None


class ExpiryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What ends: `name` is that of a domain, or the host that a certificate was seen at. `websites` counts those that it is about."""

    name: str
    ends_at: Moment
    days_left: int
    websites: int = 1


LineState = Annotated[Literal["down", "up", "flapping"], OPEN]


class GroupLine(msgspec.Struct, frozen=True, kw_only=True):
    """One monitor of a group as the channel was told last. `reason`, `since` and `until` are those of its outage, where it is about one."""

    monitor_id: UUID
    kind: MonitorKind
    name: str
    state: LineState
    reason: str = ""
    since: Moment | None = None
    until: Moment | None = None


class GroupFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Many alerts about changes as one message, as of `as_of`: `down` and `up` count monitors, those that flap among the down ones.

    `lines` are some of them, those that are down first; `more` counts the others. `replaces`: there is nothing new to notice, so the
    message before may be replaced where the service can. `final`: what changes from now on is told by itself.
    """

    opened_at: Moment
    as_of: Moment
    down: int
    up: int
    lines: list[GroupLine]
    more: int = 0
    replaces: bool = False
    final: bool = False


class AlertRequested(msgspec.Struct, frozen=True, kw_only=True):
    """Send one message to one channel.

    `order_key` and `sequence` order the messages about one incident on one channel; `generation` counts how often this delivery
    has been requested. `incident` is absent for alerts that are not about one outage (`test`, `not_monitored`); for `flapping` it is the
    latest outage, which gives the note its place, though its `order_key` is its own. `expiry` is absent for alerts about anything but an
    end that comes near; where several websites share that end, `monitor` is absent. `group` is there for the
    type `group` only; its requests have the group's id as `order_key`, and each tells all of what the one before told. `output_of` is the
    ping of the heartbeat `monitor` whose body, which does not travel, says why the job failed. `ends` are further order keys that a
    recovery is the end of: those of what was told before the monitor flapped, and of that it did.
    """

    delivery_id: UUID
    generation: int
    alert_id: UUID
    alert_type: AlertType
    order_key: UUID
    sequence: int
    channel_id: UUID
    channel_kind: str
    config_version: int
    monitor: MonitorFacts | None = None
    incident: IncidentFacts | None = None
    expiry: ExpiryFacts | None = None
    group: GroupFacts | None = None
    text: str = ""
    output_of: UUID | None = None
    ends: list[UUID] = []


class AlertDelivered(msgspec.Struct, frozen=True, kw_only=True):
    """The channel took the message.

    `superseded_by` is set where nothing was sent: a later message of the incident had already told the whole story, or the monitor's next
    outage was to be told, which shows that this one is over.
    """

    delivery_id: UUID
    generation: int
    alert_type: AlertType
    channel_id: UUID
    channel_kind: str
    attempt: int
    delivered_at: Moment
    duration_ms: int
    superseded_by: int | None = None


class AlertFailed(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt failed. `final` means that no further attempt follows; else the next one is at `retry_at`."""

    delivery_id: UUID
    generation: int
    alert_type: AlertType
    channel_id: UUID
    channel_kind: str
    attempt: int
    failed_at: Moment
    error_type: ErrorType
    error: str
    final: bool
    retry_at: Moment | None = None
    disable_channel: bool = False


type Data = (
    IncidentOpened
    | IncidentResolved
    | IncidentAcknowledged
    | IncidentUnacknowledged
    | CertificateExpiring
    | DomainExpiring
    | HeartbeatPinged
    | AlertRequested
    | AlertDelivered
    | AlertFailed
)

EVENT_TYPES: Final[dict[str, type[Data]]] = {
    event.__name__: event
    for event in (
        IncidentOpened,
        IncidentResolved,
        IncidentAcknowledged,
        IncidentUnacknowledged,
        CertificateExpiring,
        DomainExpiring,
        HeartbeatPinged,
        AlertRequested,
        AlertDelivered,
        AlertFailed,
    )
}


class Detail[T](msgspec.Struct, frozen=True, kw_only=True):
    """The `detail` of an EventBridge event."""

    metadata: Metadata
    data: T


def encode(metadata: Metadata, data: Data) -> str:
    """The `detail` as a JSON string, as PutEvents wants it."""
    return msgspec.json.encode(Detail(metadata=metadata, data=data)).decode()


def decode[T: Data](event_type: type[T], detail: str | bytes) -> Detail[T]:
    """Read a `detail`; unknown fields are ignored (a newer publisher may add some).

    Raises:
        msgspec.ValidationError: a field is missing or of the wrong type.
        msgspec.DecodeError: not JSON.
    """
    return msgspec.json.decode(detail, type=Detail[event_type])  # type: ignore[valid-type]  # a type made of a value
