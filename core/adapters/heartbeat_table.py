"""The heartbeat table in DynamoDB, as the core uses it (`core.contracts.heartbeat_keys` explains the layout)."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import batched
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, PynamoDBException, UpdateError
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from core.adapters.dynamodb import boto3_session, share_description
from core.contracts.heartbeat_keys import (
    RUN_PREFIX,
    STATE_SORT_KEY,
    pending_partition,
    pending_partitions,
    ping_sort_key,
    run_attribute,
    slugs_partition,
)
from core.contracts.heartbeat_table import HeartbeatItem, PendingItem, PingItem, SlugItem, bind_table
from core.contracts.names import Names
from core.domain.heartbeat_runs import WITHOUT_ID, Run
from core.domain.heartbeat_watch import EdgeOptions, EdgeStamp, EdgeState, Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from core.adapters.ping_bodies import PingBodies

READ_LIMIT: Final = 100
WRITE_LIMIT: Final = 25
ATTEMPTS: Final = 6
FIRST_PAUSE_S: Final = 0.05
REBUILD_GAP: Final = 1000
"""Sequences left out when an item is made anew: the edge may have given some out that PostgreSQL has not seen yet."""

PLAIN: Final = EdgeOptions()

CONFIG: Final = Config(connect_timeout=1.0, read_timeout=5.0, retries={"mode": "standard", "total_max_attempts": 2})


class EdgeUnreachable(Exception):
    """DynamoDB did not answer, or not in full. Nothing is known, which is not the same as nothing being there."""


@dataclass(frozen=True, slots=True)
class PendingPing:
    """A ping that the core has not stored yet. `detail` is its HeartbeatPinged event."""

    ping_id: UUID
    pinged_at: datetime
    detail: str


class HeartbeatTable:
    """The table of one environment. Safe to share between threads."""

    def __init__(self, names: Names, region: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._name = names.heartbeats_table
        self._pause = pause
        self._region = region
        bind_table(self._name, region)
        share_description((HeartbeatItem, PingItem, PendingItem))

    @cached_property
    def _client(self) -> "DynamoDBClient":
        """For the batch calls, which not every process makes."""
        return boto3_session().client("dynamodb", region_name=self._region, config=CONFIG)

    def provision(self, uid: UUID, workspace_id: UUID, options: EdgeOptions = PLAIN) -> None:
        """Make pings to a heartbeat possible; one that is there already is left alone.

        Raises:
            EdgeUnreachable: it is not certain that the item is there.
        """
        with _reachable():
            try:
                item = HeartbeatItem(str(uid), STATE_SORT_KEY, workspace_id=str(workspace_id), **_stored(options))
                item.save(HeartbeatItem.pk.does_not_exist())
            except PutError as error:
                _unless_condition_failed(error)

    def set_options(self, uid: UUID, options: EdgeOptions) -> None:
        """Apply other settings; of a heartbeat without an item, none.

        Raises:
            EdgeUnreachable: it is not certain which ones apply.
        """
        with _reachable():
            try:
                HeartbeatItem(str(uid), STATE_SORT_KEY).update(_changes(options), condition=HeartbeatItem.pk.exists())
            except UpdateError as error:
                _unless_condition_failed(error)

    def options(self) -> dict[UUID, EdgeOptions]:
        """The settings that the edge applies, of every heartbeat: a scan of the whole table, for `edge sync`.

        Raises:
            EdgeUnreachable: the scan did not end.
        """
        with _reachable():
            items = HeartbeatItem.scan(HeartbeatItem.sk == STATE_SORT_KEY, consistent_read=True)
            return {UUID(i.pk): EdgeOptions(i.slug or "", bool(i.post_only), i.filters or "") for i in items}

    def confirm(self, uids: Iterable[UUID]) -> None:
        """Say that the core has these heartbeats, which pings created: their pings need not tell of that any more.

        Raises:
            EdgeUnreachable: some may go on to, which is harmless.
        """
        with _reachable():
            for uid in uids:
                try:
                    HeartbeatItem(str(uid), STATE_SORT_KEY).update(
                        [HeartbeatItem.creation.remove()], condition=HeartbeatItem.pk.exists()
                    )
                except UpdateError as error:
                    _unless_condition_failed(error)

    def remove(self, uid: UUID) -> None:
        """Make pings to a heartbeat end in 404, by its slug as well. Its ping items expire by themselves.

        Raises:
            EdgeUnreachable: the item may still be there.
        """
        with _reachable():
            key: Any = {"pk": {"S": str(uid)}, "sk": {"S": STATE_SORT_KEY}}
            gone = self._client.delete_item(TableName=self._name, Key=key, ReturnValues="ALL_OLD").get("Attributes", {})
            if slug := gone.get("slug", {}).get("S"):
                named = SlugItem(slugs_partition(gone["workspace_id"]["S"]), slug)
                try:
                    named.delete(SlugItem.heartbeat_id == str(uid))
                except DeleteError as error:
                    _unless_condition_failed(error)

    def rebuild(self, projections: Iterable[Projection]) -> int:
        """Write items that are missing or behind PostgreSQL; returns how many. A sequence never gets lower.

        Raises:
            EdgeUnreachable: some may be missing; rebuilding again is safe.
        """
        return sum(self._rebuild(projection) for projection in projections)

    def latest(self, uids: Iterable[UUID]) -> dict[UUID, EdgeState]:
        """The latest pings of heartbeats, read consistently. Heartbeats without an item are absent.

        Raises:
            EdgeUnreachable: not all of them could be read.
        """
        found: dict[UUID, EdgeState] = {}
        for chunk in batched(uids, READ_LIMIT, strict=False):
            keys = [{"pk": {"S": str(uid)}, "sk": {"S": STATE_SORT_KEY}} for uid in chunk]
            for raw in self._read(keys):
                item = HeartbeatItem.from_raw_data(raw)
                found[UUID(item.pk)] = _edge_state(item, raw)
        return found

    def known(self) -> set[UUID]:
        """Every heartbeat that has an item, but for those that the core has yet to hear of: a scan of the whole table, for `edge sync`.

        Raises:
            EdgeUnreachable: the scan did not end.
        """
        with _reachable():
            known = (HeartbeatItem.sk == STATE_SORT_KEY) & HeartbeatItem.creation.does_not_exist()
            return {UUID(item.pk) for item in HeartbeatItem.scan(known, consistent_read=True)}

    def pending(self, now: datetime, older_than: timedelta, limit: int = 500, *, resting: bool = False) -> list[PendingPing]:
        """Pings that the core should have stored by now, and (unless `resting`) that were not published again a moment ago.

        Raises:
            EdgeUnreachable: not all of them could be read.
        """
        late = PendingItem.pinged_at <= _ms(now - older_than)
        again = PendingItem.sweep_at.does_not_exist() | (PendingItem.sweep_at <= _ms(now))
        wanted = late if resting else late & again
        found: list[PendingPing] = []
        with _reachable():
            for partition in pending_partitions():
                for item in PendingItem.query(partition, filter_condition=wanted, consistent_read=True):
                    found.append(PendingPing(UUID(item.sk), _at(item.pinged_at), item.detail))
                    if len(found) >= limit:
                        return found
        return found

    def put_off(self, pings: Iterable[PendingPing], now: datetime, shortest: timedelta) -> None:
        """Let pings that were published again rest as long as they are old: a core that is away is not flooded when it is back.

        Raises:
            EdgeUnreachable: some may be published again sooner, which is harmless.
        """
        with _reachable():
            for ping in pings:
                marker = PendingItem(pending_partition(str(ping.ping_id)), str(ping.ping_id))
                rest = max(shortest, now - ping.pinged_at)
                try:
                    marker.update([PendingItem.sweep_at.set(_ms(now + rest))], condition=PendingItem.pk.exists())
                except UpdateError as error:
                    _unless_condition_failed(error)

    def settle(self, ping_ids: Iterable[UUID]) -> None:
        """Forget the pending markers of pings that the core has stored, 25 a call.

        Raises:
            EdgeUnreachable: some may be left; the sweep publishes them again and they are settled then.
        """
        for chunk in batched({str(ping_id) for ping_id in ping_ids}, WRITE_LIMIT, strict=False):
            keys = [{"pk": {"S": pending_partition(ping_id)}, "sk": {"S": ping_id}} for ping_id in chunk]
            self._delete(keys)

    def body(self, uid: UUID, ping_id: UUID, large: "PingBodies") -> bytes | None:
        """The body of a ping, or what was kept of it; None when it had none or has expired. `large` has those that do not fit in.

        Raises:
            EdgeUnreachable: it could not be read.
        """
        with _reachable():
            try:
                item = PingItem.get(str(uid), ping_sort_key(str(ping_id)))
            except DoesNotExist:
                return None
        if item.body_key:
            return large.read(item.body_key)
        return bytes(item.body) if item.body else None

    def _rebuild(self, projection: Projection) -> bool:
        state = projection.state
        item = HeartbeatItem(str(projection.uid), STATE_SORT_KEY)
        actions: list[Action] = [
            HeartbeatItem.workspace_id.set(str(projection.workspace_id)),
            HeartbeatItem.config_version.set(projection.config_version),
            HeartbeatItem.sequence.set(state.last_sequence + (REBUILD_GAP if state.last_sequence else 0)),
        ]
        if projection.options:
            actions += _changes(projection.options)
        bare = state.runs.open.get(WITHOUT_ID)
        latest = (
            (HeartbeatItem.last_success_at, HeartbeatItem.last_success_sequence, state.last_success_at, state.success_sequence),
            (HeartbeatItem.last_fail_at, HeartbeatItem.last_fail_sequence, state.last_fail_at, state.verdict_sequence),
            (
                HeartbeatItem.last_start_at,
                HeartbeatItem.last_start_sequence,
                bare.at if bare else None,
                bare.sequence if bare else 0,
            ),
        )
        for at_attribute, by_attribute, at, sequence in latest:
            if at:
                actions += [at_attribute.set(_ms(at)), by_attribute.set(sequence)]
        if state.end_sequence:
            actions.append(HeartbeatItem.last_end_sequence.set(state.end_sequence))
        actions += [_open_run(rid, run) for rid, run in state.runs.open.items() if rid != WITHOUT_ID]
        behind = HeartbeatItem.sequence.does_not_exist() | (HeartbeatItem.sequence < state.last_sequence)
        with _reachable():
            try:
                item.update(actions, condition=behind)
            except UpdateError as error:
                _unless_condition_failed(error)
                return False
        return True

    def _read(self, keys: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        asked: Any = {self._name: {"Keys": keys, "ConsistentRead": True}}
        for attempt in range(ATTEMPTS):
            with _reachable():
                answer = self._client.batch_get_item(RequestItems=asked)
            yield from answer["Responses"].get(self._name, [])
            asked = answer.get("UnprocessedKeys")
            if not asked:
                return
            self._pause(FIRST_PAUSE_S * 2**attempt)
        raise EdgeUnreachable("DynamoDB left keys unprocessed again and again")

    def _delete(self, keys: Sequence[dict[str, Any]]) -> None:
        asked: Any = {self._name: [{"DeleteRequest": {"Key": key}} for key in keys]}
        for attempt in range(ATTEMPTS):
            with _reachable():
                asked = self._client.batch_write_item(RequestItems=asked).get("UnprocessedItems")
            if not asked:
                return
            self._pause(FIRST_PAUSE_S * 2**attempt)
        raise EdgeUnreachable("DynamoDB left deletes unprocessed again and again")


@contextmanager
def _reachable() -> Iterator[None]:
    """Turn what the two libraries raise into the one error that callers know."""
    try:
        yield
    except (PynamoDBException, BotoCoreError, ClientError) as error:
        raise EdgeUnreachable(f"{type(error).__name__}: {error}") from error


def _stored(options: EdgeOptions) -> dict[str, Any]:
    """The attributes of an item that has these settings."""
    found = {"slug": options.slug, "post_only": options.post_only, "filters": options.filters}
    return {name: value for name, value in found.items() if value}


def _changes(options: EdgeOptions) -> list[Action]:
    """Make an item have these settings."""
    stored = _stored(options)
    attributes: dict[str, Any] = {
        "slug": HeartbeatItem.slug,
        "post_only": HeartbeatItem.post_only,
        "filters": HeartbeatItem.filters,
    }
    return [path.set(stored[name]) if name in stored else path.remove() for name, path in attributes.items()]


def _unless_condition_failed(error: DeleteError | PutError | UpdateError) -> None:
    """Swallow an error that only says that the condition did not hold."""
    if error.cause_response_code != "ConditionalCheckFailedException":
        raise error


def _edge_state(item: HeartbeatItem, raw: Mapping[str, Any]) -> EdgeState:
    success = _stamp(item.last_success_at, item.last_success_sequence)
    fail = _stamp(item.last_fail_at, item.last_fail_sequence)
    start = _stamp(item.last_start_at, item.last_start_sequence)
    stored = {name.removeprefix(RUN_PREFIX): value["M"] for name, value in raw.items() if name.startswith(RUN_PREFIX)}
    runs = {rid: _run(value) for rid, value in stored.items()}
    kept = [stamp.sequence for stamp in (success, fail, start) if stamp]
    kept += [run.sequence for rid, run in runs.items() if "touched" not in stored[rid]]
    return EdgeState(
        sequence=int(item.sequence),
        success=_later(success, _stamp(item.touched_success_at, item.touched_success_sequence)),
        fail=_later(fail, _stamp(item.touched_fail_at, item.touched_fail_sequence)),
        start=_later(start, _stamp(item.touched_start_at, item.touched_start_sequence)),
        end_sequence=int(item.last_end_sequence) if "last_end_sequence" in raw else None,
        runs=runs,
        kept_sequence=max(kept, default=0),
    )


def _later(one: EdgeStamp | None, other: EdgeStamp | None) -> EdgeStamp | None:
    return max((stamp for stamp in (one, other) if stamp), key=lambda stamp: stamp.sequence, default=None)


def _open_run(rid: str, run: Run) -> Action:
    return Path(run_attribute(rid)).set({"at": _ms(run.at), "sequence": run.sequence})


def _run(value: Mapping[str, Any]) -> Run:
    return Run(int(value["sequence"]["N"]), _at(float(value["at"]["N"])))


def _stamp(at_ms: float | None, sequence: float | None) -> EdgeStamp | None:
    return EdgeStamp(_at(at_ms), int(sequence or 0)) if at_ms is not None else None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _at(epoch_ms: float) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
