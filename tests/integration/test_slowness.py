"""People who ask for it are told that a website is slow, and that it is fast again: once each, from stored checks alone."""

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
from core.adapters.store import slowness as store
from core.domain.outcomes import Outcome, Reason
from core.flows import alerts
from core.flows.slowness import notify
from core.flows.websites import apply_results, claim_due, load
from tests.fakes import FakeBus
from tests.integration.test_alert_flow import make_channel
from tests.statements import explain_all
from tests.waiting import blocked_backends
from tests.websites import finished, make_website, make_workspace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
KINDS: dict[str, tuple[Outcome, Reason | None]] = {
    "s": (Outcome.UP, Reason.DEGRADED),
    "f": (Outcome.UP, None),
    "d": (Outcome.DOWN, None),
    "?": (Outcome.UNKNOWN, None),
}
NIGHT = {"weekdays": list(range(7)), "begins": "22:00", "ends": "07:00", "time_zone": "UTC", "critical_too": False}


@dataclass
class Shop:
    """A website that asked to be told after three slow checks; down after two failures. Time goes on with its checks."""

    connection: psycopg.Connection
    workspace: UUID
    monitor_id: int
    now: datetime = NOW
    bus: FakeBus = field(default_factory=FakeBus)

    def is_checked(self, story: str) -> None:
        """One check a minute, `s`low, `f`ast, `d`own or unknown."""
        for kind in story:
            self.now += MINUTE
            self.change("UPDATE website_state SET next_check_at = %s WHERE monitor_id = %s", self.now, self.monitor_id)
            [job] = load(self.connection, claim_due(self.connection, self.now, horizon=SECOND, limit=9), self.now)[0]
            outcome, reason = KINDS[kind]
            result = finished(job, self.now, outcome, reason, total_us=1_240_000)
            apply_results(self.connection, [result], self.now, lambda: 0.0)

    def tells(self, story: str = "") -> list[str]:
        """What a look after these checks tells."""
        self.is_checked(story)
        told = notify(self.connection, self.now)
        rows = self.connection.execute("SELECT alert_type FROM alert WHERE id = ANY(%s) ORDER BY id", (told,)).fetchall()
        return [row[0] for row in rows]

    def stored(self) -> list[tuple[Any, ...]]:
        """The alerts about slowness: type, order key, sequence, text."""
        return self.connection.execute(
            "SELECT alert_type, order_key, sequence, facts->>'text' FROM alert"
            " WHERE alert_type IN ('degraded', 'fast_again') ORDER BY created_at, id"
        ).fetchall()

    def noted(self) -> int:
        [(count,)] = self.connection.execute("SELECT count(*) FROM slow_website").fetchall()
        return int(count)

    def change(self, statement: str, *values: Any) -> None:
        self.connection.execute(statement, values)

    def heard(self, pool: Pool) -> list[tuple[str, UUID]]:
        """What a sweep sends, and to which channel."""
        self.connection.commit()
        before = len(self.bus.requests())
        alerts.sweep(pool, self.bus, self.now + 3 * SECOND)
        return [(request.alert_type, request.channel_id) for request in self.bus.requests()[before:]]


def make_shop(connection: psycopg.Connection, **settings: Any) -> Shop:
    workspace = make_workspace(connection, NOW)
    asked = {"degraded_threshold": 3, "options": '{"degraded_after_ms": 800}', **settings}
    shop = Shop(connection, workspace, make_website(connection, workspace, NOW, url="https://shop.test/", **asked))
    shop.is_checked("f")
    return shop


@pytest.fixture
def shop(connection: psycopg.Connection) -> Shop:
    return make_shop(connection)


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=2)
    yield opened
    opened.close()


def test_every_statement_can_be_prepared(connection: psycopg.Connection) -> None:
    assert explain_all(connection, store) == 6


def test_three_slow_checks_are_told_once_and_three_fast_ones_end_it(shop: Shop) -> None:
    assert [shop.tells(kind) for kind in "ssss"] == [[], [], ["degraded"], []]
    assert [shop.tells(kind) for kind in "ffff"] == [[], [], ["fast_again"], []]
    slow, fast = shop.stored()
    assert (slow[0], slow[2], fast[0], fast[2], fast[1]) == ("degraded", 1, "fast_again", 2, slow[1])
    assert slow[3] == (
        "Each of its last 3 checks took more than 800 ms, the latest 1240 ms. It is up, but slow since 2026-03-01 12:02 UTC."
    )
    assert fast[3] == "Its last 3 checks were fast enough. It was slow from 2026-03-01 12:02 to 2026-03-01 12:06 UTC."
    assert shop.noted() == 0


def test_a_failure_begins_the_count_anew_and_what_is_unknown_is_passed_over(shop: Shop) -> None:
    assert shop.tells("ssds") == []
    assert shop.tells("s?s") == ["degraded"]
    assert shop.tells("ffdf") == []
    assert shop.tells("f?f") == ["fast_again"]


def test_what_wavers_tells_nothing_more(shop: Shop) -> None:
    assert shop.tells("sss") == ["degraded"]
    assert [shop.tells(kind) for kind in "fsffsffs"] == [[]] * 8


def test_an_outage_ends_it_without_a_word_and_slowness_after_it_is_told_anew(shop: Shop) -> None:
    assert shop.tells("sss") == ["degraded"]
    assert shop.tells("dd") == []
    assert shop.noted() == 0
    assert shop.tells("ffff") == []
    assert shop.tells("sss") == ["degraded"]
    first, second = shop.stored()
    assert first[1] != second[1]


def test_an_outage_between_two_looks_is_one_too(shop: Shop) -> None:
    assert shop.tells("sss") == ["degraded"]
    assert shop.tells("ddfff") == []
    assert shop.noted() == 0


def test_a_website_that_is_down_is_not_slow(connection: psycopg.Connection) -> None:
    shop = make_shop(connection, recovery_threshold=5)
    assert shop.tells("ddsss") == []
    assert shop.tells("ss") == ["degraded"], "it is up now"


@pytest.mark.parametrize("settings", [{"degraded_threshold": 0}, {"options": None}])
def test_nobody_is_told_who_has_not_asked(connection: psycopg.Connection, settings: dict[str, Any]) -> None:
    assert make_shop(connection, **settings).tells("sssss") == []


def test_whoever_turns_it_off_hears_nothing_more(shop: Shop) -> None:
    assert shop.tells("sss") == ["degraded"]
    shop.change("UPDATE website SET degraded_threshold = 0")
    assert shop.tells("fff") == []
    assert shop.noted() == 0


def test_checks_within_a_maintenance_window_count_for_nothing(shop: Shop) -> None:
    shop.change(
        """INSERT INTO maintenance_window (id, workspace_id, name, kind, starts_at, ends_at, weekdays, cron, time_zone, all_monitors,
            monitors, tags, created_at, updated_at)
        VALUES (%s, %s, 'w', 'once', %s, %s, '{}', '', 'UTC', true, '{}', '{}', %s, %s)""",
        *(uuid4(), shop.workspace, NOW, NOW + 6 * MINUTE + SECOND, NOW, NOW),
    )
    assert shop.tells("sssss") == []
    assert [shop.tells(kind) for kind in "sss"] == [[], [], ["degraded"]]


@pytest.mark.parametrize(("column", "at"), [("muted_until", NOW + timedelta(days=9)), ("paused_at", NOW)])
def test_what_is_muted_or_paused_is_told_afterwards_if_it_is_still_so(shop: Shop, column: str, at: datetime) -> None:
    shop.is_checked("sss")
    shop.change(f"UPDATE monitor SET {column} = %s, updated_at = %s", at, shop.now)
    assert shop.tells() == []
    shop.change(f"UPDATE monitor SET {column} = NULL, updated_at = %s", shop.now)
    assert shop.tells() == ["degraded"]


def test_the_latest_that_says_anything_decides_when_a_mute_ends(shop: Shop) -> None:
    shop.is_checked("sss")
    shop.change("UPDATE monitor SET muted_until = %s", shop.now + 2 * MINUTE)
    assert shop.tells("sf") == []
    assert shop.tells("ss") == []
    assert shop.tells("s") == ["degraded"]


def test_checks_of_long_ago_count_for_nothing(shop: Shop) -> None:
    shop.is_checked("ss")
    shop.now += timedelta(hours=1)
    assert shop.tells("s") == []


def test_whoever_dies_before_the_end_loses_nothing(shop: Shop) -> None:
    shop.is_checked("sss")
    shop.connection.commit()
    with shop.connection.transaction(force_rollback=True):
        assert shop.tells() == ["degraded"]
    assert (shop.stored(), shop.noted()) == ([], 0)
    assert shop.tells() == ["degraded"]


@pytest.mark.parametrize(("before", "story"), [("", "sss"), ("sss", "fff")])
def test_of_two_at_once_one_tells(shop: Shop, database_url: str, before: str, story: str) -> None:
    shop.tells(before)
    shop.is_checked(story)
    shop.connection.commit()
    others: list[UUID] = []

    def look_too() -> None:
        with psycopg.connect(database_url) as other:
            others.extend(notify(other, shop.now))

    rival = threading.Thread(target=look_too)
    with shop.connection.transaction():
        assert len(shop.tells()) == 1
        rival.start()
        blocked_backends(database_url)
    rival.join()
    assert others == []


class TestWhoHears:
    def test_the_end_goes_to_those_who_heard_the_beginning(self, shop: Shop, pool: Pool) -> None:
        chat = make_channel(shop.connection, shop.workspace)
        shop.tells("sss")
        assert shop.heard(pool) == [("degraded", chat)]
        make_channel(shop.connection, shop.workspace)
        shop.tells("fff")
        assert shop.heard(pool) == [("fast_again", chat)]

    def test_what_is_over_before_the_night_is_told_to_nobody(self, shop: Shop, pool: Pool) -> None:
        self.sleep(shop, make_channel(shop.connection, shop.workspace))
        shop.now = NOW + timedelta(hours=11)
        assert shop.tells("sss") == ["degraded"]
        assert shop.heard(pool) == []
        assert shop.tells("fff") == []
        shop.now = NOW + timedelta(hours=19)
        assert shop.heard(pool) == []

    def test_what_lasts_is_told_in_the_morning(self, shop: Shop, pool: Pool) -> None:
        chat = make_channel(shop.connection, shop.workspace)
        self.sleep(shop, chat)
        shop.now = NOW + timedelta(hours=11)
        shop.tells("sss")
        assert shop.heard(pool) == []
        shop.now = NOW + timedelta(hours=19)
        assert shop.heard(pool) == [("degraded", chat)]

    def sleep(self, shop: Shop, channel: UUID) -> None:
        """A route with quiet hours to this channel."""
        steps = msgspec.json.encode([{"after_s": 0, "channels": [str(channel)]}]).decode()
        shop.change(
            """INSERT INTO alert_route (id, workspace_id, name, position, enabled, monitors, tags, kinds, topics, severities, steps,
                quiet_hours, created_at, updated_at)
            VALUES (%s, %s, 'r', 1, true, '{}', '{}', '{}', '{outages}', '{warning,info}', %s, %s, %s, %s)""",
            *(uuid4(), shop.workspace, steps, msgspec.json.encode(NIGHT).decode(), NOW, NOW),
        )
