"""When a heartbeat became what: paged, filtered, explained by the incident, and nobody else's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from core.adapters.store import unknown_silence
from core.api.monitors.models import Monitor
from tests.integration.api.calls import fields, problem
from tests.integration.api.conftest import Caller
from tests.integration.api.test_heartbeats import create, set_up
from tests.integration.api.test_incidents import incident_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


@pytest.fixture
def beat(alice: Caller) -> Monitor:
    """Down from 12:00 to 12:03, unknown from 12:10, paused from 12:20 to 12:30, and down again from 12:30 on."""
    monitor = Monitor.objects.get(uid=create(alice)["id"])
    incident_of(monitor, at(1 / 3), resolved=True)
    unknown_silence.note(connection.connection, [(monitor.id, at(10))])
    for paused, updated in ((at(20), at(20)), (None, at(30))):
        Monitor.objects.filter(pk=monitor.pk).update(paused_at=paused, updated_at=updated)
    incident_of(monitor, at(30 + 1 / 3))
    return monitor


def listed(caller: Caller, beat: Monitor, **asked: Any) -> list[tuple[str, datetime]]:
    answer = caller.client.get(f"/api/v1/heartbeats/{beat.uid}/changes/", asked).json()
    return [(row["change"], datetime.fromisoformat(row["at"])) for row in answer["results"]]


ALL = [
    ("down", at(30)),
    ("resumed", at(30)),
    ("paused", at(20)),
    ("unknown", at(10)),
    ("up", at(3 + 1 / 3)),
    ("down", at(0)),
]


def test_changes_are_listed_latest_first_and_in_pages(alice: Caller, beat: Monitor) -> None:
    assert listed(alice, beat) == ALL
    found, url = [], f"/api/v1/heartbeats/{beat.uid}/changes/?page_size=1"
    while url:
        page = alice.client.get(url).json()
        found += [(row["change"], datetime.fromisoformat(row["at"])) for row in page["results"]]
        url = page["next"]
    assert found == ALL, "changes of one moment are told apart"


def test_an_outage_is_named_at_its_both_ends(alice: Caller, beat: Monitor) -> None:
    rows = alice.client.get(f"/api/v1/heartbeats/{beat.uid}/changes/").json()["results"]
    first = str(beat.incidents.earliest("began_at").id)
    assert [row["incident"] == first for row in rows] == [False, False, False, False, True, True]
    assert rows[3]["incident"] is None


def test_filters(alice: Caller, beat: Monitor) -> None:
    assert listed(alice, beat, change="unknown") == [("unknown", at(10))]
    assert listed(alice, beat, since=at(10).isoformat(), until=at(20).isoformat()) == [("unknown", at(10))]
    answer = alice.client.get(f"/api/v1/heartbeats/{beat.uid}/changes/", {"change": "late"})
    assert fields(answer) == {"change": "invalid_choice"}


def test_a_heartbeat_says_since_when_nothing_is_known_of_it(alice: Caller) -> None:
    beat = create(alice)
    address = f"/api/v1/heartbeats/{beat['id']}/"
    assert beat["unknown_since"] is None
    set_up(beat, at(0))
    monitor = Monitor.objects.get(uid=beat["id"])
    unknown_silence.note(connection.connection, [(monitor.id, at(-60)), (monitor.id, at(61)), (monitor.id, at(122))])
    assert alice.client.get(address).json()["unknown_since"] == "2026-11-23T14:02:00Z"
    set_up(beat, at(122))
    assert alice.client.get(address).json()["unknown_since"] is None, "it has pinged since"
    set_up(beat, at(0), state="down")
    assert alice.client.get(address).json()["unknown_since"] is None, "that it is down is known"


def test_others_find_nothing(bob: Caller, beat: Monitor) -> None:
    problem(bob.client.get(f"/api/v1/heartbeats/{beat.uid}/changes/"), "not-found")


def test_heartbeats_are_found_by_their_slug(alice: Caller, beat: Monitor) -> None:
    create(alice, name="Other")
    found = alice.client.get("/api/v1/heartbeats/?slug=backup").json()["results"]
    assert [row["id"] for row in found] == [str(beat.uid)]
    assert alice.client.get("/api/v1/heartbeats/", {"slug": "nobody"}).json()["results"] == []
