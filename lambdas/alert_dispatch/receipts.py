"""Receipts: what became of a request, as the events AlertDelivered and AlertFailed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from uuid_utils.compat import uuid7

from core.contracts import events
from core.contracts.events import AlertDelivered, AlertFailed, AlertRequested, Detail
from core.contracts.names import EVENT_SOURCE
from lambdas.alert_dispatch.errors import Permanent, Transient

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

ERROR_LIMIT = 500


class NotPublished(Exception):
    """The bus did not take a receipt."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An event ready to publish. Publishing it twice publishes the same event: `event_id` is inside."""

    detail_type: str
    detail: str

    def to_record(self) -> dict[str, Any]:
        """As it is kept in the idempotency record."""
        return {"detail_type": self.detail_type, "detail": self.detail}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Receipt":
        """As it was kept."""
        return cls(record["detail_type"], record["detail"])


class Receipts:
    """Publishes receipts."""

    def __init__(self, client: "EventBridgeClient", bus: str) -> None:
        self._client = client
        self._bus = bus

    def publish(self, receipt: Receipt) -> None:
        """Publish one receipt.

        Raises:
            NotPublished: the bus refused it; botocore's errors where it could not be asked.
        """
        entry = {
            "Source": EVENT_SOURCE,
            "DetailType": receipt.detail_type,
            "Detail": receipt.detail,
            "EventBusName": self._bus,
        }
        answer = self._client.put_events(Entries=[entry])  # type: ignore[list-item]  # a plain dict is the documented form
        result = answer["Entries"][0]
        if "EventId" not in result:
            raise NotPublished(f"{receipt.detail_type}: {result.get('ErrorMessage', 'refused')}")


def delivered(
    request: Detail[AlertRequested], *, attempt: int, now: datetime, duration_ms: int = 0, superseded_by: int | None = None
) -> Receipt:
    """The channel took the message, or it was superseded."""
    data = request.data
    receipt = AlertDelivered(
        delivery_id=data.delivery_id,
        generation=data.generation,
        alert_type=data.alert_type,
        channel_id=data.channel_id,
        channel_kind=data.channel_kind,
        attempt=attempt,
        delivered_at=now,
        duration_ms=duration_ms,
        superseded_by=superseded_by,
    )
    return _receipt(request, receipt, now)


def failed(
    request: Detail[AlertRequested], error: Transient | Permanent, *, attempt: int, now: datetime, retry_in_s: int | None
) -> Receipt:
    """An attempt failed; final where there is no `retry_in_s`."""
    data = request.data
    receipt = AlertFailed(
        delivery_id=data.delivery_id,
        generation=data.generation,
        alert_type=data.alert_type,
        channel_id=data.channel_id,
        channel_kind=data.channel_kind,
        attempt=attempt,
        failed_at=now,
        error_type=error.error_type,
        error=str(error).replace("\x00", "")[:ERROR_LIMIT],
        final=retry_in_s is None,
        retry_at=now + timedelta(seconds=retry_in_s) if retry_in_s is not None else None,
        disable_channel=isinstance(error, Permanent) and error.disable_channel,
    )
    return _receipt(request, receipt, now)


def _receipt(request: Detail[AlertRequested], data: AlertDelivered | AlertFailed, now: datetime) -> Receipt:
    metadata = events.Metadata(
        event_id=uuid7(),
        occurred_at=now,
        workspace_id=request.metadata.workspace_id,
        correlation_id=request.metadata.correlation_id,
    )
    return Receipt(type(data).__name__, events.encode(metadata, data))
