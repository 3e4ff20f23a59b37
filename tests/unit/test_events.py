"""The public events: what a subscriber may rely on."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from core.contracts import events

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
IDS = [UUID(int=number, version=4) for number in range(1, 8)]
METADATA = events.Metadata(event_id=IDS[0], occurred_at=NOW, workspace_id=IDS[1], correlation_id=IDS[2])
MONITOR = events.MonitorFacts(id=IDS[3], kind="website", name="Shop", target="https://shop.example/")
INCIDENT = events.IncidentFacts(id=IDS[2], reason="timeout", detail="no answer in 10 s", began_at=NOW, opened_at=NOW)
SAMPLES: dict[str, events.Data] = {
    "IncidentOpened": events.IncidentOpened(monitor=MONITOR, incident=INCIDENT),
    "IncidentResolved": events.IncidentResolved(monitor=MONITOR, incident=msgspec.structs.replace(INCIDENT, resolved_at=NOW)),
    "IncidentAcknowledged": events.IncidentAcknowledged(
        monitor=MONITOR, incident=msgspec.structs.replace(INCIDENT, acknowledged_at=NOW, acknowledged_by="Ada")
    ),
    "IncidentUnacknowledged": events.IncidentUnacknowledged(monitor=MONITOR, incident=INCIDENT, was_acknowledged_by="Ada"),
    "CertificateExpiring": events.CertificateExpiring(monitor=MONITOR, fingerprint_sha256="ab" * 32, not_after=NOW, days_left=14),
    "DomainExpiring": events.DomainExpiring(monitor=MONITOR, domain="shop.example", ends_at=NOW, days_left=7),
    "HeartbeatPinged": events.HeartbeatPinged(
        ping_id=IDS[4], heartbeat_id=IDS[3], sequence=7, kind="fail", exit_status=3, pinged_at=NOW, method="POST"
    ),
    "AlertRequested": events.AlertRequested(
        delivery_id=IDS[4],
        generation=1,
        alert_id=IDS[5],
        alert_type="down",
        order_key=IDS[2],
        sequence=1,
        channel_id=IDS[6],
        channel_kind="webhook",
        config_version=2,
        monitor=MONITOR,
        incident=INCIDENT,
    ),
    "AlertDelivered": events.AlertDelivered(
        delivery_id=IDS[4],
        generation=1,
        alert_type="down",
        channel_id=IDS[6],
        channel_kind="webhook",
        attempt=1,
        delivered_at=NOW,
        duration_ms=80,
    ),
    "AlertFailed": events.AlertFailed(
        delivery_id=IDS[4],
        generation=1,
        alert_type="down",
        channel_id=IDS[6],
        channel_kind="webhook",
        attempt=1,
        failed_at=NOW,
        error_type="transient",
        error="connection refused",
        final=False,
        retry_at=NOW,
    ),
}


def test_the_types_are_the_promised_ones() -> None:
    assert set(events.EVENT_TYPES) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_encoded_decodes_to_the_same(name: str) -> None:
    detail = events.encode(METADATA, SAMPLES[name])

    assert events.decode(events.EVENT_TYPES[name], detail) == events.Detail(metadata=METADATA, data=SAMPLES[name])


@pytest.mark.parametrize("name", SAMPLES)
def test_every_event_has_the_same_envelope(name: str) -> None:
    detail: dict[str, Any] = json.loads(events.encode(METADATA, SAMPLES[name]))

    assert detail.keys() == {"metadata", "data"}
    assert detail["metadata"] == {
        "event_id": str(IDS[0]),
        "version": 1,
        "occurred_at": "2026-03-01T12:00:00Z",
        "workspace_id": str(IDS[1]),
        "correlation_id": str(IDS[2]),
    }


@pytest.mark.parametrize("name", SAMPLES)
def test_fields_of_a_newer_publisher_are_ignored(name: str) -> None:
    detail: dict[str, Any] = json.loads(events.encode(METADATA, SAMPLES[name]))
    detail["data"]["added_later"] = detail["metadata"]["added_later"] = "new"

    assert events.decode(events.EVENT_TYPES[name], json.dumps(detail)).data == SAMPLES[name]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_missing_field_is_refused(name: str) -> None:
    detail: dict[str, Any] = json.loads(events.encode(METADATA, SAMPLES[name]))
    del detail["data"][next(iter(detail["data"]))]

    with pytest.raises(msgspec.ValidationError, match="missing required field"):
        events.decode(events.EVENT_TYPES[name], json.dumps(detail))


def test_a_ping_carries_no_body_and_an_alert_no_address() -> None:
    """The bus carries all workspaces and is read by others: neither job output nor a channel's secret may travel on it."""
    assert "body" not in events.HeartbeatPinged.__struct_fields__
    assert not {"config", "url", "secret", "address"} & set(events.AlertRequested.__struct_fields__)
