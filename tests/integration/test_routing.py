"""What people hear of changes in maintenance windows, below a parent that is down, and while flapping: PostgreSQL, and sweeps alone."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from core import metrics
from core.adapters.database import Pool, open_pool
from core.domain.alert_policy import FLAP_CHANGES, LOOK_AGAIN, STABLE, TOLD_AT_MOST, TOLD_WITHIN
from core.domain.outcomes import Reason
from core.domain.transitions import CameUp, MonitorRef, WentDown
from core.flows import alerts, routing
from core.flows.incidents import record_transitions
from tests.fakes import FakeBus
from tests.integration.test_alert_flow import make_channel
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


@dataclass
class World:
    """A workspace with a channel; `goes` changes a monitor, `hears` sweeps and gives what people were told since."""

    connection: psycopg.Connection
    pool: Pool
    bus: FakeBus
    workspace: UUID
    heard: int = 0
    said: str = ""

    def monitor(self, name: str = "shop", parent: MonitorRef | None = None, tags: str = "{}") -> MonitorRef:
        monitor_id = make_website(self.connection, self.workspace, NOW)
        row = self.connection.execute(
            "UPDATE monitor SET name = %s, depends_on_id = %s, tags = %s WHERE id = %s RETURNING uid",
            (name, parent.uid if parent else None, tags, monitor_id),
        ).fetchone()
        self.connection.commit()
        assert row
        return MonitorRef(monitor_id, row[0], self.workspace, "website", name, "http://127.0.0.1:1/")

    def window(self, first: datetime, last: datetime, **scope: Any) -> UUID:
        columns = {"all_monitors": not scope, "monitors": [], "tags": [], **scope}
        window_id = uuid4()
        self.connection.execute(
            """INSERT INTO maintenance_window (id, workspace_id, name, kind, starts_at, ends_at, weekdays, cron, time_zone, all_monitors,
                monitors, tags, created_at, updated_at)
            VALUES (%s, %s, 'w', 'once', %s, %s, '{}', '', 'UTC', %s, %s::uuid[], %s, %s, %s)""",
            (window_id, self.workspace, first, last, columns["all_monitors"], columns["monitors"], columns["tags"], NOW, NOW),
        )
        self.connection.commit()
        return window_id

    def goes(self, state: str, monitor: MonitorRef, at: datetime) -> UUID:
        down = WentDown(monitor, at - 10 * SECOND, Reason.CONNECT_REFUSED, "connection refused")
        [alert_id] = record_transitions(self.connection, [down if state == "down" else CameUp(monitor, at)], at)
        self.connection.execute("UPDATE website_state SET state = %s, failures = 0 WHERE monitor_id = %s", (state, monitor.id))
        self.connection.commit()
        return alert_id

    def hears(self, at: datetime) -> list[tuple[str, str]]:
        """What a sweep at this time tells: type and monitor of each message."""
        alerts.sweep(self.pool, self.bus, at)
        told = [request for request in self.bus.requests() if request.generation == 1][self.heard :]
        self.heard += len(told)
        self.said = told[-1].text if told else self.said
        return [(request.alert_type, request.monitor.name if request.monitor else "") for request in told]

    def alert(self, alert_id: UUID) -> tuple[Any, ...]:
        row = self.connection.execute(
            "SELECT routed_at IS NULL, due_at, held_reason, dropped FROM alert WHERE id = %s", (alert_id,)
        )
        found = row.fetchone()
        self.connection.commit()
        assert found
        return found


@pytest.fixture
def world(connection: psycopg.Connection, pool: Pool) -> World:
    workspace = make_workspace(connection, NOW)
    make_channel(connection, workspace)
    connection.commit()
    return World(connection, pool, FakeBus(), workspace)


class TestMaintenance:
    def test_down_until_after_the_window_is_told_at_its_end(self, world: World) -> None:
        shop = world.monitor()
        world.window(NOW - HOUR, NOW + HOUR)
        alert_id = world.goes("down", shop, NOW)
        held = metrics.ALERT_THROTTLE_HITS.labels(str(shop.uid), "down")._value
        assert world.hears(NOW + 3 * SECOND) == []
        assert world.alert(alert_id) == (True, NOW + HOUR, "maintenance", False)
        assert world.hears(NOW + HOUR - SECOND) == []
        assert held.get() == 1, "counted once, however often it is looked at"
        assert world.hears(NOW + HOUR) == [("down", "shop")]
        assert "maintenance window" in world.said
        assert world.hears(NOW + HOUR + 5 * SECOND) == []
        world.goes("up", shop, NOW + 2 * HOUR)
        assert world.hears(NOW + 2 * HOUR + 3 * SECOND) == [("recovered", "shop")]

    def test_down_and_up_within_is_never_told(self, world: World) -> None:
        shop = world.monitor()
        world.window(NOW - HOUR, NOW + HOUR)
        down = world.goes("down", shop, NOW)
        assert world.hears(NOW + 3 * SECOND) == []
        up = world.goes("up", shop, NOW + MINUTE)
        assert world.hears(NOW + MINUTE + 3 * SECOND) == []
        assert world.hears(NOW + 2 * HOUR) == []
        assert world.alert(down)[2:] == ("maintenance", True)
        assert world.alert(up)[2:] == ("untold", True)

    def test_down_before_and_up_within_is_told_both_times(self, world: World) -> None:
        shop = world.monitor()
        world.window(NOW, NOW + HOUR)
        world.goes("down", shop, NOW - MINUTE)
        assert world.hears(NOW - MINUTE + 3 * SECOND) == [("down", "shop")]
        world.goes("up", shop, NOW + MINUTE)
        assert world.hears(NOW + MINUTE + 3 * SECOND) == [("recovered", "shop")]

    def test_windows_are_of_named_monitors_of_tags_or_of_all(self, world: World) -> None:
        named, tagged, other = world.monitor("named"), world.monitor("tagged", tags="{db,eu}"), world.monitor("other")
        world.window(NOW - HOUR, NOW + HOUR, monitors=[named.uid])
        world.window(NOW - HOUR, NOW + HOUR, tags=["db"])
        for monitor in (named, tagged, other):
            world.goes("down", monitor, NOW)
        assert world.hears(NOW + 3 * SECOND) == [("down", "other")]
        assert sorted(world.hears(NOW + HOUR)) == [("down", "named"), ("down", "tagged")]

    def test_a_window_of_another_workspace_holds_nothing(self, world: World) -> None:
        shop = world.monitor()
        elsewhere = World(world.connection, world.pool, world.bus, make_workspace(world.connection, NOW))
        elsewhere.window(NOW - HOUR, NOW + HOUR)
        world.goes("down", shop, NOW)
        assert world.hears(NOW + 3 * SECOND) == [("down", "shop")]

    def test_the_router_may_have_been_away_for_all_of_it(self, world: World) -> None:
        shop, blog = world.monitor(), world.monitor("blog")
        world.window(NOW - HOUR, NOW + HOUR)
        world.goes("down", shop, NOW)
        world.goes("down", blog, NOW)
        world.goes("up", shop, NOW + MINUTE)
        assert world.hears(NOW + 5 * HOUR) == [("down", "blog")]


class TestDependencies:
    def test_a_child_waits_for_its_parent_and_is_told_if_it_stays_down(self, world: World) -> None:
        router = world.monitor("router")
        shop = world.monitor(parent=router)
        world.goes("down", router, NOW)
        child = world.goes("down", shop, NOW + SECOND)
        assert world.hears(NOW + 4 * SECOND) == [("down", "router")]
        assert world.alert(child)[0] is True
        assert world.alert(child)[2] == "dependency"
        [(cause, parent)] = world.connection.execute(
            "SELECT c.caused_by_id, p.id FROM incident c JOIN incident p ON p.monitor_id = %s WHERE c.monitor_id = %s",
            (router.id, shop.id),
        ).fetchall()
        world.connection.commit()
        assert cause == parent
        assert world.hears(NOW + 4 * SECOND + LOOK_AGAIN) == []
        world.connection.execute("UPDATE website_state SET next_check_at = %s", (NOW + 10 * HOUR,))
        world.goes("up", router, NOW + HOUR)
        assert world.hears(NOW + HOUR + 3 * SECOND) == [("recovered", "router")]
        checked = world.connection.execute("SELECT next_check_at FROM website_state WHERE monitor_id = %s", (shop.id,)).fetchone()
        world.connection.commit()
        assert checked == (NOW + HOUR + 3 * SECOND,), "the child is looked at at once"
        assert world.hears(NOW + HOUR + 8 * SECOND) == [], "its alert is decided anew, and has patience"
        assert world.hears(NOW + HOUR + 2 * MINUTE) == [("down", "shop")]

    def test_neither_is_told_of_a_child_that_came_up_with_its_parent(self, world: World) -> None:
        router = world.monitor("router")
        shop = world.monitor(parent=router)
        world.goes("down", router, NOW)
        world.goes("down", shop, NOW + SECOND)
        assert world.hears(NOW + 4 * SECOND) == [("down", "router")]
        world.goes("up", router, NOW + HOUR)
        world.goes("up", shop, NOW + HOUR + SECOND)
        assert world.hears(NOW + HOUR + 4 * SECOND) == [("recovered", "router")]
        assert world.hears(NOW + 3 * HOUR) == []

    def test_a_child_that_is_seen_first_waits_a_moment_for_a_parent_with_failures(self, world: World) -> None:
        router = world.monitor("router")
        shop = world.monitor(parent=router)
        world.connection.execute("UPDATE website_state SET state = 'up', failures = 1 WHERE monitor_id = %s", (router.id,))
        world.goes("down", shop, NOW)
        assert world.hears(NOW + 3 * SECOND) == []
        world.goes("down", router, NOW + 20 * SECOND)
        assert world.hears(NOW + 23 * SECOND) == [("down", "router")]
        assert world.hears(NOW + 2 * MINUTE) == []

    def test_a_child_whose_parent_was_not_checked_since_has_it_asked_first(self, world: World) -> None:
        router = world.monitor("router")
        shop = world.monitor(parent=router)
        world.connection.execute(
            "UPDATE website_state SET state = 'up', last_checked_at = %s, next_check_at = %s WHERE monitor_id = %s",
            (NOW - 50 * SECOND, NOW + 10 * SECOND, router.id),
        )
        world.goes("down", shop, NOW)
        looks: list[str] = []
        alerts.sweep(world.pool, world.bus, NOW + 3 * SECOND, look_soon=lambda: looks.append("now"))
        assert (world.hears(NOW + 3 * SECOND), looks) == ([], ["now"]), "the next look may be seconds away"
        asked = world.connection.execute("SELECT next_check_at FROM website_state WHERE monitor_id = %s", (router.id,)).fetchone()
        assert asked == (NOW + 3 * SECOND,)
        world.connection.execute(
            "UPDATE website_state SET last_checked_at = %s WHERE monitor_id = %s", (NOW + 4 * SECOND, router.id)
        )
        world.connection.commit()
        assert world.hears(NOW + 8 * SECOND) == [("down", "shop")], "the parent is well"

    def test_it_is_told_when_the_parents_failures_come_to_nothing(self, world: World) -> None:
        router = world.monitor("router")
        shop = world.monitor(parent=router)
        world.connection.execute("UPDATE website_state SET state = 'up', failures = 1 WHERE monitor_id = %s", (router.id,))
        world.goes("down", shop, NOW)
        assert world.hears(NOW + 3 * SECOND) == []
        world.connection.execute("UPDATE website_state SET failures = 0 WHERE monitor_id = %s", (router.id,))
        world.connection.commit()
        assert world.hears(NOW + 8 * SECOND) == [("down", "shop")]

    @pytest.mark.parametrize(
        "happens",
        [
            "UPDATE monitor SET paused_at = updated_at, updated_at = updated_at WHERE name = 'router'",
            "UPDATE monitor SET depends_on_id = NULL",
            "UPDATE website_state SET unknown_since = '2026-11-23 12:00+00' WHERE state = 'down'",
        ],
    )
    def test_whatever_happens_to_the_parent_the_child_is_told(self, world: World, happens: str) -> None:
        router = world.monitor("router")
        shop = world.monitor(parent=router)
        world.goes("down", router, NOW)
        world.goes("down", shop, NOW + SECOND)
        assert world.hears(NOW + 4 * SECOND) == [("down", "router")]
        world.connection.execute(happens)
        world.connection.commit()
        assert world.hears(NOW + 4 * SECOND + 3 * LOOK_AGAIN) == [("down", "shop")]


class TestMuted:
    def mute(self, world: World, monitor: MonitorRef, until: datetime | None) -> None:
        """What `core.api.monitors.mutes` does."""
        world.connection.execute("UPDATE monitor SET muted_until = %s WHERE id = %s", (until, monitor.id))
        world.connection.execute("UPDATE alert SET due_at = %s WHERE routed_at IS NULL AND due_at > %s", (NOW, NOW))
        world.connection.commit()

    def test_what_lasts_is_told_at_the_end_and_what_ended_is_not(self, world: World) -> None:
        shop, blog = world.monitor(), world.monitor("blog")
        self.mute(world, shop, NOW + HOUR)
        alert_id = world.goes("down", shop, NOW)
        world.goes("down", blog, NOW)
        assert world.hears(NOW + 3 * SECOND) == [("down", "blog")]
        assert world.alert(alert_id) == (True, NOW + HOUR, "muted", False)
        assert world.hears(NOW + HOUR) == [("down", "shop")]
        assert world.said == "This was held back while it was muted."
        world.goes("up", shop, NOW + 2 * HOUR)
        assert world.hears(NOW + 2 * HOUR + 3 * SECOND) == [("recovered", "shop")]
        self.mute(world, shop, NOW + 9 * HOUR)
        world.goes("down", shop, NOW + 3 * HOUR)
        assert world.hears(NOW + 3 * HOUR + 3 * SECOND) == []
        world.goes("up", shop, NOW + 4 * HOUR)
        assert world.hears(NOW + 10 * HOUR) == []

    def test_unmuting_tells_at_the_next_sweep(self, world: World) -> None:
        shop = world.monitor()
        self.mute(world, shop, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
        world.goes("down", shop, NOW)
        assert world.hears(NOW + HOUR) == []
        self.mute(world, shop, None)
        assert world.hears(NOW + HOUR) == [("down", "shop")]


class TestFlapping:
    def flap(self, world: World, shop: MonitorRef, changes: int, since: datetime = NOW) -> list[tuple[str, str]]:
        told = []
        for number in range(changes):
            at = since + number * MINUTE
            world.goes("up" if number % 2 else "down", shop, at)
            told += world.hears(at + 3 * SECOND)
        return told

    def test_people_hear_once_that_it_flaps_and_then_how_it_settled(self, world: World) -> None:
        shop = world.monitor()
        told = self.flap(world, shop, 12)
        assert told == [("down", "shop"), ("recovered", "shop")] * 2 + [("down", "shop"), ("flapping", "shop")]
        assert "up at the moment" in world.said
        assert world.hears(NOW + 11 * MINUTE + STABLE - SECOND) == []
        assert world.hears(NOW + 11 * MINUTE + STABLE) == [("recovered", "shop")]
        assert "flapping" in world.said
        assert world.connection.execute("SELECT count(*) FROM incident").fetchone() == (6,), "incidents are recorded all the same"

    def test_one_that_stays_down_is_told_as_down(self, world: World) -> None:
        shop = world.monitor()
        assert self.flap(world, shop, 11)[-1] == ("flapping", "shop")
        assert world.hears(NOW + 10 * MINUTE + STABLE) == [("down", "shop")]
        world.goes("up", shop, NOW + 3 * HOUR)
        assert world.hears(NOW + 3 * HOUR + 3 * SECOND) == [("recovered", "shop")]

    @pytest.mark.parametrize("changes", [6, 7, 11, 12])
    @pytest.mark.parametrize("router_away", [False, True])
    def test_every_page_that_was_opened_is_closed_in_the_end(self, world: World, changes: int, router_away: bool) -> None:
        """And the end says the same when it is asked for again."""
        shop, since = world.monitor(), NOW + HOUR
        world.goes("down", shop, NOW)
        world.goes("up", shop, NOW + MINUTE)
        world.hears(NOW + 2 * MINUTE)
        if router_away:
            for number in range(changes):
                world.goes("up" if number % 2 else "down", shop, since + number * MINUTE)
            world.hears(since + changes * MINUTE)
        else:
            self.flap(world, shop, changes, since)
        world.hears(since + changes * MINUTE + STABLE)
        if changes % 2:
            world.goes("up", shop, since + 2 * HOUR)
            world.hears(since + 2 * HOUR + 3 * SECOND)
        told = [request for request in world.bus.requests() if request.generation == 1]
        first, *ends = [request for request in told if request.alert_type == "recovered"]
        opened = {request.order_key for request in told if request.alert_type in {"down", "flapping"}}
        closed = [key for request in (first, *ends) for key in (request.order_key, *request.ends)]
        assert opened <= set(closed), "the last outage may be one that was not told by itself"
        assert len(closed) == len(set(closed)), "each is closed once"
        assert "flapping" in {request.alert_type for request in told}
        assert (first.ends, bool(ends[-1].ends)) == ([], True)
        alerts.sweep(world.pool, world.bus, since + 3 * HOUR)
        again = [request for request in world.bus.requests() if request.generation > 1 and request.alert_id == ends[-1].alert_id]
        assert [request.ends for request in again[:1]] == [ends[-1].ends]

    def test_changes_within_a_window_do_not_count(self, world: World) -> None:
        shop = world.monitor()
        window_id = world.window(NOW - HOUR, NOW + 20 * MINUTE)
        assert self.flap(world, shop, 12) == []
        world.connection.execute("DELETE FROM maintenance_window WHERE id = %s", (window_id,))
        world.connection.commit()
        assert self.flap(world, shop, FLAP_CHANGES - 1, NOW + 20 * MINUTE)[-1] == ("down", "shop")

    def test_the_router_may_have_been_away_for_all_of_it(self, world: World) -> None:
        shop = world.monitor()
        for number in range(9):
            world.goes("up" if number % 2 else "down", shop, NOW + number * MINUTE)
        told = world.hears(NOW + 9 * MINUTE)
        assert told[-1] == ("flapping", "shop")
        assert len(told) == FLAP_CHANGES
        assert world.hears(NOW + 8 * MINUTE + STABLE) == [("down", "shop")]


def test_a_recovery_that_is_routed_before_its_outage_tells_both_in_order(world: World) -> None:
    shop = world.monitor()
    world.goes("down", shop, NOW)
    recovery = world.goes("up", shop, NOW + MINUTE)
    with world.pool.connection() as other:
        routing.route_alert(other, recovery, NOW + MINUTE)
    assert world.hears(NOW + MINUTE + SECOND) == [("down", "shop"), ("recovered", "shop")]


def test_racing_tasks_and_sweeps_decide_once(world: World) -> None:
    shop = world.monitor()
    ids = [world.goes("up" if number % 2 else "down", shop, NOW + number * SECOND) for number in range(5)]

    def route(first: int) -> None:
        with world.pool.connection() as other:
            routing.route_alerts(other, ids[first:] + ids[:first], NOW + MINUTE)

    threads = [threading.Thread(target=route, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.hears(NOW + MINUTE) == [("down", "shop"), ("recovered", "shop")] * 2 + [("down", "shop")]
    assert world.connection.execute("SELECT count(*) FROM delivery").fetchone() == (5,)


def test_what_was_heard_last_does_not_depend_on_whose_clock_is_ahead(world: World) -> None:
    """A sweep that began a while ago routes with an older time than a task has used meanwhile."""
    shop = world.monitor()
    ids = [world.goes("up" if number % 2 else "down", shop, NOW + number * SECOND) for number in range(2)]
    with world.pool.connection() as other:
        routing.route_alert(other, ids[0], NOW + MINUTE)
    down = world.goes("down", shop, NOW + 3 * SECOND)
    with world.pool.connection() as other:
        routing.route_alert(other, down, NOW + 5 * SECOND)
    world.goes("up", shop, NOW + 10 * SECOND)
    assert world.hears(NOW + 13 * SECOND)[-2:] == [("down", "shop"), ("recovered", "shop")]


def test_what_is_told_late_says_so_each_time_it_is_requested(world: World) -> None:
    shop = world.monitor()
    world.window(NOW - HOUR, NOW + HOUR)
    world.goes("down", shop, NOW)
    assert world.hears(NOW + 3 * SECOND) == []
    assert world.hears(NOW + HOUR) == [("down", "shop")]
    world.hears(NOW + HOUR + 6 * MINUTE)
    first, again = world.bus.requests()
    assert (first.generation, again.generation) == (1, 2)
    assert first.text == again.text != ""
    assert first.incident == again.incident


class TestThrottle:
    def outages(self, world: World, shop: MonitorRef, count: int) -> list[tuple[str, str]]:
        told = []
        for number in range(count):
            at = NOW + number * 13 * MINUTE
            world.goes("down", shop, at)
            told += world.hears(at + 3 * SECOND)
            world.goes("up", shop, at + 6 * MINUTE)
            told += world.hears(at + 6 * MINUTE + 3 * SECOND)
        return told

    def test_one_outage_too_many_within_the_hour_is_told_once_it_frees(self, world: World) -> None:
        shop = world.monitor()
        assert self.outages(world, shop, TOLD_AT_MOST) == [("down", "shop"), ("recovered", "shop")] * TOLD_AT_MOST
        alert_id = world.goes("down", shop, NOW + 52 * MINUTE)
        hits = metrics.ALERT_THROTTLE_HITS.labels(str(shop.uid), "down")._value
        assert world.hears(NOW + 52 * MINUTE + 3 * SECOND) == []
        frees = NOW + 3 * SECOND + TOLD_WITHIN
        assert world.alert(alert_id) == (True, frees, "throttled", False)
        assert hits.get() == 1
        assert world.hears(frees - SECOND) == []
        assert world.hears(frees) == [("down", "shop")]
        assert "were told within 60 minutes" in world.said
        world.goes("up", shop, frees + MINUTE)
        assert world.hears(frees + MINUTE + 3 * SECOND) == [("recovered", "shop")], "its end is told at once"

    def test_one_that_ends_before_is_not_told(self, world: World) -> None:
        shop = world.monitor()
        self.outages(world, shop, TOLD_AT_MOST)
        down = world.goes("down", shop, NOW + 52 * MINUTE)
        assert world.hears(NOW + 52 * MINUTE + 3 * SECOND) == []
        up = world.goes("up", shop, NOW + 53 * MINUTE)
        assert world.hears(NOW + 2 * HOUR) == []
        assert world.alert(down)[2:] == ("throttled", True)
        assert world.alert(up)[2:] == ("untold", True)
