"""Storms against PostgreSQL: hundreds of outages at once, what each channel is told of them, and what became of every delivery."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.store import alert_groups as group_store
from core.contracts import events
from core.contracts.events import AlertRequested
from core.domain import alert_groups as rules
from core.domain.outcomes import Reason
from core.domain.transitions import CameUp, MonitorRef, WentDown
from core.flows import alerts, grouping, routing
from core.flows.incidents import record_transitions
from tests.fakes import FakeBus
from tests.integration.test_alert_flow import make_channel
from tests.statements import explain_all
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
STORM = 300
ALONE = 5


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=8)
    yield opened
    opened.close()


@dataclass
class World:
    """A workspace whose monitors go down together; `hears` gives what a channel was asked to take since."""

    connection: psycopg.Connection
    pool: Pool
    bus: FakeBus
    workspace: UUID
    monitors: list[MonitorRef] = field(default_factory=list)
    seen: int = 0

    def watch(self, count: int) -> None:
        for number in range(count):
            monitor_id = make_website(self.connection, self.workspace, NOW)
            row = self.connection.execute("SELECT uid FROM monitor WHERE id = %s", (monitor_id,)).fetchone()
            assert row
            ref = MonitorRef(monitor_id, row[0], self.workspace, "website", f"shop {number}", "http://127.0.0.1:1/")
            self.monitors.append(ref)
        self.connection.commit()

    def go(self, state: str, monitors: Sequence[MonitorRef], at: datetime) -> list[UUID]:
        down = [WentDown(one, at - 10 * SECOND, Reason.CONNECT_REFUSED, "refused") for one in monitors]
        up = [CameUp(one, at) for one in monitors]
        ids = record_transitions(self.connection, down if state == "down" else up, at)
        self.connection.commit()
        return ids

    def route(self, ids: Sequence[UUID], at: datetime) -> None:
        with self.pool.connection() as connection:
            routing.route_alerts(connection, ids, at)

    def hears(self, channel: UUID, at: datetime) -> list[AlertRequested]:
        """What a sweep at this time asks to be sent to a channel, with what was asked for before it."""
        alerts.sweep(self.pool, self.bus, at)
        requests = self.bus.requests()
        new, self.seen = requests[self.seen :], len(requests)
        return [request for request in new if request.channel_id == channel]

    def answer(self, request: AlertRequested, at: datetime, error: str = "", superseded_by: int | None = None) -> None:
        common = {
            "delivery_id": request.delivery_id,
            "generation": request.generation,
            "alert_type": request.alert_type,
            "channel_id": request.channel_id,
            "channel_kind": request.channel_kind,
            "attempt": 1,
        }
        receipt: events.AlertDelivered | events.AlertFailed
        if error:
            receipt = events.AlertFailed(**common, failed_at=at, error_type="permanent", error=error, final=True)  # type: ignore[arg-type]  # by name
        else:
            receipt = events.AlertDelivered(**common, delivered_at=at, duration_ms=5, superseded_by=superseded_by)  # type: ignore[arg-type]  # by name
        metadata = events.Metadata(event_id=uuid4(), occurred_at=at, workspace_id=self.workspace, correlation_id=uuid4())
        alerts.apply_receipts(self.connection, [(type(receipt).__name__, events.encode(metadata, receipt))], at)
        self.connection.commit()

    def deliveries(self, channel: UUID) -> Counter[str]:
        """Deliveries of alerts about changes, by state."""
        rows = self.connection.execute(
            "SELECT d.state FROM delivery d JOIN alert a ON a.id = d.alert_id WHERE d.channel_id = %s AND a.alert_type <> 'group'",
            (channel,),
        ).fetchall()
        self.connection.commit()
        return Counter(row[0] for row in rows)


@pytest.fixture
def world(connection: psycopg.Connection, pool: Pool) -> World:
    workspace = make_workspace(connection, NOW)
    connection.commit()
    return World(connection, pool, FakeBus(), workspace)


def channel(world: World, kind: str = "email") -> UUID:
    channel_id = make_channel(world.connection, world.workspace, kind)
    world.connection.commit()
    return channel_id


def group_of(requests: Sequence[AlertRequested]) -> events.GroupFacts:
    [request] = requests
    assert request.alert_type == "group"
    assert request.group
    return request.group


def test_every_statement_fits_the_schema(connection: psycopg.Connection) -> None:
    assert explain_all(connection, group_store) == 18


def test_a_storm_is_few_messages_that_tell_all_of_it(world: World) -> None:
    mail, chat = channel(world), channel(world, "telegram")
    world.watch(STORM)
    world.route(world.go("down", world.monitors, NOW), NOW)
    asked = world.hears(mail, NOW + SECOND)
    assert [request.alert_type for request in asked] == ["down"] * ALONE
    told = group_of(world.hears(mail, NOW + rules.GATHER))
    assert (told.down, told.up) == (STORM - ALONE, 0)
    assert len(told.lines) == rules.LISTED
    assert told.more == STORM - ALONE - rules.LISTED
    assert not {line.monitor_id for line in told.lines} & {one.monitor.id for one in asked if one.monitor}
    assert world.deliveries(mail) == world.deliveries(chat) == {"requested": STORM}, "each has a delivery of its own"
    assert world.hears(mail, NOW + MINUTE) == []


def test_without_grouping_each_is_a_message(world: World) -> None:
    mail = channel(world)
    world.connection.execute("UPDATE workspace SET group_after = 0")
    world.watch(STORM)
    world.route(world.go("down", world.monitors, NOW), NOW)
    assert [request.alert_type for request in world.hears(mail, NOW + SECOND)] == ["down"] * STORM
    assert world.hears(mail, NOW + MINUTE) == []


@pytest.mark.parametrize("kind", sorted(rules.NEVER_GROUPED))
def test_programs_get_each_by_itself(world: World, kind: str) -> None:
    program = channel(world, kind)
    world.watch(20)
    world.route(world.go("down", world.monitors, NOW), NOW)
    assert len(world.hears(program, NOW + MINUTE)) == 20


def test_workers_that_route_at_the_same_time_share_one_group(world: World) -> None:
    mail = channel(world)
    world.watch(80)
    ids = world.go("down", world.monitors, NOW)
    workers = [threading.Thread(target=world.route, args=(ids[part::4], NOW)) for part in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(world.hears(mail, NOW + SECOND)) == ALONE
    assert group_of(world.hears(mail, NOW + rules.GATHER)).down == 80 - ALONE


class TestTheWholeStory:
    def test_recoveries_go_where_their_outage_was_told_and_the_end_is_told(self, world: World) -> None:
        mail = channel(world)
        world.watch(12)
        world.route(world.go("down", world.monitors, NOW), NOW)
        alone = world.hears(mail, NOW + SECOND)
        first = world.hears(mail, NOW + rules.GATHER)
        for request in (*alone, *first):
            world.answer(request, NOW + 6 * SECOND)
        assert world.deliveries(mail) == {"delivered": 12}, "what the group told has arrived with it"
        grouped = {line.monitor_id for line in group_of(first).lines}
        world.route(
            world.go("up", [one for one in world.monitors if one.uid in grouped][:4], NOW + 30 * SECOND), NOW + 30 * SECOND
        )
        assert world.hears(mail, NOW + 31 * SECOND) == [], "not by themselves"
        update = world.hears(mail, NOW + rules.GATHER + rules.GAPS[0] + rules.LOOK_EVERY)
        told = group_of(update)
        assert (told.down, told.up, told.replaces, told.final) == (3, 4, True, False)
        assert [line.state for line in told.lines] == ["down"] * 3 + ["up"] * 4
        assert told.lines[-1].until == NOW + 30 * SECOND
        world.route(world.go("up", [one for one in world.monitors if one.uid in grouped][4:], NOW + 2 * MINUTE), NOW + 2 * MINUTE)
        end = world.hears(mail, NOW + 3 * MINUTE + rules.LOOK_EVERY)
        assert (group_of(end).down, group_of(end).up, group_of(end).final) == (0, 7, True)
        assert [request.sequence for request in (*first, *update, *end)] == [1, 2, 3]
        assert world.deliveries(mail)["requested"] == 7
        world.answer(end[0], NOW + 4 * MINUTE)
        world.answer(update[0], NOW + 4 * MINUTE, superseded_by=3)
        assert world.deliveries(mail) == {"delivered": 12 + 7}
        assert world.hears(mail, NOW + 5 * MINUTE) == []
        assert world.connection.execute("SELECT count(*) FROM alert_group WHERE closed_at IS NULL").fetchone() == (0,)

    def test_a_recovery_after_the_group_has_ended_is_told_by_itself(self, world: World) -> None:
        mail = channel(world)
        world.watch(7)
        world.route(world.go("down", world.monitors, NOW), NOW)
        for request in (*world.hears(mail, NOW + SECOND), *world.hears(mail, NOW + rules.GATHER)):
            world.answer(request, NOW + 6 * SECOND)
        assert world.hears(mail, NOW + rules.LONGEST) == []
        later = NOW + rules.LONGEST + MINUTE
        world.route(world.go("up", world.monitors[-1:], later), later)
        assert [request.alert_type for request in world.hears(mail, later)] == ["recovered"]

    def test_after_the_storm_a_new_outage_is_told_by_itself_though_the_group_is_open(self, world: World) -> None:
        mail = channel(world)
        world.watch(8)
        world.route(world.go("down", world.monitors[:7], NOW), NOW)
        world.hears(mail, NOW + SECOND)
        world.hears(mail, NOW + rules.GATHER)
        world.route(world.go("down", world.monitors[7:], NOW + 2 * MINUTE), NOW + 2 * MINUTE)
        [request] = world.hears(mail, NOW + 2 * MINUTE + SECOND)
        assert request.monitor
        assert request.monitor.id == world.monitors[7].uid

    def test_a_monitor_that_was_told_by_itself_meanwhile_is_listed_as_that_said(self, world: World) -> None:
        mail = channel(world)
        world.watch(7)
        first, second = world.monitors[-2:]
        world.route(world.go("down", world.monitors, NOW), NOW)
        for request in (*world.hears(mail, NOW + SECOND), *world.hears(mail, NOW + rules.GATHER)):
            world.answer(request, NOW + 6 * SECOND)
        world.route(world.go("up", [first, second], NOW + 10 * SECOND), NOW + 10 * SECOND)
        world.route(world.go("down", [first], NOW + MINUTE), NOW + MINUTE)
        asked = world.hears(mail, NOW + 2 * MINUTE)
        assert [request.alert_type for request in asked] == ["down", "group"]
        assert {line.monitor_id: line.state for line in group_of(asked[1:]).lines} == {first.uid: "down", second.uid: "up"}


class TestTrouble:
    def storm(self, world: World) -> tuple[UUID, AlertRequested]:
        mail = channel(world)
        world.watch(7)
        world.route(world.go("down", world.monitors, NOW), NOW)
        for request in world.hears(mail, NOW + SECOND):
            world.answer(request, NOW + 2 * SECOND)
        [request] = world.hears(mail, NOW + rules.GATHER)
        return mail, request

    def test_a_group_without_a_receipt_is_requested_again(self, world: World) -> None:
        mail, request = self.storm(world)
        [again] = world.hears(mail, NOW + 6 * MINUTE)
        assert (again.delivery_id, again.generation, again.group) == (request.delivery_id, 2, request.group)
        world.answer(again, NOW + 6 * MINUTE)
        assert world.deliveries(mail) == {"delivered": 7}

    def test_what_a_group_could_not_tell_has_failed_until_a_later_one_tells_it(self, world: World) -> None:
        mail, request = self.storm(world)
        world.answer(request, NOW + 6 * SECOND, error="the mailbox is full")
        assert world.deliveries(mail) == {"delivered": 5, "failed": 2}
        world.route(world.go("up", world.monitors[-1:], NOW + 10 * SECOND), NOW + 10 * SECOND)
        [update] = world.hears(mail, NOW + 2 * MINUTE)
        world.answer(update, NOW + 2 * MINUTE)
        assert world.deliveries(mail) == {"delivered": 8}

    def test_a_group_that_cannot_be_told_holds_up_no_other(self, world: World) -> None:
        mails = []
        for _ in range(2):
            world.workspace, world.monitors = make_workspace(world.connection, NOW), []
            mails.append(channel(world))
            world.watch(7)
            world.route(world.go("down", world.monitors, NOW), NOW)
        world.connection.execute(
            "UPDATE alert SET facts = '{\"monitor\": 5}' WHERE workspace_id <> %s AND alert_type = 'down'", (world.workspace,)
        )
        world.connection.commit()
        alerts.sweep(world.pool, world.bus, NOW + rules.GATHER)
        assert [request.channel_id for request in world.bus.requests() if request.group] == mails[1:]

    def test_a_channel_that_is_disabled_ends_its_group(self, world: World) -> None:
        mail, _ = self.storm(world)
        world.connection.execute("UPDATE channel SET disabled_at = %s", (NOW,))
        world.connection.commit()
        assert world.hears(mail, NOW + MINUTE) == []
        assert world.deliveries(mail) == {"delivered": 5, "failed": 2}
        assert world.hears(mail, NOW + 6 * MINUTE) == [], "its message is not requested again"

    def test_monitors_that_were_deleted_are_not_told(self, world: World) -> None:
        mail, _ = self.storm(world)
        world.connection.execute("DELETE FROM delivery WHERE group_id IS NOT NULL")
        world.connection.commit()
        assert world.hears(mail, NOW + MINUTE) == []
        assert world.connection.execute("SELECT count(*) FROM alert_group WHERE closed_at IS NULL").fetchone() == (0,)

    def test_who_dies_before_the_commit_leaves_the_group_to_the_next_sweep(self, world: World) -> None:
        mail = channel(world)
        world.watch(7)
        world.route(world.go("down", world.monitors, NOW), NOW)
        world.hears(mail, NOW + SECOND)

        def dies() -> None:
            with world.pool.connection() as connection, connection.transaction():
                assert grouping.tell_groups(connection, NOW + rules.GATHER) == 1
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            dies()
        assert group_of(world.hears(mail, NOW + rules.GATHER)).down == 2

    def test_two_sweeps_tell_it_once(self, world: World) -> None:
        mail = channel(world)
        world.watch(7)
        world.route(world.go("down", world.monitors, NOW), NOW)
        world.hears(mail, NOW + SECOND)
        told: list[int] = []

        def sweep() -> None:
            with world.pool.connection() as connection:
                told.append(grouping.tell_groups(connection, NOW + rules.GATHER))

        sweeps = [threading.Thread(target=sweep) for _ in range(4)]
        for one in sweeps:
            one.start()
        for one in sweeps:
            one.join(60)
        assert sum(told) == 1
