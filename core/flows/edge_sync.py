"""Make the edge agree with PostgreSQL's truth: heartbeat items and channel versions. Repeatable at any time, on a live system too."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from pynamodb.exceptions import PynamoDBException

from core.adapters.channel_vault import ChannelVault, VaultUnreachable
from core.adapters.database import Pool
from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.ping_names import Named, PingKey, PingNames
from core.adapters.store import edge
from core.contracts.channel_vault import ChannelVersion
from core.contracts.names import Names
from core.domain.heartbeat_watch import EdgeOptions, Projection
from core.logs import get_logger


class Answered(Protocol):
    """A ping that was answered, whether or not it is stored."""

    @property
    def id(self) -> UUID: ...  # noqa: D102  (of the ping)
    @property
    def received_ms(self) -> int: ...  # noqa: D102  (Unix time)


LONGEST_TRANSACTION_S = 35.0
"""How long `sync` waits for transactions that were running: a little more than a statement may take."""

PAUSE_S = 0.05
_log = get_logger(__name__)


class StillRunning(Exception):
    """A transaction does not end, so what is an orphan cannot be told from what it is just making. Nothing was removed; sync again."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was found and done: `rebuilt` items were missing or behind, orphans had lost their heartbeat or channel."""

    heartbeats: int
    rebuilt: int
    channels: int
    orphaned_heartbeats: int = 0
    orphaned_channels: int = 0


def sync(pool: Pool, names: Names, region: str) -> Counts:
    """Bring the edge up to PostgreSQL, and remove what belongs to nothing there. Sequences never get lower.

    An item is made before its row commits. So the orphans are looked for in what was at the edge *before* all transactions ended
    that could have made it.

    Raises:
        StillRunning: see there; the projections are up to date.
        EdgeUnreachable, VaultUnreachable: repeat when it is back.
    """
    table, vault, ping_names = HeartbeatTable(names, region), ChannelVault(names, region), PingNames(names, region)
    known_heartbeats, known_channels = table.known(), _known_channels()
    slugs, keys, at_edge = ping_names.slugs(), ping_names.keys(), table.options()
    created = at_edge.keys() - known_heartbeats  # by pings: the core has yet to hear of them
    projections, channels = _read(pool)
    rebuilt = _project(table, vault, projections, channels)
    _project_names(pool, table, ping_names, projections, at_edge)
    _wait_for_transactions(pool)
    projections, channels = _read(pool)
    _remove_names(pool, ping_names, projections, [name for name in slugs if name.heartbeat_id not in created], keys)
    lost_heartbeats = known_heartbeats - {projection.uid for projection in projections} - {_canary(pool)}
    lost_channels = known_channels - {channel.id for channel in channels}
    for uid in lost_heartbeats:
        _log.warning("edge.orphan_removed", heartbeat_id=str(uid))
        table.remove(uid)
    for channel_id in lost_channels:
        _log.warning("edge.orphan_removed", channel_id=str(channel_id))
        vault.remove(channel_id)
    return Counts(len(projections), rebuilt, len(channels), len(lost_heartbeats), len(lost_channels))


def restore[Ping: Answered](pool: Pool, names: Names, region: str, living: Sequence[Ping]) -> tuple[Counts, list[Ping]]:
    """Fill an empty edge as of one moment of PostgreSQL; also returns which of the journaled pings were not stored at that moment."""
    with pool.connection() as connection, connection.transaction():
        edge.freeze(connection)
        projections, channels = edge.projections(connection), edge.channels(connection)
        times = [_moment(entry.received_ms) for entry in living] or [_moment(0)]
        stored = edge.stored_pings(connection, [entry.id for entry in living], min(times), max(times))
        keys = _keys(edge.ping_keys(connection, datetime.now(UTC)))
    rebuilt = _project(HeartbeatTable(names, region), ChannelVault(names, region), projections, channels)
    PingNames(names, region).project(_named(projections), keys)
    return Counts(len(projections), rebuilt, len(channels)), [entry for entry in living if entry.id not in stored]


def _read(pool: Pool) -> tuple[list[Projection], list[edge.ChannelRow]]:
    with pool.connection() as connection:
        return edge.projections(connection), edge.channels(connection)


def _canary(pool: Pool) -> UUID:
    with pool.connection() as connection:
        return edge.canary_id(connection)


def _project(
    table: HeartbeatTable, vault: ChannelVault, projections: Sequence[Projection], channels: Sequence[edge.ChannelRow]
) -> int:
    for channel in channels:
        vault.project(channel.id, channel.version, channel.kind, channel.workspace_id, channel.ciphertext)
    return table.rebuild(projections)


def _project_names(
    pool: Pool, table: HeartbeatTable, names: PingNames, projections: Sequence[Projection], at_edge: Mapping[UUID, EdgeOptions]
) -> None:
    """Slugs, ping keys and options as PostgreSQL has them.

    A slug that is being changed meanwhile may stay as another name of its heartbeat; the next sync removes it.
    """
    with pool.connection() as connection:
        keys = _keys(edge.ping_keys(connection, datetime.now(UTC)))
    names.project(_named(projections), keys)
    for projection in projections:
        if projection.options and at_edge.get(projection.uid, projection.options) != projection.options:
            table.set_options(projection.uid, projection.options)


def _remove_names(
    pool: Pool, names: PingNames, projections: Sequence[Projection], slugs: Iterable[Named], keys: Iterable[str]
) -> None:
    """Remove those of these slugs and keys that PostgreSQL does not have."""
    with pool.connection() as connection:
        good = {key.key for key in _keys(edge.ping_keys(connection, datetime.now(UTC)))}
    current = {(name.workspace_id, name.slug) for name in _named(projections)}
    for name in slugs:
        if (name.workspace_id, name.slug) not in current:
            names.release(name)
    for key in set(keys) - good:
        names.forget(key)


def _named(projections: Sequence[Projection]) -> list[Named]:
    return [Named(p.workspace_id, p.options.slug, p.uid) for p in projections if p.options and p.options.slug]


def _keys(rows: Sequence[tuple[str, UUID, datetime | None]]) -> list[PingKey]:
    return [PingKey(*row) for row in rows]


def _known_channels() -> set[UUID]:
    """Every channel that has a version at the edge: a scan of the whole vault."""
    try:
        return {UUID(version.channel_id) for version in ChannelVersion.scan(attributes_to_get=["channel_id", "version"])}
    except PynamoDBException as error:
        raise VaultUnreachable(str(error)) from error


def _wait_for_transactions(pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
    with pool.connection() as connection:
        connection.set_autocommit(True)
        try:
            before = edge.mark_now(connection)
            give_up = clock() + LONGEST_TRANSACTION_S
            while not edge.have_ended(connection, before):
                if clock() > give_up:
                    raise StillRunning("a transaction is still running; nothing was removed")
                time.sleep(PAUSE_S)
        finally:
            connection.set_autocommit(False)


def _moment(epoch_ms: int) -> datetime:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)
