"""The whole way of an alert in one process, on a clock that the test moves.

PostgreSQL, flows and handler are the real ones; queues and what the edge remembers are in memory.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg

from core.adapters.database import Pool
from core.adapters.event_bus import EventBridgeBus
from core.contracts.channels.config import ChannelConfig
from core.contracts.names import Names
from core.contracts.queues import queues
from core.domain.outcomes import Reason
from core.domain.transitions import CameUp, MonitorRef, WentDown
from core.flows import acknowledgements, alerts, routing
from core.flows.incidents import record_transitions
from lambdas.alert_dispatch import handler
from tests.dispatch_in_memory import MemoryWiring, guarded_by
from tests.dispatching import Context
from tests.fakes import FakeEvents, FakeMessage, FakeQueue, FakeSqs
from tests.route_reference import Quiet, Route, Subject
from tests.websites import make_website, make_workspace

NAMES: Final = Names("test")
BEGAN: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
STEP: Final = timedelta(seconds=5)
UNMARKED: Final = Subject("", "critical")
PATIENCE: Final = timedelta(hours=8)

type Senders = Mapping[type[ChannelConfig], Callable[..., str | None]]


class BusyEvents(FakeEvents):
    """A bus that throttles while it is `busy`: of every two entries it takes one, as PutEvents may."""

    busy = False
    _asked = 0

    def _put(self, entry: Mapping[str, str]) -> dict[str, str]:
        self._asked += 1
        if self.busy and self._asked % 2:
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}
        return super()._put(entry)


class AlertPath:
    """One workspace, its monitors and channels, and everything between them. `now` is the time of all of it."""

    def __init__(self, connection: psycopg.Connection, pool: Pool, senders: Senders) -> None:
        self.connection = connection
        self.pool = pool
        self.now = BEGAN
        specs = {queue.name: queue for queue in queues(NAMES)}
        self.alerts, self.receipts = (
            FakeQueue(specs[name].visibility_s, specs[name].max_receives, self._seconds)
            for name in (NAMES.alerts_queue, NAMES.receipts_queue)
        )
        routes = {"AlertRequested": self.alerts, "AlertDelivered": self.receipts, "AlertFailed": self.receipts}
        self.events = BusyEvents(routes)
        self.bus = EventBridgeBus(NAMES.bus, self.events)  # type: ignore[arg-type]  # the one call of the client that it makes
        self.edge = MemoryWiring(NAMES, FakeSqs({NAMES.alerts_queue: self.alerts}), self.events, self.clock)
        self.edge.dispatcher = replace(self.edge.dispatcher, senders=senders)
        self.workspace = make_workspace(connection, self.now)
        connection.commit()

    def clock(self) -> datetime:
        """The time."""
        return self.now

    def _seconds(self) -> float:
        return self.now.timestamp()

    def wait(self, span: timedelta) -> None:
        """Let time pass."""
        self.now += span

    # --- what there is ----------------------------------------------------------------------------------------------

    def monitor(self, name: str = "shop", subject: Subject = UNMARKED) -> MonitorRef:
        """A website that is watched."""
        monitor_id = make_website(self.connection, self.workspace, self.now)
        row = self.connection.execute(
            "UPDATE monitor SET name = %s, tags = %s, severity = %s WHERE id = %s RETURNING uid",
            (name, [subject.tag] if subject.tag else [], subject.severity, monitor_id),
        ).fetchone()
        self.connection.commit()
        assert row
        return MonitorRef(monitor_id, row[0], self.workspace, "website", name, "https://shop.example/")

    def channel(self, kind: str, config: ChannelConfig, channel_id: UUID | None = None) -> UUID:
        """A channel of the workspace, and in the vault. The ids of channels order the messages of an alert."""
        channel_id = channel_id or uuid4()
        self.connection.execute(
            "INSERT INTO channel (id, workspace_id, name, kind, config_version, config_ciphertext, summary, disabled_reason,"
            " created_at, updated_at) VALUES (%s, %s, 'c', %s, 1, '', '', '', %s, %s)",
            (channel_id, self.workspace, kind, self.now, self.now),
        )
        self.connection.commit()
        self.edge.vault.known[channel_id, 1] = config
        return channel_id

    def write_routes(self, routes: Sequence[Route]) -> None:
        """All routes of the workspace, instead of those before. Whoever writes them has what is held decided again."""
        self.connection.execute("DELETE FROM alert_route WHERE workspace_id = %s", (self.workspace,))
        for position, route in enumerate(routes, 1):
            self.connection.execute(
                "INSERT INTO alert_route (id, workspace_id, name, position, enabled, monitors, kinds, topics, tags, severities, steps,"
                " repeat_s, quiet_hours, created_at, updated_at)"
                " VALUES (%s, %s, 'r', %s, true, '{}', '{}', '{}', %s, %s, %s, %s, %s, %s, %s)",
                (uuid4(), self.workspace, position, *_columns(route), self.now, self.now),
            )
        self.connection.commit()

    # --- what happens -----------------------------------------------------------------------------------------------

    def goes_down(self, monitor: MonitorRef) -> list[UUID]:
        """The change of state is committed; the alerts that follow."""
        return self._changes(WentDown(monitor, self.now, Reason.CONNECT_REFUSED, "connection refused"))

    def comes_up(self, monitor: MonitorRef) -> list[UUID]:
        """As above."""
        return self._changes(CameUp(monitor, self.now))

    def _changes(self, transition: WentDown | CameUp) -> list[UUID]:
        alert_ids = record_transitions(self.connection, [transition], self.now)
        self.connection.commit()
        return alert_ids

    def takes_on(self, incident: UUID, by: str = "Ada") -> list[UUID]:
        """Somebody acknowledges an incident, which is committed; the alerts that follow."""
        with self.connection.transaction():
            return acknowledgements.acknowledge(self.connection, self.workspace, incident, by, self.now)

    def gives_back(self, incident: UUID) -> list[UUID]:
        """As above."""
        with self.connection.transaction():
            return acknowledgements.take_back(self.connection, self.workspace, incident, self.now)

    def route(self, alert_ids: Sequence[UUID]) -> None:
        """The task `handle_alert`."""
        with self.pool.connection() as connection:
            routing.route_alerts(connection, alert_ids, self.now)
        alerts.relay_outbox(self.pool, self.bus)

    def sweep(self) -> None:
        """The task `sweep_outbox`."""
        alerts.sweep(self.pool, self.bus, self.now)

    def dispatch(self, limit: int = 10) -> int:
        """The event source mapping: invoke the Lambda for what is visible, one message each; returns how many were there."""
        messages = self.alerts.receive(limit)
        for message in messages:
            self.invoke(message)
        return len(messages)

    def invoke(self, message: FakeMessage, *, deletes: bool = True) -> bool:
        """One invocation; whether the message is done, and then deleted unless told otherwise."""
        answer = handler.handler({"Records": [record(message)]}, Context(str(uuid4())))  # type: ignore[arg-type]  # a protocol
        done = not answer["batchItemFailures"]
        if done and deletes:
            self.alerts.delete([message.receipt])
        return done

    def take_receipts(self, limit: int = 10) -> int:
        """The inbox; returns how many receipts there were."""
        messages = self.receipts.receive(limit)
        for message in messages:
            self.apply(message)
            self.receipts.delete([message.receipt])
        return len(messages)

    def apply(self, message: FakeMessage) -> None:
        """Write one receipt."""
        event = json.loads(message.body)
        with self.pool.connection() as connection:
            alerts.apply_receipts(connection, [(event["detail-type"], json.dumps(event["detail"]))], self.now)

    def settle(self, patience: timedelta = PATIENCE, sweep: Callable[[], None] | None = None) -> None:
        """Let everything take its course until every delivery has ended; fails where that takes longer than `patience`.

        `sweep` is for whoever has to know of each.
        """
        give_up = self.now + patience
        self.wait(STEP)  # beyond the grace that a task has before the sweep does its work
        while True:
            (sweep or self.sweep)()
            while self.dispatch() or self.take_receipts():
                pass
            if self.is_settled():
                return
            assert self.now < give_up, self.deliveries()
            self.wait(min(self._until_something_happens(), give_up - self.now))

    def _until_something_happens(self) -> timedelta:
        """A message is visible again, a hold is over or a receipt overdue; what waits only for the next sweep has it soon."""
        row = self.connection.execute(
            "SELECT least((SELECT min(coalesce(due_at, created_at)) FROM alert WHERE routed_at IS NULL),"
            " (SELECT min(receipt_due_at) FROM delivery WHERE state = 'requested'), (SELECT min(created_at) FROM outbox))"
        ).fetchone()
        self.connection.commit()
        assert row
        visible = [datetime.fromtimestamp(at, UTC) for at in (self.alerts.next_at(), self.receipts.next_at()) if at is not None]
        return max(min([*visible, row[0] or self.now]) - self.now, STEP)

    def is_settled(self) -> bool:
        """Whether every alert is decided and every delivery has ended."""
        row = self.connection.execute(
            "SELECT NOT EXISTS (SELECT FROM alert WHERE routed_at IS NULL) AND NOT EXISTS (SELECT FROM outbox)"
            " AND NOT EXISTS (SELECT FROM delivery WHERE state = 'requested')"
        ).fetchone()
        self.connection.commit()
        return bool(row and row[0])

    def open_incident(self, monitor: MonitorRef) -> UUID:
        """The outage of a monitor that is down."""
        row = self.connection.execute(
            "SELECT id FROM incident WHERE monitor_id = %s AND resolved_at IS NULL", (monitor.id,)
        ).fetchone()
        self.connection.commit()
        assert row
        incident: UUID = row[0]
        return incident

    def requested(self) -> list[tuple[UUID, int, str, UUID]]:
        """Of each message that was ever asked for: its outage, its place there, its type and its channel."""
        rows = self.connection.execute(
            "SELECT (a.facts->'incident'->>'id')::uuid, a.sequence, a.alert_type, d.channel_id"
            " FROM delivery d JOIN alert a ON a.id = d.alert_id"
        ).fetchall()
        self.connection.commit()
        return [(about, sequence, alert_type, channel) for about, sequence, alert_type, channel in rows]

    def deliveries(self, channel: UUID | None = None) -> list[tuple[str, str, str]]:
        """Type, state and error of each delivery, in the order in which they were asked for."""
        rows = self.connection.execute(
            "SELECT a.alert_type, d.state, d.error FROM delivery d JOIN alert a ON a.id = d.alert_id"
            " WHERE %(channel)s::uuid IS NULL OR d.channel_id = %(channel)s ORDER BY d.requested_at, a.sequence, d.id",
            {"channel": channel},
        ).fetchall()
        self.connection.commit()
        return [(alert_type, state, error) for alert_type, state, error in rows]


def _columns(route: Route) -> tuple[list[str], list[str], str, int | None, str | None]:
    """Of a route: tags, severities, steps, repeat_s and quiet_hours."""
    steps = [
        {"after_s": int(step.after.total_seconds()), "channels": [str(channel) for channel in sorted(step.channels)]}
        for step in route.steps
    ]
    return (
        [route.tag] if route.tag else [],
        [route.severity] if route.severity else [],
        json.dumps(steps),
        int(route.repeat.total_seconds()) if route.repeat else None,
        json.dumps(_quiet_hours(route.quiet)) if route.quiet else None,
    )


def _quiet_hours(quiet: Quiet) -> dict[str, Any]:
    begins, ends = (f"{BEGAN.replace(hour=0) + after:%H:%M}" for after in (quiet.begins, quiet.begins + quiet.lasts))
    return {"weekdays": [*range(7)], "begins": begins, "ends": ends, "time_zone": "UTC", "critical_too": quiet.critical_too}


def record(message: FakeMessage) -> dict[str, Any]:
    """A message as the event source mapping hands it over."""
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receive_count)},
        "eventSource": "aws:sqs",
    }


@contextmanager
def alert_path(connection: psycopg.Connection, pool: Pool, senders: Senders) -> Iterator[AlertPath]:
    """The way, with the handler wired to it."""
    path = AlertPath(connection, pool, senders)
    with patch.object(handler, "wiring", lambda: path.edge), patch.object(handler, "utc_now", path.clock), guarded_by(path.clock):
        yield path
