"""One example of each public event, the same that is checked in under `examples/` and shown in the documentation."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from core.contracts import events

AT: Final = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
WEBSITE: Final = events.MonitorFacts(
    id=UUID("019ce9b0-6f00-7000-8000-000000000001"), kind="website", name="Shop", target="https://shop.example.com/"
)
OPEN: Final = events.IncidentFacts(
    id=UUID("019ce9b0-6f00-7000-8000-000000000002"),
    reason="connect_refused",
    detail="connection refused by 203.0.113.7 port 443",
    began_at=AT - timedelta(seconds=20),
    opened_at=AT,
)
RESOLVED: Final = events.IncidentFacts(
    id=OPEN.id,
    reason=OPEN.reason,
    detail=OPEN.detail,
    began_at=OPEN.began_at,
    opened_at=OPEN.opened_at,
    resolved_at=AT + timedelta(minutes=12),
)
ACKNOWLEDGED: Final = events.IncidentFacts(
    id=OPEN.id,
    reason=OPEN.reason,
    detail=OPEN.detail,
    began_at=OPEN.began_at,
    opened_at=OPEN.opened_at,
    acknowledged_at=AT + timedelta(minutes=2),
    acknowledged_by="Ada",
)
HEARTBEAT: Final = UUID("019ce9b0-6f00-7000-8000-000000000003")
DELIVERY: Final = UUID("019ce9b0-6f00-7000-8000-000000000004")
CHANNEL: Final = UUID("019ce9b0-6f00-7000-8000-000000000005")

DATA: Final[tuple[events.Data, ...]] = (
    events.IncidentOpened(monitor=WEBSITE, incident=OPEN),
    events.IncidentResolved(monitor=WEBSITE, incident=RESOLVED),
    events.CertificateExpiring(
        monitor=WEBSITE, fingerprint_sha256="9f86d081884c7d65" * 4, not_after=AT + timedelta(days=14), days_left=14
    ),
    events.DomainExpiring(monitor=WEBSITE, domain="example.com", ends_at=AT + timedelta(days=7), days_left=7),
    events.HeartbeatPinged(
        ping_id=UUID("019ce9b0-6f00-7000-8000-000000000006"),
        heartbeat_id=HEARTBEAT,
        sequence=42,
        kind="fail",
        exit_status=1,
        pinged_at=AT,
        method="POST",
        source_ip="198.51.100.4",
        user_agent="curl/8.9.1",
        body_size=20_480,
        rid=UUID("6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506"),
        started_at=AT - timedelta(seconds=95),
        body_key="019ce9b0-6f00-7000-8000-000000000003/019ce9b0-6f00-7000-8000-000000000006",
    ),
    events.AlertRequested(
        delivery_id=DELIVERY,
        generation=1,
        alert_id=UUID("019ce9b0-6f00-7000-8000-000000000007"),
        alert_type="down",
        order_key=OPEN.id,
        sequence=1,
        channel_id=CHANNEL,
        channel_kind="webhook",
        config_version=3,
        monitor=WEBSITE,
        incident=OPEN,
    ),
    events.AlertDelivered(
        delivery_id=DELIVERY,
        generation=1,
        alert_type="down",
        channel_id=CHANNEL,
        channel_kind="webhook",
        attempt=2,
        delivered_at=AT + timedelta(seconds=11),
        duration_ms=87,
    ),
    events.AlertFailed(
        delivery_id=DELIVERY,
        generation=1,
        alert_type="down",
        channel_id=CHANNEL,
        channel_kind="webhook",
        attempt=1,
        failed_at=AT + timedelta(seconds=1),
        error_type="transient",
        error="the webhook answered 503",
        final=False,
        retry_at=AT + timedelta(seconds=11),
    ),
    events.IncidentAcknowledged(monitor=WEBSITE, incident=ACKNOWLEDGED),
    events.IncidentUnacknowledged(monitor=WEBSITE, incident=OPEN, was_acknowledged_by="Ada"),
)


def example(data: events.Data) -> str:
    """The `detail` of an event that carries `data`."""
    metadata = events.Metadata(
        event_id=UUID("019ce9b0-6f00-7000-8000-0000000000ff"),
        occurred_at=AT,
        workspace_id=UUID("019ce9b0-6f00-7000-8000-0000000000aa"),
        correlation_id=HEARTBEAT if isinstance(data, events.HeartbeatPinged) else OPEN.id,
    )
    return events.encode(metadata, data)
