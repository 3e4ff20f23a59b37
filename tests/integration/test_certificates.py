"""The latest certificate of each website is stored with the results of its checks, and written only when it is news."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from core.adapters.store import certificates as store
from core.adapters.store import expiry as expiry_store
from core.domain.certificates import SeenChain
from core.domain.outcomes import Outcome, Reason
from core.flows.certificates import record_chains
from core.flows.websites import apply_results, claim_due, load
from tests.certificates import seen_chain
from tests.statements import explain_all
from tests.websites import finished, make_website, make_workspace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = NOW + timedelta(days=40)


@pytest.fixture
def monitor_id(connection: psycopg.Connection) -> int:
    return make_website(connection, make_workspace(connection, NOW), NOW, url="https://shop.test/")


def check(connection: psycopg.Connection, at: datetime, seen: SeenChain | None, outcome: Outcome = Outcome.UP) -> None:
    connection.execute("UPDATE website_state SET next_check_at = %s", (at,))
    jobs, _ = load(connection, claim_due(connection, at, horizon=timedelta(seconds=1), limit=9), at)
    reason = Reason.TLS_EXPIRED if outcome is Outcome.DOWN else None
    apply_results(connection, [finished(job, at, outcome, reason, certificate=seen) for job in jobs], at, lambda: 0.0)


def stored(connection: psycopg.Connection) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute("SELECT c.*, xmin::text AS version FROM certificate c ORDER BY monitor_id").fetchall()


@pytest.mark.parametrize("module", [store, expiry_store])
def test_every_statement_fits_the_schema(connection: psycopg.Connection, module: Any) -> None:
    assert explain_all(connection, module) >= 2


def test_the_chain_of_a_check_is_stored_with_its_result(connection: psycopg.Connection, monitor_id: int) -> None:
    seen = seen_chain("shop.test", END)
    check(connection, NOW, seen)
    [row] = stored(connection)
    assert (row["monitor_id"], row["host"], row["port"]) == (monitor_id, "shop.test", 443)
    assert (row["fingerprint"], row["digest"], row["not_after"]) == (seen.fingerprint, seen.digest, END)
    assert (row["verified"], row["error"]) == (True, "")
    [own] = row["chain"]
    assert (own["subject"], own["issuer"], own["names"]) == ("CN=shop.test", "CN=Test Authority", ["shop.test"])
    assert own["fingerprint_sha256"] == seen.fingerprint


def test_what_is_known_is_not_written_again_but_once_a_day(connection: psycopg.Connection, monitor_id: int) -> None:
    seen = seen_chain("shop.test", END)
    for hours in (0, 1, 23):
        check(connection, NOW + timedelta(hours=hours), seen)
        connection.commit()
    [first] = stored(connection)
    check(connection, NOW + timedelta(hours=24), None)
    assert stored(connection) == [first]
    check(connection, NOW + timedelta(hours=24), seen)
    [again] = stored(connection)
    assert again["version"] != first["version"]
    assert (again["first_seen_at"], again["seen_at"]) == (NOW, NOW + timedelta(hours=24))


def test_a_renewed_certificate_takes_the_place_of_the_old_one(connection: psycopg.Connection, monitor_id: int) -> None:
    check(connection, NOW, seen_chain("shop.test", END))
    later = NOW + timedelta(hours=2)
    renewed = seen_chain("shop.test", END + timedelta(days=60))
    check(connection, later, renewed)
    [row] = stored(connection)
    assert (row["fingerprint"], row["not_after"], row["first_seen_at"]) == (renewed.fingerprint, END + timedelta(days=60), later)


def test_a_refused_chain_is_stored_with_the_reason_and_mended_in_place(connection: psycopg.Connection, monitor_id: int) -> None:
    check(connection, NOW, seen_chain("shop.test", END, error="certificate has expired"), Outcome.DOWN)
    assert [row["error"] for row in stored(connection)] == ["certificate has expired"]
    check(connection, NOW + timedelta(minutes=1), seen_chain("shop.test", END))
    [row] = stored(connection)
    assert (row["error"], row["first_seen_at"]) == ("", NOW)


def test_a_result_that_does_not_count_stores_no_certificate(connection: psycopg.Connection, monitor_id: int) -> None:
    jobs, _ = load(connection, claim_due(connection, NOW, horizon=timedelta(seconds=1), limit=9), NOW)
    connection.execute("UPDATE website SET config_version = 2")
    done = [finished(job, NOW, certificate=seen_chain("shop.test", END)) for job in jobs]
    assert apply_results(connection, done, NOW).stale == 1
    assert stored(connection) == []


def test_a_certificate_that_nobody_can_read_costs_nothing_else(connection: psycopg.Connection, monitor_id: int) -> None:
    other = make_website(connection, make_workspace(connection, NOW), NOW)
    record_chains(
        connection, {monitor_id: SeenChain("shop.test", 443, (b"nonsense",), None), other: seen_chain("other.test", END)}, NOW
    )
    assert [row["monitor_id"] for row in stored(connection)] == [other]
