"""Who is told that a website is slow, and that it is fast again.

Invariant: each time that a website becomes slow is told once, and its end once, because the note of it and the alert are one transaction,
and whoever writes the note tells. What is told of follows from stored checks alone: whoever dies before the end loses nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from core.adapters.database import Connection
from core.adapters.store import incidents as incident_store
from core.adapters.store import maintenance as window_store
from core.adapters.store import slowness as store
from core.adapters.store.incidents import AlertRow
from core.adapters.store.slowness import Watched
from core.contracts.events import MonitorFacts
from core.domain.alert_facts import AlertFacts
from core.domain.maintenance import held_until
from core.domain.slowness import Change, Check, fast_again_text, judge, slow_text
from core.domain.uptime import Span

TICK: Final = timedelta(microseconds=1)

type Found = tuple[Watched, Change]


def notify(connection: Connection, now: datetime) -> list[UUID]:
    """Store the alerts about what became slow or fast again, in one transaction; returns their ids, to kick."""
    _forget_overtaken(connection, now)
    with connection.transaction():
        found = [(site, change) for site in store.look(connection, now) if (change := _judge(connection, site, now))]
        there = store.lock_monitors(connection, [site.monitor_id for site, _ in found]) if found else set()
        found = [(site, change) for site, change in found if site.monitor_id in there]
        alerts = [
            *_tell_slow(connection, [one for one in found if one[1].news == "degraded"], now),
            *_tell_fast(connection, [one for one in found if one[1].news == "fast_again"], now),
        ]
        if alerts:
            incident_store.insert_alerts(connection, alerts, now)
    return [alert.id for alert in alerts]


def _forget_overtaken(connection: Connection, now: datetime) -> None:
    """What an outage has overtaken ends without a word, and so does what nobody wants to know any more."""
    with connection.transaction():
        overtaken = store.overtaken(connection)
        if overtaken:
            store.lock_monitors(connection, overtaken)
            store.drop_held(connection, store.forget(connection, overtaken.values()), now)


def _judge(connection: Connection, site: Watched, now: datetime) -> Change | None:
    """Windows are only asked for where there would be something to tell; what was checked within one counts for nothing."""
    told = site.order_key is not None
    if judge(site.checks, site.threshold, told=told) is None:
        return None
    return judge(_outside_maintenance(connection, site, now), site.threshold, told=told)


def _outside_maintenance(connection: Connection, site: Watched, now: datetime) -> list[Check]:
    span = Span(site.checks[-1].at, now + TICK)
    windows = [window for _, window in window_store.of_monitor(connection, site.monitor_id, span)]
    if held_until(windows, now):
        return []
    return [check for check in site.checks if held_until(windows, check.at) is None]


def _tell_slow(connection: Connection, found: Sequence[Found], now: datetime) -> list[AlertRow]:
    """The alert's id is the order key of the story that it begins."""
    if not found:
        return []
    keys = [uuid7() for _ in found]
    slow = [(site.monitor_id, change.since, key) for (site, change), key in zip(found, keys, strict=True)]
    noted = store.note(connection, slow, now)
    return [
        _alert(site, key, key, change, slow_text(site.threshold, site.limit_ms, round(site.latest_us / 1000), change.since))
        for (site, change), key in zip(found, keys, strict=True)
        if key in noted
    ]


def _tell_fast(connection: Connection, found: Sequence[Found], now: datetime) -> list[AlertRow]:
    """Nobody hears of the end who has not heard of the beginning: what quiet hours still hold is dropped, and the end with it."""
    if not found:
        return []
    ended = store.forget(connection, [site.order_key for site, _ in found if site.order_key])
    heard = ended - store.drop_held(connection, ended, now)
    return [
        _alert(site, uuid7(), site.order_key, change, fast_again_text(site.threshold, site.slow_since, change.since))
        for site, change in found
        if site.order_key and site.slow_since and site.order_key in heard
    ]


def _alert(site: Watched, alert_id: UUID, order_key: UUID, change: Change, text: str) -> AlertRow:
    monitor = MonitorFacts(id=site.uid, kind="website", name=site.name, target=site.url)
    return AlertRow(
        id=alert_id,
        workspace_id=site.workspace_id,
        monitor_id=site.monitor_id,
        incident_id=None,
        alert_type=change.news,
        order_key=order_key,
        sequence=1 if change.news == "degraded" else 2,
        facts=msgspec.json.encode(AlertFacts(monitor=monitor, text=text)).decode(),
    )
