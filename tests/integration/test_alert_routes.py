"""Who is told by routes, when, and again: PostgreSQL, and sweeps alone, so what a dead process left due is told as well."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.store import courses, incidents, routes
from core.adapters.store.incidents import AlertRow
from core.domain.alert_facts import AlertFacts
from core.domain.alert_policy import FLAP_CHANGES, STABLE
from core.domain.transitions import MonitorRef
from core.flows import acknowledgements, alerts, escalation
from core.flows.histories import incident_history
from tests.fakes import FakeBus
from tests.integration.test_alert_flow import make_channel
from tests.integration.test_routing import World
from tests.statements import explain_all
from tests.websites import make_workspace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday, at noon."""

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SOON = 3 * SECOND
EVENING = NOW + 10 * HOUR
MORNING = NOW + 19 * HOUR
NIGHT = {"weekdays": list(range(7)), "begins": "22:00", "ends": "07:00", "time_zone": "UTC", "critical_too": False}


@dataclass
class Desk(World):
    """A workspace with the channels `chat`, `pager` and `boss`."""

    names: dict[UUID, str] = field(default_factory=dict)

    def route(self, *steps: tuple[int, str], position: int = 1, **columns: Any) -> UUID:
        """A route with steps of minutes and names of channels, apart by blanks."""
        ids = {name: str(uid) for uid, name in self.names.items()}
        values: dict[str, Any] = {
            "id": uuid4(),
            "workspace_id": self.workspace,
            "name": "Ladder",
            "position": position,
            "enabled": True,
            "steps": json([{"after_s": at * 60, "channels": [ids[name] for name in who.split()]} for at, who in steps]),
            **{name: [] for name in ("tags", "kinds", "topics", "severities")},
            "repeat_s": None,
            "quiet_hours": None,
            "created_at": NOW,
            "updated_at": NOW,
            **columns,
        }
        places = ", ".join(f"%({name})s" for name in values)
        self.connection.execute(f"INSERT INTO alert_route ({', '.join(values)}, monitors) VALUES ({places}, '{{}}')", values)
        self.connection.commit()
        return UUID(str(values["id"]))

    def told(self, at: datetime) -> set[tuple[str, str]]:
        """What a sweep at this time tells: type, and name of the channel."""
        before = len(self.requests())
        alerts.sweep(self.pool, self.bus, at)
        new = self.requests()[before:]
        self.said = new[-1].text if new else self.said
        told = [(request.alert_type, self.names[request.channel_id]) for request in new]
        assert len(told) == len(set(told)), "nobody hears the same twice"
        return set(told)

    def requests(self) -> list[Any]:
        return [request for request in self.bus.requests() if request.generation == 1]

    def change(self, statement: str, *values: Any) -> None:
        self.connection.execute(statement, values)
        self.connection.commit()

    def swapped(self, old: str, new: str) -> tuple[str, str]:
        """The ids of two channels."""
        ids = {name: str(uid) for uid, name in self.names.items()}
        return ids[old], ids[new]

    def steps_left(self) -> int:
        [(count,)] = self.connection.execute("SELECT count(*) FROM alert_step").fetchall()
        self.connection.commit()
        return int(count)


def json(document: Any) -> str:
    return msgspec.json.encode(document).decode()


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


@pytest.fixture
def desk(connection: psycopg.Connection, pool: Pool) -> Desk:
    workspace = make_workspace(connection, NOW)
    names = {make_channel(connection, workspace): name for name in ("chat", "pager", "boss")}
    connection.commit()
    return Desk(connection, pool, FakeBus(), workspace, names=names)


@pytest.fixture
def shop(desk: Desk) -> MonitorRef:
    return desk.monitor()


EVERYBODY = {("down", "chat"), ("down", "pager"), ("down", "boss")}


def test_every_statement_can_be_prepared(connection: psycopg.Connection) -> None:
    assert explain_all(connection, routes) == 7
    assert explain_all(connection, courses) == 7


class TestChoice:
    def test_nobody_needs_a_route(self, desk: Desk, shop: MonitorRef) -> None:
        desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == EVERYBODY
        assert desk.steps_left() == 0

    def test_its_history_says_when_a_route_goes_on(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"))
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        [(incident,)] = desk.connection.execute("SELECT id FROM incident").fetchall()
        found = incident_history(desk.connection, incident)
        desk.connection.commit()
        assert found
        assert (found.steps[-1].at, found.steps[-1].subject) == (NOW + SOON + timedelta(minutes=10), "next")

    def test_the_first_route_that_matches_decides_and_what_none_matches_goes_to_everybody(self, desk: Desk) -> None:
        db, web, other = desk.monitor("db", tags="{db}"), desk.monitor("web"), desk.monitor("other", tags="{none}")
        desk.route((0, "boss"), position=3, severities=["info"])
        desk.route((0, "pager"), position=2, tags=["web", "db"])
        desk.route((0, "chat"), position=1, tags=["db"])
        desk.change("UPDATE monitor SET severity = 'info' WHERE id = %s", web.id)
        for monitor, whom in ((db, {("down", "chat")}), (web, {("down", "boss")}), (other, EVERYBODY)):
            desk.goes("down", monitor, NOW)
            assert desk.told(NOW + SOON) == whom, monitor.name

    def test_a_route_that_is_switched_off_or_of_another_workspace_is_none(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), enabled=False)
        other = make_workspace(desk.connection, NOW)
        desk.route((0, "chat"), workspace_id=other)
        desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == EVERYBODY

    def test_a_route_that_leads_nowhere_leads_to_everybody_and_says_so(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"))
        desk.change("DELETE FROM channel WHERE id = %s", next(uid for uid, name in desk.names.items() if name == "chat"))
        down = desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == EVERYBODY - {("down", "chat")}
        chosen = desk.connection.execute("SELECT chosen_by, route_name FROM alert WHERE id = %s", (down,)).fetchone()
        desk.connection.commit()
        assert chosen == ("fallback", "Ladder")

    def test_a_recovery_goes_to_those_who_were_told(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"), (60, "boss"))
        desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == {("down", "chat")}
        assert desk.told(NOW + SOON + 10 * MINUTE) == {("escalated", "pager")}
        desk.change("DELETE FROM alert_route")
        desk.goes("up", shop, NOW + 20 * MINUTE)
        assert desk.told(NOW + 20 * MINUTE + SOON) == {("recovered", "chat"), ("recovered", "pager")}
        desk.goes("down", shop, NOW + HOUR)
        assert desk.told(NOW + HOUR + SOON) == EVERYBODY
        make_channel(desk.connection, desk.workspace)
        desk.goes("up", shop, NOW + 2 * HOUR)
        assert {name for _, name in desk.told(NOW + 2 * HOUR + SOON)} == {"chat", "pager", "boss"}

    def test_the_router_may_have_been_away_for_the_whole_outage(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "pager"))
        desk.goes("down", shop, NOW)
        desk.goes("up", shop, NOW + MINUTE)
        assert desk.told(NOW + HOUR) == {("down", "pager"), ("recovered", "pager")}

    def test_whoever_knew_before_it_flapped_hears_how_it_settled(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"))
        desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == {("down", "chat")}
        for number in range(1, FLAP_CHANGES - 1):
            at = NOW + number * MINUTE
            desk.goes("up" if number % 2 else "down", shop, at)
            desk.told(at + SOON)
        desk.change("UPDATE alert_route SET steps = replace(steps::text, %s, %s)::jsonb", *desk.swapped("chat", "pager"))
        desk.goes("up", shop, NOW + (FLAP_CHANGES - 1) * MINUTE)
        assert desk.told(NOW + (FLAP_CHANGES - 1) * MINUTE + SOON) == {("flapping", "pager")}
        settled = NOW + (FLAP_CHANGES - 1) * MINUTE + STABLE
        assert desk.told(settled) == {("recovered", "chat"), ("recovered", "pager")}


class TestSteps:
    def test_each_step_is_told_in_its_time_and_never_again(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"), (60, "boss"))
        desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == {("down", "chat")}
        assert desk.told(NOW + 10 * MINUTE) == set()
        assert desk.told(NOW + 10 * MINUTE + SOON) == {("escalated", "pager")}
        assert desk.said == "It has been down for 10 min, and nobody has acknowledged it."
        assert desk.told(NOW + 60 * MINUTE + SOON) == {("escalated", "boss")}
        assert desk.steps_left() == 0
        routed = desk.connection.execute("SELECT alert_type, chosen_by, route_name FROM alert ORDER BY sequence").fetchall()
        desk.connection.commit()
        assert routed == [(kind, "route", "Ladder") for kind in ("down", "escalated", "escalated")]
        sequences = [(request.alert_type, request.sequence, request.order_key) for request in desk.requests()]
        incident = sequences[0][2]
        assert sequences == [("down", 1, incident), ("escalated", 2, incident), ("escalated", 3, incident)]

    def test_an_outage_that_is_over_before_the_first_step_is_told_to_nobody(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((10, "chat"))
        down = desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == set()
        assert desk.alert(down) == (True, NOW + 10 * MINUTE, "delayed", False)
        up = desk.goes("up", shop, NOW + 9 * MINUTE)
        assert desk.told(NOW + 9 * MINUTE + SOON) == set()
        assert desk.told(NOW + HOUR) == set()
        assert (desk.alert(down)[2:], desk.alert(up)[2:]) == (("delayed", True), ("untold", True))
        desk.goes("down", shop, NOW + 2 * HOUR)
        assert desk.told(NOW + 2 * HOUR + 10 * MINUTE) == {("down", "chat")}

    def test_a_recovery_ends_the_course(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"), repeat_s=120)
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        desk.goes("up", shop, NOW + MINUTE)
        assert desk.told(NOW + MINUTE + SOON) == {("recovered", "chat")}
        assert desk.told(NOW + HOUR) == set()
        assert desk.steps_left() == 0

    def test_an_acknowledgement_silences_it_until_it_is_over(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"), repeat_s=60)
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        assert desk.told(NOW + MINUTE + SOON) == {("reminder", "chat")}
        desk.change("UPDATE incident SET acknowledged_at = %s, acknowledged_by = 'Ann'", NOW + 2 * MINUTE)
        assert desk.told(NOW + HOUR) == set()
        desk.goes("up", shop, NOW + 2 * HOUR)
        assert desk.told(NOW + 2 * HOUR + SOON) == {("recovered", "chat")}
        assert desk.steps_left() == 0

    @pytest.mark.parametrize("due_meanwhile", [False, True], ids=["nothing was due", "both were due"])
    def test_what_is_given_back_goes_on(self, desk: Desk, shop: MonitorRef, due_meanwhile: bool) -> None:
        desk.route((0, "chat"), (20, "pager"), repeat_s=600)
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        [incident] = {request.incident.id for request in desk.requests()}
        acknowledgements.acknowledge(desk.connection, desk.workspace, incident, "Ann", NOW + MINUTE)
        desk.connection.commit()
        assert desk.told(NOW + MINUTE + SOON) == {("acknowledged", "chat")}
        back = NOW + (30 if due_meanwhile else 5) * MINUTE
        assert desk.told(back) == set()
        acknowledgements.take_back(desk.connection, desk.workspace, incident, back)
        desk.connection.commit()
        assert desk.told(back + SOON) == {("unacknowledged", "chat")} | ({("escalated", "pager")} if due_meanwhile else set())
        assert desk.told(back + 9 * MINUTE) == set()
        assert ("reminder", "chat") in desk.told(back + 10 * MINUTE + SOON)
        assert ("escalated", "pager") in desk.told(NOW + 20 * MINUTE + SOON) or due_meanwhile

    def test_a_reminder_that_waits_for_an_acknowledgement_is_silenced_by_it(
        self, desk: Desk, shop: MonitorRef, pool: Pool
    ) -> None:
        """The sweep has seen that something is due, and somebody takes it on before it is told."""
        desk.route((0, "chat"), repeat_s=600)
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        [incident] = {request.incident.id for request in desk.requests()}
        with pool.connection() as connection, connection.transaction():
            assert courses.due(connection, NOW + 11 * MINUTE, 10) == [incident]
        acknowledgements.acknowledge(desk.connection, desk.workspace, incident, "Ann", NOW + 11 * MINUTE)
        desk.connection.commit()
        with pool.connection() as connection:
            assert not escalation._tell_more_of(connection, incident, NOW + 11 * MINUTE, timedelta(minutes=5))
        assert desk.steps_left() == 1, "it may be given back"

    def test_who_has_taken_it_on_is_told_to_those_who_know(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"))
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        [incident] = {request.incident.id for request in desk.requests()}
        acknowledgements.acknowledge(desk.connection, desk.workspace, incident, "Ann", NOW + MINUTE)
        desk.connection.commit()
        assert desk.told(NOW + MINUTE + SOON) == {("acknowledged", "chat")}
        assert desk.told(NOW + HOUR) == set()

    def test_what_is_muted_reminds_nobody_until_it_is_not(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), repeat_s=600)
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        desk.change("UPDATE monitor SET muted_until = %s", NOW + HOUR)
        assert desk.told(NOW + 30 * MINUTE) == set()
        assert desk.told(NOW + HOUR) == {("reminder", "chat")}

    def test_all_who_know_are_reminded_until_it_is_up(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (3, "pager"), repeat_s=120)
        desk.goes("down", shop, NOW)
        desk.told(NOW)
        assert desk.told(NOW + SOON) == {("down", "chat")}
        at = NOW + SOON
        assert desk.told(at + 2 * MINUTE) == {("reminder", "chat")}
        assert desk.told(at + 3 * MINUTE) == {("escalated", "pager")}
        assert desk.told(at + 4 * MINUTE) == {("reminder", "chat"), ("reminder", "pager")}
        assert desk.told(at + 9 * MINUTE) == {("reminder", "chat"), ("reminder", "pager")}, "what was missed is not made up for"
        assert desk.told(at + 10 * MINUTE) == set()

    def test_maintenance_holds_what_comes_next(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"))
        desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == {("down", "chat")}
        desk.window(NOW + 5 * MINUTE, NOW + HOUR)
        assert desk.told(NOW + 11 * MINUTE) == set()
        assert desk.told(NOW + HOUR - SECOND) == set()
        assert desk.told(NOW + HOUR) == {("escalated", "pager")}

    def test_a_route_counts_as_it_is_when_a_step_is_due(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"))
        desk.goes("down", shop, NOW)
        assert desk.told(NOW + SOON) == {("down", "chat")}
        desk.change("UPDATE alert_route SET steps = replace(steps::text, '600', '1200')::jsonb")
        assert desk.told(NOW + 11 * MINUTE) == set()
        desk.change("UPDATE alert_route SET steps = replace(steps::text, %s, %s)::jsonb", *desk.swapped("pager", "boss"))
        assert desk.told(NOW + 20 * MINUTE + SOON) == {("escalated", "boss")}

    def test_without_its_route_an_outage_is_told_to_everybody_else(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"))
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        desk.change("DELETE FROM alert_route")
        assert desk.told(NOW + 10 * MINUTE + SOON) == {("escalated", "pager"), ("escalated", "boss")}
        assert desk.steps_left() == 0

    def test_deleting_the_monitor_ends_it(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"))
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        for table in ("alert_step", "delivery", "alert", "incident"):
            desk.change(f"DELETE FROM {table}")
        assert desk.told(NOW + HOUR) == set()

    def test_two_sweeps_at_once_tell_it_once(self, desk: Desk, shop: MonitorRef) -> None:
        desk.route((0, "chat"), (10, "pager"), repeat_s=300)
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)
        both = threading.Barrier(2)

        def sweep() -> None:
            with desk.pool.connection() as connection:
                both.wait(10)
                escalation.tell_more(connection, NOW + 11 * MINUTE)

        threads = [threading.Thread(target=sweep) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert desk.told(NOW + 11 * MINUTE) == {("reminder", "chat"), ("escalated", "pager")}

    def test_what_breaks_off_leaves_the_step_due(self, desk: Desk, shop: MonitorRef, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.route((0, "chat"), (10, "pager"))
        desk.goes("down", shop, NOW)
        desk.told(NOW + SOON)

        def die(*_args: object) -> None:
            raise RuntimeError("killed before the commit")

        with monkeypatch.context() as patched:
            patched.setattr(escalation, "request_messages", die)
            with pytest.raises(RuntimeError):
                desk.told(NOW + 11 * MINUTE)
        assert desk.told(NOW + 12 * MINUTE) == {("escalated", "pager")}


class TestQuietHours:
    @pytest.fixture
    def quiet(self, desk: Desk, shop: MonitorRef) -> Desk:
        desk.route((0, "chat"), (10, "pager"), repeat_s=3600, quiet_hours=json(NIGHT))
        desk.change("UPDATE monitor SET severity = 'warning' WHERE id = %s", shop.id)
        return desk

    def test_what_lasts_is_told_in_the_morning(self, quiet: Desk, shop: MonitorRef) -> None:
        down = quiet.goes("down", shop, EVENING)
        assert quiet.told(EVENING + SOON) == set()
        assert quiet.alert(down) == (True, MORNING, "quiet_hours", False)
        assert quiet.told(MORNING - SECOND) == set()
        assert quiet.told(MORNING) == {("down", "chat")}
        assert quiet.said == "This was held back during quiet hours."
        assert quiet.told(MORNING + 10 * MINUTE) == {("escalated", "pager")}

    def test_what_ended_meanwhile_is_told_to_nobody(self, quiet: Desk, shop: MonitorRef) -> None:
        quiet.goes("down", shop, EVENING)
        quiet.told(EVENING + SOON)
        quiet.goes("up", shop, EVENING + HOUR)
        assert quiet.told(EVENING + HOUR + SOON) == set()
        assert quiet.told(MORNING + HOUR) == set()

    def test_reminders_and_steps_wait_as_well(self, quiet: Desk, shop: MonitorRef) -> None:
        quiet.goes("down", shop, EVENING - 5 * MINUTE)
        assert quiet.told(EVENING - 5 * MINUTE + SOON) == {("down", "chat")}
        assert quiet.told(EVENING + HOUR) == set()
        assert quiet.told(MORNING) == {("reminder", "chat"), ("escalated", "pager")}

    def test_the_end_of_what_was_told_comes_in_the_morning_whatever_the_night_brings(self, quiet: Desk, shop: MonitorRef) -> None:
        quiet.goes("down", shop, EVENING - 5 * MINUTE)
        quiet.told(EVENING - 5 * MINUTE + SOON)
        for hour, state in enumerate(("up", "down", "up", "down"), 1):
            quiet.goes(state, shop, EVENING + hour * HOUR)
            assert quiet.told(EVENING + hour * HOUR + SOON) == set()
        assert quiet.told(MORNING) == {("recovered", "chat"), ("down", "chat")}
        incidents_told = [request.order_key for request in quiet.requests() if request.alert_type == "recovered"]
        assert incidents_told == [quiet.requests()[0].order_key], "the recovery is that of the outage that was told"
        quiet.goes("up", shop, MORNING + MINUTE)
        assert quiet.told(MORNING + MINUTE + SOON) == {("recovered", "chat")}

    def test_critical_alerts_pass(self, quiet: Desk, shop: MonitorRef) -> None:
        quiet.change("UPDATE monitor SET severity = 'critical' WHERE id = %s", shop.id)
        quiet.goes("down", shop, EVENING)
        assert quiet.told(EVENING + SOON) == {("down", "chat")}

    def test_other_alerts_wait_and_a_gap_that_closed_meanwhile_is_not_told(self, quiet: Desk) -> None:
        gap = notice(quiet, "not_monitored", EVENING, uuid4())
        ending = notice(quiet, "certificate_expiring", EVENING, uuid4())
        assert quiet.told(EVENING + SOON) == set()
        assert quiet.alert(ending) == (True, MORNING, "quiet_hours", False)
        again = notice(quiet, "monitored_again", EVENING + HOUR, order_key(quiet, gap))
        assert quiet.told(EVENING + HOUR + SOON) == set()
        assert (quiet.alert(gap)[2:], quiet.alert(again)[2:]) == (("quiet_hours", True), ("untold", True))
        assert quiet.told(MORNING) == {("certificate_expiring", "chat")}

    def test_whoever_heard_of_a_gap_hears_that_it_is_closed(self, quiet: Desk) -> None:
        gap = notice(quiet, "not_monitored", NOW, uuid4())
        assert quiet.told(NOW + SOON) == {("not_monitored", "chat")}
        quiet.change("DELETE FROM alert_route")
        notice(quiet, "monitored_again", NOW + HOUR, order_key(quiet, gap))
        assert quiet.told(NOW + HOUR + SOON) == {("monitored_again", "chat")}


def notice(desk: Desk, alert_type: str, at: datetime, key: UUID) -> UUID:
    """An alert about no single monitor, stored."""
    row = AlertRow(uuid4(), desk.workspace, None, None, alert_type, key, 1, json(AlertFacts(text="…")))
    incidents.insert_alerts(desk.connection, [row], at)
    desk.connection.commit()
    return row.id


def order_key(desk: Desk, alert_id: UUID) -> UUID:
    row = desk.connection.execute("SELECT order_key FROM alert WHERE id = %s", (alert_id,)).fetchone()
    desk.connection.commit()
    assert row
    return UUID(str(row[0]))
