"""What is done with the messages of each queue. The body of a message is a whole EventBridge event."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from core.adapters.database import Pool
from core.adapters.heartbeat_table import EdgeUnreachable, HeartbeatTable
from core.adapters.queues import Message
from core.contracts.events import Detail, HeartbeatPinged, decode
from core.domain.mail_feedback import MailEvent, unreachable
from core.flows import alert_metrics
from core.flows.alerts import apply_receipts
from core.flows.dead_channels import disable_channel
from core.flows.heartbeat_metrics import HeartbeatSeries
from core.flows.heartbeats import apply_pings
from core.logs import get_logger

log = get_logger(__name__)

CONNECTION_TIMEOUT_S = 5.0

type Handler = Callable[[Sequence[Message]], None]


class Envelope(msgspec.Struct, frozen=True):
    """The parts of an EventBridge event that matter here; `detail` stays JSON."""

    detail_type: str = msgspec.field(name="detail-type")
    detail: msgspec.Raw


class AlertKicks(Protocol):
    """Who routes alerts (`core.adapters.task_queue.TaskQueue`)."""

    def kick_alerts(self, alert_ids: Sequence[UUID]) -> None:
        """Have them routed soon; one that is lost is found by a sweep."""
        ...


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class PingHandler:
    """Stores pings, then forgets their pending markers. One that waits for its heartbeat keeps its own: the sweep brings it again."""

    def __init__(
        self,
        pool: Pool,
        table: HeartbeatTable,
        tasks: AlertKicks,
        series: HeartbeatSeries,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._pool = pool
        self._table = table
        self._tasks = tasks
        self._series = series
        self._clock = clock

    def __call__(self, messages: Sequence[Message]) -> None:
        """One transaction for the whole batch.

        Raises:
            msgspec.DecodeError: one is no HeartbeatPinged.
            psycopg.Error: nothing was stored.
        """
        pings = [_ping(message) for message in messages]
        with self._pool.connection(CONNECTION_TIMEOUT_S) as connection:
            applied = apply_pings(connection, pings, self._clock())
        self._tasks.kick_alerts(applied.alert_ids)
        self._series.count(applied)
        log.info(
            "inbox.pings",
            received=len(pings),
            stored=len(applied.pings),
            waiting=len(applied.waiting),
            changes=len(applied.transitions),
        )
        try:
            self._table.confirm({ping.data.heartbeat_id for ping in pings if ping.data.creation})
            self._table.settle(ping.data.ping_id for ping in pings if ping.data.ping_id not in applied.waiting)
        except EdgeUnreachable as error:
            log.warning("inbox.not_settled", pings=len(pings), error=str(error))


class ReceiptHandler:
    """Writes receipts into their deliveries. Where one ends a channel, the others are told at once."""

    def __init__(self, pool: Pool, receipt_timeout: timedelta, tasks: AlertKicks) -> None:
        self._pool = pool
        self._tasks = tasks
        self._receipt_timeout = receipt_timeout

    def __call__(self, messages: Sequence[Message]) -> None:
        """One transaction for the whole batch; a receipt that was written before changes and counts nothing.

        Raises:
            msgspec.DecodeError: one is no receipt.
            ValueError: as above.
            psycopg.Error: nothing was written.
        """
        envelopes = [msgspec.json.decode(message.body, type=Envelope) for message in messages]
        receipts = [(envelope.detail_type, bytes(envelope.detail)) for envelope in envelopes]
        with self._pool.connection(CONNECTION_TIMEOUT_S) as connection:
            received = apply_receipts(connection, receipts, datetime.now(UTC), self._receipt_timeout)
        if received.alert_ids:
            self._tasks.kick_alerts(received.alert_ids)
        for count in received.counts:
            alert_metrics.count(count)


class MailEventHandler:
    """Disables the channels whose mailboxes are gone or do not want our mail."""

    def __init__(self, pool: Pool, tasks: AlertKicks) -> None:
        self._pool = pool
        self._tasks = tasks

    def __call__(self, messages: Sequence[Message]) -> None:
        """A transaction for each channel that is lost; an event that comes again changes nothing.

        Raises:
            msgspec.DecodeError: one is no event of SES.
            psycopg.Error: that event, and those after it, were not handled.
        """
        for message in messages:
            envelope = msgspec.json.decode(message.body, type=Envelope)
            lost = unreachable(msgspec.json.decode(envelope.detail, type=MailEvent))
            if lost is None:
                log.info("inbox.mail_event", detail_type=envelope.detail_type)
                continue
            with self._pool.connection(CONNECTION_TIMEOUT_S) as connection, connection.transaction():
                alert_id = disable_channel(connection, lost.channel_id, lost.config_version, lost.reason, datetime.now(UTC))
            if alert_id:
                self._tasks.kick_alerts([alert_id])


def _ping(message: Message) -> Detail[HeartbeatPinged]:
    envelope = msgspec.json.decode(message.body, type=Envelope)
    if envelope.detail_type != HeartbeatPinged.__name__:
        raise msgspec.ValidationError(f"{envelope.detail_type!r} is no ping")
    return decode(HeartbeatPinged, bytes(envelope.detail))
