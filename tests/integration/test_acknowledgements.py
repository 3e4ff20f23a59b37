"""An incident is taken on and given back: columns, public event and alert are one, whatever happens at the same time. PostgreSQL."""

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from core.adapters.database import Pool
from core.adapters.store import acknowledgements as store
from core.contracts import events
from core.domain.acknowledgement import OutageOver
from core.domain.transitions import MonitorRef
from core.flows import alerts
from core.flows.acknowledgements import NoSuchIncident, acknowledge, take_back
from tests.fakes import FakeBus
from tests.integration.test_routing import MINUTE, NOW, SECOND, World, pool, world
from tests.statements import explain_all

__all__ = ["pool", "world"]  # fixtures


def incident_of(world: World, monitor: MonitorRef) -> UUID:
    row = world.connection.execute(
        "SELECT id FROM incident WHERE monitor_id = %s ORDER BY opened_at DESC", (monitor.id,)
    ).fetchone()
    world.connection.commit()
    assert row
    found: UUID = row[0]
    return found


def outage(world: World) -> tuple[MonitorRef, UUID]:
    """A monitor that is down, as people know."""
    shop = world.monitor()
    world.goes("down", shop, NOW)
    assert world.hears(NOW + 3 * SECOND) == [("down", "shop")]
    return shop, incident_of(world, shop)


def take_on(world: World, incident: UUID, by: str = "Ada", at: int = 10) -> list[UUID]:
    with world.connection.transaction():
        return acknowledge(world.connection, world.workspace, incident, by, NOW + at * SECOND)


def public(bus: FakeBus, kind: type[events.Data]) -> list[events.Data]:
    return [events.decode(kind, event.detail).data for event in bus.published if event.detail_type == kind.__name__]


def test_every_statement_fits_the_schema(connection: psycopg.Connection) -> None:
    assert explain_all(connection, store) == 4


def test_those_who_were_told_hear_who_has_taken_it_on_and_then_that_it_is_over(world: World) -> None:
    shop, incident = outage(world)
    assert len(take_on(world, incident)) == 1
    assert world.hears(NOW + 13 * SECOND) == [("acknowledged", "shop")]
    assert world.said == "Ada has taken this on. You will hear when it is over."
    [told] = public(world.bus, events.IncidentAcknowledged)
    assert isinstance(told, events.IncidentAcknowledged)
    assert (told.incident.acknowledged_by, told.incident.acknowledged_at) == ("Ada", NOW + 10 * SECOND)
    world.goes("up", shop, NOW + MINUTE)
    assert world.hears(NOW + MINUTE + 3 * SECOND) == [("recovered", "shop")]
    recovery = world.bus.requests()[-1]
    assert recovery.incident
    assert (recovery.incident.acknowledged_by, recovery.incident.acknowledged_at) == ("Ada", NOW + 10 * SECOND)
    assert [request.sequence for request in world.bus.requests()] == [1, 2, 1_000_000]
    assert len({request.order_key for request in world.bus.requests()}) == 1


def test_repetitions_are_harmless_and_the_first_stays(world: World) -> None:
    _, incident = outage(world)
    take_on(world, incident)
    assert take_on(world, incident, "Bob", 20) == []
    assert world.hears(NOW + 23 * SECOND) == [("acknowledged", "shop")]
    assert len(public(world.bus, events.IncidentAcknowledged)) == 1
    assert world.connection.execute("SELECT acknowledged_by FROM incident").fetchone() == ("Ada",)


def test_what_was_taken_back_can_be_taken_on_again(world: World) -> None:
    _, incident = outage(world)
    take_on(world, incident)
    for expected in (1, 0):
        with world.connection.transaction():
            assert len(take_back(world.connection, world.workspace, incident, NOW + 20 * SECOND)) == expected
    take_on(world, incident, "Bob", 30)
    assert world.hears(NOW + 33 * SECOND) == [("acknowledged", "shop"), ("unacknowledged", "shop"), ("acknowledged", "shop")]
    assert [request.sequence for request in world.bus.requests()] == [1, 2, 3, 4]
    [back] = public(world.bus, events.IncidentUnacknowledged)
    assert isinstance(back, events.IncidentUnacknowledged)
    assert (back.was_acknowledged_by, back.incident.acknowledged_at) == ("Ada", None)


def test_nobody_hears_who_has_taken_on_what_nobody_heard_of(world: World) -> None:
    shop = world.monitor()
    world.window(NOW - MINUTE, NOW + MINUTE)
    world.goes("down", shop, NOW)
    assert world.hears(NOW + 3 * SECOND) == []
    assert take_on(world, incident_of(world, shop)) == []
    assert world.hears(NOW + 13 * SECOND) == []
    assert len(public(world.bus, events.IncidentAcknowledged)) == 1, "subscribers hear everything"
    assert world.hears(NOW + 2 * MINUTE) == [("down", "shop")], "what was held is told all the same"


def test_nobody_hears_who_had_taken_on_what_is_over_by_then(world: World) -> None:
    shop, incident = outage(world)
    take_on(world, incident)
    world.goes("up", shop, NOW + MINUTE)
    world.goes("down", shop, NOW + 2 * MINUTE)
    assert world.hears(NOW + 3 * MINUTE) == [("recovered", "shop"), ("down", "shop")], "also not who hears of the next outage"


def test_an_outage_that_is_over_and_one_of_others_cannot_be_taken_on(world: World) -> None:
    shop, incident = outage(world)
    with pytest.raises(NoSuchIncident), world.connection.transaction():
        acknowledge(world.connection, uuid4(), incident, "Eve", NOW)
    world.goes("up", shop, NOW + MINUTE)
    with pytest.raises(OutageOver, match="ended at 2026-11-23 12:01:00 UTC"):
        take_on(world, incident)
    with pytest.raises(OutageOver), world.connection.transaction():
        take_back(world.connection, world.workspace, incident, NOW)
    assert public(world.bus, events.IncidentAcknowledged) == []


def test_racing_acknowledgements_are_one(world: World, pool: Pool) -> None:
    _, incident = outage(world)

    def race(name: str) -> None:
        with pool.connection() as other, other.transaction():
            acknowledge(other, world.workspace, incident, name, NOW + 10 * SECOND)

    threads = [threading.Thread(target=race, args=(f"person {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert world.connection.execute("SELECT count(*) FROM alert WHERE alert_type = 'acknowledged'").fetchone() == (1,)
    world.connection.commit()
    alerts.sweep(pool, world.bus, NOW + timedelta(minutes=1))
    assert len(public(world.bus, events.IncidentAcknowledged)) == 1
