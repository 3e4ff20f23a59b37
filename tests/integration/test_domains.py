"""Registries are asked once a day for each domain, and left alone when they want to be. Against PostgreSQL and a registry on loopback."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.rdap import Rdap
from core.adapters.store import domains as store
from core.domain.registrations import ASK_EVERY
from core.flows.domains import LEASE, NO_SERVER, SPREAD, DomainRound
from tests.registries import Registry, Reply, registration, registry
from tests.statements import explain_all
from tests.websites import make_website, make_workspace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = "2027-05-06T07:08:09Z"
HOUR = timedelta(hours=1)


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True, options="-c timezone=UTC") as connection:
        yield connection


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=2)
    yield opened
    opened.close()


@pytest.fixture
def running() -> Iterator[Registry]:
    with registry({"/rdap/domain/example.com": registration(END)}) as served:
        yield served


def watch(database: psycopg.Connection, domain: str, count: int = 1) -> None:
    for _ in range(count):
        make_website(database, make_workspace(database, NOW), NOW, domain=domain)


def ask(pool: Pool, running: Registry, now: datetime, slept: list[float] | None = None) -> int:
    pauses = slept if slept is not None else []
    rdap = Rdap(running.bootstrap_url, private_targets=True)
    return DomainRound(pool, rdap, now=lambda: now, draw=lambda: 0.5, sleep=pauses.append).run()


def stored(database: psycopg.Connection) -> dict[str, dict[str, Any]]:
    with database.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return {row["name"]: row for row in cursor.execute("SELECT * FROM domain")}


def test_every_statement_fits_the_schema(connection: psycopg.Connection) -> None:
    assert explain_all(connection, store) == 7


def test_a_domain_is_asked_about_once_a_day_however_many_watch_it(
    database: psycopg.Connection, pool: Pool, running: Registry
) -> None:
    watch(database, "example.com", count=3)
    assert [ask(pool, running, NOW + n * HOUR) for n in range(25)] == [1] + [0] * 24
    row = stored(database)["example.com"]
    assert (row["ends_at"].isoformat(), row["registrar"]) == ("2027-05-06T07:08:09+00:00", "Registrar Inc.")
    assert (row["failure"], row["failures"], row["answered_at"], row["server"]) == ("", 0, NOW, f"{running.url}/rdap/")
    assert ASK_EVERY < row["next_at"] - NOW < 1.1 * ASK_EVERY
    assert ask(pool, running, NOW + 27 * HOUR) == 1
    assert running.asked.count("/rdap/domain/example.com") == 2


def test_what_the_registry_said_is_kept_while_it_cannot_be_asked(
    database: psycopg.Connection, pool: Pool, running: Registry
) -> None:
    watch(database, "example.com")
    ask(pool, running, NOW)
    running.replies["/rdap/domain/example.com"] = Reply(500)
    waits = []
    now = stored(database)["example.com"]["next_at"]
    for failures in range(1, 8):
        assert ask(pool, running, now) == 1
        row = stored(database)["example.com"]
        assert (row["failure"], row["failures"]) == ("the registry answered with status 500", failures)
        assert (row["ends_at"].year, row["answered_at"]) == (2027, NOW)
        waits.append(row["next_at"] - now)
        now = row["next_at"]
    assert waits == sorted(waits)
    assert HOUR <= waits[0] < 1.1 * HOUR
    assert waits[-1] < 1.1 * ASK_EVERY
    running.replies["/rdap/domain/example.com"] = registration(END)
    ask(pool, running, now)
    assert (stored(database)["example.com"]["failure"], stored(database)["example.com"]["failures"]) == ("", 0)


def test_a_limit_holds_for_every_domain_of_that_registry(database: psycopg.Connection, pool: Pool, running: Registry) -> None:
    names = [f"{letter}.com" for letter in "abc"]
    for name in names:
        running.replies[f"/rdap/domain/{name}"] = Reply(429, headers={"Retry-After": "7200"})
        watch(database, name)
    assert ask(pool, running, NOW) == 1
    running.asked.clear()
    watch(database, "d.com")
    for minutes in (5, 60, 119):
        assert ask(pool, running, NOW + timedelta(minutes=minutes)) == 0
    assert running.asked.count("/dns.json") == len(running.asked), "nobody asks while it wants to be left alone"
    rows = stored(database)
    assert {rows[name]["next_at"] - NOW >= timedelta(hours=2) for name in [*names, "d.com"]} == {True}
    assert max(row["next_at"] for row in rows.values()) < NOW + timedelta(hours=2) + SPREAD
    for name in names:
        running.replies[f"/rdap/domain/{name}"] = registration(END)
    assert ask(pool, running, NOW + timedelta(hours=2) + SPREAD) == 4
    assert [row["failure"] for name, row in stored(database).items() if name != "d.com"] == [""] * 3


def test_questions_to_one_registry_are_a_second_apart(database: psycopg.Connection, pool: Pool, running: Registry) -> None:
    for name in ("example.com", "a.com", "b.com", "example.de"):
        watch(database, name)
    slept: list[float] = []
    assert ask(pool, running, NOW, slept) == 4
    assert len(slept) == 2
    assert all(0 < seconds <= 1 for seconds in slept)


def test_a_domain_without_a_server_is_unknown(database: psycopg.Connection, pool: Pool, running: Registry) -> None:
    watch(database, "example.de")
    ask(pool, running, NOW)
    row = stored(database)["example.de"]
    assert (row["failure"], row["ends_at"], row["answered_at"]) == (NO_SERVER, None, None)


def test_nobody_asks_for_what_is_paused_or_not_watched_any_more(
    database: psycopg.Connection, pool: Pool, running: Registry
) -> None:
    watch(database, "example.com")
    database.execute("UPDATE monitor SET paused_at = now()")
    assert ask(pool, running, NOW) == 0
    database.execute("UPDATE monitor SET paused_at = NULL")
    assert ask(pool, running, NOW) == 1
    database.execute("UPDATE monitor SET paused_at = now()")
    assert ask(pool, running, NOW + 3 * ASK_EVERY) == 0
    database.execute("UPDATE website SET domain = NULL")
    ask(pool, running, NOW)
    assert stored(database) == {}


def test_two_workers_never_ask_about_the_same_domain(database_url: str, database: psycopg.Connection) -> None:
    watch(database, "example.com")
    store.keep_in_step(database, NOW)
    with psycopg.connect(database_url) as first, psycopg.connect(database_url) as second:
        assert store.claim(first, NOW, LEASE) == ("example.com", 0)
        assert store.claim(second, NOW, LEASE) is None
        first.commit()
        assert store.claim(second, NOW + LEASE - timedelta(seconds=1), LEASE) is None
        assert store.claim(second, NOW + LEASE, LEASE) == ("example.com", 0), "whoever claimed it died"
