"""Many alerts for one channel become one message, which is told again while more come.

Invariants: an alert that is addressed to a channel is written down in one transaction with its routing, as a request of its own or as a
member of the channel's open group; an open group has a time at which the sweep looks at it, so no process that dies can silence it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import alert_groups as store
from core.adapters.store import alerts as alert_store
from core.adapters.store import incidents as incident_store
from core.adapters.store.alert_groups import Member, OpenGroup, Pace, StoredGroup
from core.adapters.store.alerts import ChannelRef, Saved, StoredAlert
from core.adapters.store.incidents import AlertRow
from core.contracts.events import AlertType
from core.domain import alert_groups as rules
from core.domain.alert_facts import AlertFacts
from core.domain.alert_groups import Close, Earlier, News, Tell
from core.flows.requests import RECEIPT_TIMEOUT, UNTELLABLE, Addressed, request_messages
from core.logs import get_logger

log = get_logger(__name__)

GROUP: Final[AlertType] = "group"
SWEEP_LIMIT: Final = 500


@dataclass(slots=True)
class _ToChannel:
    """The alerts that one channel gets."""

    channel: ChannelRef
    alerts: list[StoredAlert] = field(default_factory=list)


def group(connection: Connection, addressed: Sequence[Addressed], now: datetime) -> list[Addressed]:
    """Add what is too much for a channel to its group; the rest, to be requested. The alerts may be of several workspaces.

    Nothing is read where no alert is about a change, or no channel is of a kind that is grouped.
    """
    by_channel = _groupable(addressed)
    paces = store.lock_paces(connection, sorted(by_channel)) if by_channel else {}
    if not paces:
        return list(addressed)
    groups = store.open_groups(connection, sorted(paces))
    earlier = _earlier(connection, [by_channel[channel] for channel in paces], groups)
    members: list[Member] = []
    opened: list[tuple[UUID, UUID, UUID]] = []
    free: list[tuple[UUID, datetime | None]] = []
    for channel_id, pace in paces.items():
        to = by_channel[channel_id]
        grouped, free_at = _place(to, pace, earlier.get(channel_id, {}), now)
        if grouped and channel_id not in groups:
            groups[channel_id] = OpenGroup(uuid7(), 0)
            opened.append((groups[channel_id].id, to.alerts[0].workspace_id, channel_id))
        members += [_member(alert, to.channel, groups[channel_id]) for alert in grouped]
        free += [(channel_id, free_at)] if free_at != pace.free_at else []
    _write(connection, opened, members, free, now)
    return _without(addressed, members)


def tell_groups(connection: Connection, now: datetime, receipt_timeout: timedelta = RECEIPT_TIMEOUT) -> int:
    """Look at every group that is due; returns how many were told. Each is a transaction: one that fails is logged, the others go on."""
    with connection.transaction():
        due = store.due(connection, now, SWEEP_LIMIT)
    told = 0
    for group_id, channel_id in due:
        try:
            told += _look(connection, group_id, channel_id, now, receipt_timeout)
        except UNTELLABLE:
            log.exception("alert.group_failed", group_id=str(group_id))
    return told


def _groupable(addressed: Sequence[Addressed]) -> dict[UUID, _ToChannel]:
    found: dict[UUID, _ToChannel] = {}
    for one in addressed:
        if one.alert.alert_type not in rules.CHANGES:
            continue
        for channel in one.channels:
            if channel.kind not in rules.NEVER_GROUPED:
                found.setdefault(channel.id, _ToChannel(channel)).alerts.append(one.alert)
    return found


def _earlier(
    connection: Connection, to_channels: Sequence[_ToChannel], groups: dict[UUID, OpenGroup]
) -> dict[UUID, dict[UUID, Earlier]]:
    """By channel and order key; only what follows upon another alert can have an earlier one."""
    follows = {alert.incident_id for to in to_channels for alert in to.alerts if alert.incident_id and alert.alert_type != "down"}
    found: dict[UUID, dict[UUID, Earlier]] = {}
    if follows:
        channels, ids = [to.channel.id for to in to_channels], [one.id for one in groups.values()]
        for channel_id, order_key, in_group in store.earlier(connection, sorted(follows), channels, ids):
            found.setdefault(channel_id, {})[order_key] = Earlier.GROUPED if in_group else Earlier.ON_ITS_WAY
    return found


def _place(to: _ToChannel, pace: Pace, earlier: dict[UUID, Earlier], now: datetime) -> tuple[list[StoredAlert], datetime | None]:
    news = [News(alert.id, alert.alert_type, alert.order_key) for alert in to.alerts]
    placed = rules.place(news, earlier, pace.limit, pace.free_at, now)
    return [alert for alert in to.alerts if alert.id in placed.grouped], placed.free_at


def _member(alert: StoredAlert, channel: ChannelRef, into: OpenGroup) -> Member:
    return Member(uuid7(), alert.workspace_id, alert.id, channel.id, channel.config_version, into.id, into.revision + 1)


def _write(
    connection: Connection,
    opened: Sequence[tuple[UUID, UUID, UUID]],
    members: Sequence[Member],
    free: Sequence[tuple[UUID, datetime | None]],
    now: datetime,
) -> None:
    if opened:
        store.insert_groups(connection, opened, now, now + rules.GATHER)
        log.info("alerts.grouped", channels=[str(channel_id) for _, _, channel_id in opened])
    if members:
        store.insert_members(connection, members, now)
    if free:
        store.save_paces(connection, free)


def _without(addressed: Sequence[Addressed], members: Sequence[Member]) -> list[Addressed]:
    grouped = {(member.alert_id, member.channel_id) for member in members}
    return [
        Addressed(one.alert, [channel for channel in one.channels if (one.alert.id, channel.id) not in grouped])
        for one in addressed
    ]


def _look(connection: Connection, group_id: UUID, channel_id: UUID, now: datetime, receipt_timeout: timedelta) -> bool:
    """Tell a group, close it, or look again later; whether it was told."""
    with connection.transaction():
        stored = store.lock(connection, group_id, channel_id, now)
        if stored is None:
            return False
        if stored.disabled:
            store.give_up(connection, stored.id, "the channel is disabled", now)
            store.close(connection, stored.id, now)
            return False
        tally, heard = store.tally(connection, stored)
        match rules.look(stored.group, tally, now):
            case None:
                store.postpone(connection, stored.id, now + rules.LOOK_EVERY)
            case Close():
                store.close(connection, stored.id, now)
            case Tell() as telling:
                listed = store.facts(connection, heard[: rules.LISTED])
                facts = AlertFacts(group=rules.facts(stored.group, tally, listed, telling, now))
                told = rules.after(stored.group, telling, now)
                delivery_id = _request(connection, stored, told.revision, facts, now, receipt_timeout=receipt_timeout)
                store.save(connection, stored.id, told, delivery_id, now + rules.LOOK_EVERY)
                return True
        return False


def _request(
    connection: Connection, stored: StoredGroup, revision: int, facts: AlertFacts, now: datetime, *, receipt_timeout: timedelta
) -> UUID:
    """The next message of a group is an alert for its channel alone, ordered behind those before it."""
    uid = uuid7()
    text = msgspec.json.encode(facts).decode()
    row = AlertRow(uid, stored.workspace_id, None, None, GROUP, stored.id, revision, text, stored.channel_id)
    incident_store.insert_alerts(connection, [row], now)
    alert_store.save(connection, [Saved(uid, now)])
    alert = StoredAlert(uid, stored.workspace_id, None, GROUP, stored.id, revision, stored.channel_id, now, facts)
    channel = ChannelRef(stored.channel_id, stored.group.channel_kind, stored.config_version, disabled=False)
    [delivery_id] = request_messages(connection, [Addressed(alert, [channel])], now, receipt_timeout)
    return delivery_id
