"""Every list: pages by cursor, bounded queries, nothing skipped or repeated."""

import base64
import json
from datetime import UTC, datetime, timedelta
from datetime import timezone as fixed_zone
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.api.accounts.models import ApiKey
from core.api.monitors.models import Heartbeat, HeartbeatState, Monitor, Website, WebsiteState
from tests.integration.api import test_incidents as stored
from tests.integration.api.calls import fields
from tests.integration.api.conftest import Caller


def make_websites(caller: Caller, count: int, at: datetime | None = None) -> None:
    # Three at each time: the id decides among them.
    at = at or timezone.now()
    for n in range(count):
        created_at = at + timedelta(seconds=n // 3)
        monitor = Monitor.objects.create(workspace=caller.workspace, kind="website", name=f"w{n}", created_at=created_at)
        Website.objects.create(monitor=monitor, url="http://192.0.2.1/")
        WebsiteState.objects.create(monitor=monitor)


def make_heartbeats(caller: Caller, count: int) -> None:
    for n in range(count):
        monitor = Monitor.objects.create(workspace=caller.workspace, kind="heartbeat", name=f"h{n}", created_at=timezone.now())
        Heartbeat.objects.create(monitor=monitor)
        HeartbeatState.objects.create(monitor=monitor)


def make_channels(caller: Caller, count: int) -> None:
    for _ in range(count):
        stored.channel_of(caller.workspace)


def make_keys(caller: Caller, count: int) -> None:
    for n in range(count):
        ApiKey.objects.create(workspace=caller.workspace, name=f"k{n}", prefix="upt_", digest=uuid4().bytes * 2)


def make_incidents(caller: Caller, count: int) -> None:
    for _ in range(count):
        stored.incident_of(stored.monitor_of(caller.workspace))


def make_deliveries(caller: Caller, count: int) -> None:
    for _ in range(count):
        stored.delivery_of(stored.incident_of(stored.monitor_of(caller.workspace)), stored.channel_of(caller.workspace))


MAKERS = {
    "websites": make_websites,
    "heartbeats": make_heartbeats,
    "channels": make_channels,
    "api-keys": make_keys,
    "incidents": make_incidents,
    "deliveries": make_deliveries,
}


def get(caller: Caller, url: str, **query: Any) -> dict[str, Any]:
    answer = caller.client.get(url.removeprefix("http://monitor.test"), query)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("name", MAKERS)
def test_pages_go_forth_and_back_over_everything_once(alice: Caller, name: str) -> None:
    MAKERS[name](alice, 11)
    whole = [row["id"] for row in get(alice, f"/api/v1/{name}/")["results"]]
    assert len(set(whole)) == 11
    page = get(alice, f"/api/v1/{name}/", page_size=4)
    pages = [page]
    while page["next"]:
        page = get(alice, page["next"])
        pages.append(page)
    assert [row["id"] for page in pages for row in page["results"]] == whole
    assert [len(page["results"]) for page in pages] == [4, 4, 3]
    assert pages[0]["previous"] is None
    back = get(alice, pages[2]["previous"])
    assert back["results"] == pages[1]["results"]
    first = get(alice, back["previous"])
    assert first["results"] == pages[0]["results"]
    assert first["previous"] is None
    assert get(alice, first["next"])["results"] == pages[1]["results"]


@pytest.mark.parametrize("name", MAKERS)
def test_a_list_costs_the_same_queries_however_long_it_is(alice: Caller, name: str) -> None:
    MAKERS[name](alice, 12)
    with CaptureQueriesContext(connection) as queries:
        assert len(get(alice, f"/api/v1/{name}/", page_size=12)["results"]) == 12
    assert len(queries) == 2, [query["sql"][:80] for query in queries]


def test_rows_that_come_and_go_shift_no_page(alice: Caller) -> None:
    make_websites(alice, 6)
    page = get(alice, "/api/v1/websites/", page_size=3)
    make_websites(alice, 2, timezone.now() + timedelta(minutes=1))
    Monitor.objects.filter(uid=page["results"][2]["id"]).delete()
    names = [row["name"] for row in get(alice, page["next"])["results"]]
    assert names == ["w2", "w1", "w0"]


def test_links_keep_the_filters(alice: Caller) -> None:
    make_websites(alice, 3)
    Monitor.objects.filter(name="w1").update(tags=["a b&c"])
    Monitor.objects.filter(name="w2").update(tags=["a b&c"])
    page = get(alice, "/api/v1/websites/", page_size=1, tag="a b&c")
    page = get(alice, page["next"])
    assert [row["name"] for row in page["results"]] == ["w1"]
    assert page["next"] is None


def cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "é",
        "%00",
        cursor({}),
        cursor([]),
        cursor("text"),
        cursor([False, "yesterday", "1"]),
        cursor([False, "2026-11-23T12:00:00", "1"]),
        cursor([False, "2026-11-23T12:00:00+00:00"]),
        cursor([False, "2026-11-23T12:00:00+00:00", "1", "2"]),
        cursor([False, "2026-11-23T12:00:00+00:00", str(2**63)]),
        cursor([False, "2026-11-23T12:00:00+00:00", "9" * 5000]),
        cursor([False, 5, None]),
        cursor([False, "2026-13-45T12:00:00+00:00", "1"]),
    ],
)
def test_a_cursor_of_ones_own_making_is_refused(alice: Caller, bad: str) -> None:
    assert fields(alice.client.get("/api/v1/websites/", {"cursor": bad})) == {"cursor": "invalid"}


def test_a_cursor_at_the_end_of_time_is_refused(alice: Caller) -> None:
    site = Monitor.objects.create(workspace=alice.workspace, kind="website", name="w", created_at=timezone.now())
    for backward in (True, False):
        for year in ("0001", "9999"):
            query = {"cursor": cursor([backward, f"{year}-01-01T00:00:00+00:00"])}
            answer = alice.client.get(f"/api/v1/websites/{site.uid}/results/", query)
            assert fields(answer) == {"cursor": "invalid"}


@pytest.mark.parametrize("size", ["0", "101", "-1", "x", "1e1", "\uff19", "9" * 5000])
def test_a_bad_page_size_is_refused(alice: Caller, size: str) -> None:
    assert fields(alice.client.get("/api/v1/websites/", {"page_size": size})) == {"page_size": "invalid"}


@pytest.mark.parametrize("name", ["cursor", "page_size", "state", "name"])
def test_an_empty_parameter_is_refused(alice: Caller, name: str) -> None:
    assert fields(alice.client.get("/api/v1/websites/", {name: ""})) == {name: "blank"}


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_time_may_be_of_any_zone_and_must_exist(alice: Caller, name: str) -> None:
    monitor = Monitor.objects.create(workspace=alice.workspace, kind="website", name="w", created_at=timezone.now())
    at = stored.incident_of(monitor).opened_at
    for path in ("incidents", f"websites/{monitor.uid}/results"):
        for far in ("+19:18", "-23:59"):
            assert alice.client.get(f"/api/v1/{path}/", {name: f"4052-02-26T06:33:07{far}"}).status_code == 200
        for never in ("0001-01-01T00:00:00+19:18", "9999-12-31T23:59:59-19:18", "yesterday"):
            assert fields(alice.client.get(f"/api/v1/{path}/", {name: never})) == {name: "invalid"}
    local = at.astimezone(fixed_zone(timedelta(hours=20)))
    for moment, since, until in ((local, 1, 0), (local + timedelta(seconds=1), 0, 1)):
        found = get(alice, "/api/v1/incidents/", **{name: moment.isoformat()})["results"]
        assert len(found) == {"since": since, "until": until}[name]


def test_a_cursor_of_another_zone_is_the_same(alice: Caller) -> None:
    make_websites(alice, 2, datetime(2026, 11, 23, 12, tzinfo=UTC))
    for text in ("2026-11-23T12:00:01+00:00", "2026-11-24T08:00:01+20:00"):
        assert len(get(alice, "/api/v1/websites/", cursor=cursor([False, text, "1"]))["results"]) == 2
