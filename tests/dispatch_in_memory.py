"""alert_dispatch without DynamoDB: targets, vault and idempotency records in memory, with the rules of the real ones.

Its order is the real one, on a table in memory.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from aws_lambda_powertools.utilities.idempotency import base as guard
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence import base as records
from aws_lambda_powertools.utilities.idempotency.persistence import datarecord
from aws_lambda_powertools.utilities.idempotency.persistence.base import BasePersistenceLayer
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
from botocore.exceptions import ClientError
from cryptography.fernet import Fernet

from core.contracts.channels.config import ChannelConfig
from core.contracts.channels.webhook import WebhookConfig
from core.contracts.names import Names
from lambdas.alert_dispatch.channels.webhook import WebhookSender
from lambdas.alert_dispatch.crowds import Crowds
from lambdas.alert_dispatch.dispatch import Dispatcher
from lambdas.alert_dispatch.errors import Transient
from lambdas.alert_dispatch.limits import Limit, Limits, full_again_at, turn_at
from lambdas.alert_dispatch.order import Order
from lambdas.alert_dispatch.posted import Posted
from lambdas.alert_dispatch.posting import Poster
from lambdas.alert_dispatch.receipts import Receipts
from lambdas.alert_dispatch.targets import PAUSE, REFUSALS_WITHIN, THRESHOLD, WINDOW, Look, Targets
from lambdas.alert_dispatch.vault import Vault
from lambdas.alert_dispatch.wiring import utc_now
from tests.fake_dynamodb import Item, holds, updated
from tests.fakes import FakeEvents, FakeSqs


class DispatchTable:
    """The dispatch table for `Order`. What an update changes, and on which condition, `tests.fake_dynamodb` knows."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self._turn = Lock()

    def update_item(self, **asked: Any) -> dict[str, Any]:
        """UpdateItem with ReturnValues ALL_OLD, also where the condition does not hold."""
        key = asked["Key"]["id"]["S"]
        with self._turn:
            before = self.items.get(key, {})
            if not holds(asked, before):
                error: Any = {"Error": {"Code": "ConditionalCheckFailedException", "Message": ""}, "Item": before}
                raise ClientError(error, "UpdateItem")
            self.items[key] = updated(asked, before)
        return {"Attributes": before}


def memory_order() -> Order:
    """Order on a table in memory."""
    return Order(DispatchTable(), "dispatch")  # type: ignore[arg-type]  # the one call of the client that it makes


class MemoryTargets(Targets):
    """See `Targets`."""

    def __init__(self) -> None:
        self._full_at: dict[object, datetime] = {}
        self._timeouts: dict[tuple[UUID, int], tuple[int, datetime, datetime]] = {}
        """By target: timeouts, when they are forgotten, and until when the breaker is open."""
        self._refused: dict[tuple[UUID, int], tuple[datetime, datetime]] = {}
        """By target: since when, and when that is forgotten."""
        self._lock = Lock()

    def take(self, channel_id: UUID, version: int, limit: Limit, now: datetime) -> Look:
        """See `Targets.take`."""
        key = limit.shared or (channel_id, version)
        with self._lock:
            before = self._full_at.get(key, now)
            self._full_at[key] = full_again_at(limit, before, now)
        return Look(turn_at(limit, before, now), self.open_for_s(channel_id, version, now))

    def hold(self, channel_id: UUID, version: int, limit: Limit, until: datetime, now: datetime) -> None:
        """See `Targets.hold`."""
        key = limit.shared or (channel_id, version)
        with self._lock:
            self._full_at[key] = max(self._full_at.get(key, now), until + limit.spare)

    def open_for_s(self, channel_id: UUID, version: int, now: datetime) -> int | None:
        """See `Targets.open_for_s`."""
        with self._lock:
            _, expiration, open_until = self._timeouts.get((channel_id, version), (0, now, now))
            if expiration > now:
                return max(int((open_until - now).total_seconds()), 0)
            return 0 if (channel_id, version) in self._refused else None

    def refused(self, channel_id: UUID, version: int, now: datetime) -> timedelta:
        """See `Targets.refused`."""
        with self._lock:
            since, until = self._refused.get((channel_id, version), (now, now))
            since = since if until > now else now
            self._refused[channel_id, version] = (since, now + REFUSALS_WITHIN)
            return now - since

    def timed_out(self, channel_id: UUID, version: int, now: datetime) -> None:
        """See `Targets.timed_out`."""
        with self._lock:
            count, expiration, open_until = self._timeouts.get((channel_id, version), (0, now, now - timedelta(days=1)))
            count = count + 1 if expiration > now else 1
            until = now + PAUSE if count >= THRESHOLD else open_until
            self._timeouts[channel_id, version] = (count, now + WINDOW, until)

    def answered(self, channel_id: UUID, version: int, now: datetime) -> None:
        """See `Targets.answered`."""
        with self._lock:
            self._timeouts.pop((channel_id, version), None)
            self._refused.pop((channel_id, version), None)


class MemoryPosted(Posted):
    """See `Posted`."""

    def __init__(self) -> None:
        self.known: dict[tuple[UUID, UUID], str] = {}

    def find(self, order_key: UUID, channel_id: UUID) -> str:
        """See `Posted.find`."""
        return self.known.get((order_key, channel_id), "")

    def remember(self, order_key: UUID, channel_id: UUID, message_id: str, now: datetime) -> None:
        """See `Posted.remember`."""
        self.known[order_key, channel_id] = message_id


class MemoryVault(Vault):
    """Configurations, as they were put in; links are signed with a key of its own."""

    def __init__(self) -> None:
        super().__init__(lambda: [Fernet.generate_key().decode()])
        self.known: dict[tuple[UUID, int], ChannelConfig] = {}

    def config(self, channel_id: UUID, version: int) -> ChannelConfig:
        """See `Vault.config`."""
        try:
            return self.known[channel_id, version]
        except KeyError:
            raise Transient("the channel's configuration is not in the vault yet") from None


class MemoryRecords(BasePersistenceLayer):
    """Idempotency records of Powertools. `clock` is theirs as well, where it is not the real one: see `guarded_by`."""

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Powertools has left it untyped
        self._clock = clock
        self._records: dict[str, DataRecord] = {}
        self._lock = Lock()

    def _get_record(self, idempotency_key: str) -> DataRecord:
        try:
            return self._records[idempotency_key]
        except KeyError:
            raise IdempotencyItemNotFoundError from None

    def _put_record(self, data_record: DataRecord) -> None:
        """On the condition of the layer for DynamoDB: no record, or one that is old, or of somebody whose time was up."""
        with self._lock:
            known = self._records.get(data_record.idempotency_key)
            if known and not self._is_void(known):
                raise IdempotencyItemAlreadyExistsError(old_data_record=known)
            self._records[data_record.idempotency_key] = data_record

    def _is_void(self, record: DataRecord) -> bool:
        now = self._clock().timestamp()
        time_is_up = record.status == "INPROGRESS" and (record.in_progress_expiry_timestamp or 0) < int(now * 1000)
        return (record.expiry_timestamp or 0) < int(now) or time_is_up

    def _update_record(self, data_record: DataRecord) -> None:
        self._records[data_record.idempotency_key] = data_record

    def _delete_record(self, data_record: DataRecord) -> None:
        self._records.pop(data_record.idempotency_key, None)


@contextmanager
def guarded_by(clock: Callable[[], datetime]) -> Iterator[None]:
    """Powertools goes by this clock: until when whoever was killed keeps a message must not depend on how fast a test is."""
    stands_in = SimpleNamespace(datetime=SimpleNamespace(now=clock), timedelta=timedelta)
    with ExitStack() as patches:
        for module in (guard, records, datarecord):
            patches.enter_context(patch.object(module, "dt", stands_in))
        yield


@dataclass
class MemoryWiring:
    """Stands in for `Wiring`, webhooks only: `patch.object(handler, "wiring", lambda: memory_wiring)`. Where `clock` is not the real one,
    `guarded_by` it, too."""

    names: Names
    sqs: FakeSqs
    events: FakeEvents
    clock: Callable[[], datetime] = utc_now
    vault: MemoryVault = field(default_factory=MemoryVault)
    crowds: Crowds = field(default_factory=Crowds)

    def __post_init__(self) -> None:
        self.receipts = Receipts(self.events, self.names.bus)  # type: ignore[arg-type]  # the one call of the client that it makes
        self.queue_url = self.names.alerts_queue
        self.persistence = MemoryRecords(self.clock)
        senders: dict[type, Any] = {WebhookConfig: WebhookSender(Poster(private_targets=True, clock=self.clock))}
        self.dispatcher = Dispatcher(self.vault, memory_order(), MemoryTargets(), Limits(), senders, self.clock, MemoryPosted())
