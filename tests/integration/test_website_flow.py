"""Claim, load and apply against PostgreSQL: who holds what, what counts, and what follows."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from core.adapters.store import notices, partitions
from core.adapters.store import websites as store
from core.domain.outcomes import Outcome, Reason
from core.domain.schedule import next_check_at
from core.flows.websites import Applied, Claim, Finished, Job, apply_results, claim_due, claim_now, hand_back, load
from tests.waiting import blocked_backends
from tests.websites import finished, make_website, make_workspace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TICK = timedelta(seconds=1.5)


def claim(connection: psycopg.Connection, now: datetime = NOW, limit: int = 100) -> Claim:
    return claim_due(connection, now, horizon=TICK, limit=limit)


def jobs_of(connection: psycopg.Connection, now: datetime = NOW) -> list[Job]:
    jobs, spoilt = load(connection, claim(connection, now), now)
    assert not spoilt
    return jobs


def apply(connection: psycopg.Connection, results: list[Finished], now: datetime) -> Applied:
    return apply_results(connection, results, now, draw=lambda: 0.0)


def state_of(connection: psycopg.Connection, monitor_id: int) -> dict[str, object]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        row = cursor.execute("SELECT * FROM website_state WHERE monitor_id = %s", (monitor_id,)).fetchone()
    assert row
    return row


def count(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row
    return int(row[0])


@pytest.fixture
def workspace(connection: psycopg.Connection) -> UUID:
    return make_workspace(connection, NOW)


@pytest.fixture
def monitor_id(connection: psycopg.Connection, workspace: UUID) -> int:
    return make_website(connection, workspace, NOW)


@pytest.mark.parametrize("module", [store, partitions, notices])
def test_every_statement_fits_the_schema(connection: psycopg.Connection, module: ModuleType) -> None:
    statements = {
        name: text for name, text in vars(module).items() if name.isupper() and isinstance(text, str) and "COPY" not in text
    }
    assert len(statements) >= 3
    for text in statements.values():
        names = set(re.findall(r"%\((\w+)\)s", text))
        parameters = dict.fromkeys(names) if names else [None] * text.count("%s")
        connection.execute(f"EXPLAIN {text}", parameters)


def test_a_claim_takes_what_is_due_within_the_tick_and_nothing_twice(connection: psycopg.Connection, workspace: UUID) -> None:
    late = make_website(connection, workspace, NOW - timedelta(seconds=9))
    soon = make_website(connection, workspace, NOW + timedelta(seconds=1))
    make_website(connection, workspace, NOW + timedelta(seconds=3))
    assert claim(connection).ids == [late, soon]
    assert claim(connection).ids == []


def test_a_claim_takes_the_longest_due_first_up_to_its_limit(connection: psycopg.Connection, workspace: UUID) -> None:
    ids = [make_website(connection, workspace, NOW - timedelta(seconds=n)) for n in range(5)]
    assert claim(connection, limit=2).ids == [ids[4], ids[3]]


def test_two_claims_at_once_never_share_a_website(database_url: str, connection: psycopg.Connection, workspace: UUID) -> None:
    for _ in range(10):
        make_website(connection, workspace, NOW)
    connection.commit()
    with psycopg.connect(database_url) as other:
        mine, theirs = claim(connection, limit=4), claim(other)
        assert len(mine.ids) == 4
        assert len(theirs.ids) == 6
        assert set(mine.ids).isdisjoint(theirs.ids)


def test_paused_websites_are_not_claimed(connection: psycopg.Connection, monitor_id: int) -> None:
    connection.execute("UPDATE monitor SET paused_at = %s WHERE id = %s", (NOW, monitor_id))
    assert state_of(connection, monitor_id)["next_check_at"] is None
    assert claim(connection).ids == []


def test_a_result_that_waits_for_an_edit_does_not_count(
    database_url: str, connection: psycopg.Connection, monitor_id: int
) -> None:
    [job] = jobs_of(connection)
    connection.commit()

    def flush() -> Applied:
        with psycopg.connect(database_url) as worker:
            return apply(worker, [finished(job, NOW, Outcome.DOWN)], NOW)

    with ThreadPoolExecutor(1) as threads:
        connection.execute("UPDATE website SET config_version = 2 WHERE monitor_id = %s", (monitor_id,))
        flushing = threads.submit(flush)
        blocked_backends(database_url)
        connection.commit()
        assert flushing.result(10).stale == 1
    assert count(connection, "check_result") == 0


def test_pausing_voids_the_check_under_way(connection: psycopg.Connection, monitor_id: int) -> None:
    [job] = jobs_of(connection)
    connection.execute("UPDATE monitor SET paused_at = %s WHERE id = %s", (NOW, monitor_id))
    assert apply(connection, [finished(job, NOW)], NOW).stale == 1


def test_what_a_dead_worker_held_is_due_again_when_its_lease_ends(connection: psycopg.Connection, monitor_id: int) -> None:
    claim(connection)
    timeout_and_margin = timedelta(seconds=5 + 6)
    assert claim(connection, NOW + timeout_and_margin - timedelta(seconds=1)).ids == []
    assert claim(connection, NOW + timeout_and_margin).ids == [monitor_id]


def test_loading_drops_what_somebody_else_took_over(connection: psycopg.Connection, monitor_id: int) -> None:
    first = claim(connection)
    later = NOW + timedelta(seconds=60)
    second = claim(connection, later)
    assert load(connection, first, later) == ([], [])
    [job] = load(connection, second, later)[0]
    assert job.monitor.id == monitor_id


def test_loading_renews_a_lease_that_grew_short_in_the_queue(connection: psycopg.Connection, monitor_id: int) -> None:
    held = claim(connection)
    [fresh] = load(connection, held, NOW + timedelta(seconds=1))[0]
    assert fresh.leased_until == NOW + timedelta(seconds=11)
    much_later = NOW + timedelta(seconds=8)
    [renewed] = load(connection, held, much_later)[0]
    assert renewed.leased_until == much_later + timedelta(seconds=11)
    assert state_of(connection, monitor_id)["leased_until"] == renewed.leased_until


def test_loading_drops_what_was_paused_meanwhile(connection: psycopg.Connection, monitor_id: int) -> None:
    held = claim(connection)
    connection.execute("UPDATE website_state SET next_check_at = NULL WHERE monitor_id = %s", (monitor_id,))
    assert load(connection, held, NOW) == ([], [])


def test_jobs_share_what_is_the_same_for_many(connection: psycopg.Connection, workspace: UUID) -> None:
    for _ in range(2):
        make_website(connection, workspace, NOW)
    one, other = jobs_of(connection)
    assert one.monitor.uid != other.monitor.uid
    assert one.policy is other.policy
    assert one.monitor.workspace_id is other.monitor.workspace_id
    assert one.request.method is other.request.method


def test_settings_that_cannot_be_read_are_our_trouble(connection: psycopg.Connection, workspace: UUID) -> None:
    make_website(connection, workspace, NOW, accepted_status="two hundred")
    jobs, [spoilt] = load(connection, claim(connection), NOW)
    assert jobs == []
    applied = apply(connection, [spoilt], NOW)
    assert applied.judged[0][0].result.reason is Reason.INTERNAL
    assert applied.judged[0][0].result.outcome is Outcome.UNKNOWN


def test_a_result_moves_the_website_to_its_next_slot(connection: psycopg.Connection, monitor_id: int) -> None:
    [job] = jobs_of(connection)
    expiry = NOW + timedelta(days=30)
    applied = apply(connection, [finished(job, NOW, status_code=204, total_us=1500, certificate_not_after=expiry)], NOW)
    assert applied.alert_ids == []
    state = state_of(connection, monitor_id)
    assert state["next_check_at"] == next_check_at(monitor_id, 60, NOW)
    assert (state["state"], state["lease_id"], state["leased_until"], state["last_status_code"]) == ("up", None, None, 204)
    assert state["certificate_not_after"] == expiry
    stored = connection.execute("SELECT monitor_id, checked_at, outcome, total_us, status_code FROM check_result").fetchall()
    assert stored == [(monitor_id, NOW, 1, 1500, 204)]


def test_an_outage_is_confirmed_reported_and_resolved(connection: psycopg.Connection, monitor_id: int) -> None:
    at = NOW
    alerts: list[UUID] = []
    for outcome in (Outcome.UP, Outcome.DOWN, Outcome.DOWN, Outcome.DOWN, Outcome.UP):
        [job] = jobs_of(connection, at)
        alerts += apply(connection, [finished(job, at, outcome)], at).alert_ids
        following = state_of(connection, monitor_id)["next_check_at"]
        assert isinstance(following, datetime)
        at = following
    assert connection.execute("SELECT alert_type FROM alert ORDER BY sequence").fetchall() == [("down",), ("recovered",)]
    assert len(alerts) == 2
    [(began_at, resolved_at)] = connection.execute("SELECT began_at, resolved_at FROM incident").fetchall()
    assert began_at < resolved_at
    assert count(connection, "check_result") == 5


def test_a_result_of_a_lost_lease_changes_nothing(connection: psycopg.Connection, monitor_id: int) -> None:
    [slept] = jobs_of(connection)
    later = NOW + timedelta(seconds=90)
    [current] = jobs_of(connection, later)
    assert apply(connection, [finished(slept, NOW, Outcome.DOWN)], later).stale == 1
    assert count(connection, "check_result") == 0
    assert len(apply(connection, [finished(current, later)], later).judged) == 1


def test_a_result_of_edited_settings_changes_nothing(connection: psycopg.Connection, monitor_id: int) -> None:
    [job] = jobs_of(connection)
    connection.execute("UPDATE website SET config_version = 2 WHERE monitor_id = %s", (monitor_id,))
    assert apply(connection, [finished(job, NOW, Outcome.DOWN)], NOW).stale == 1
    assert state_of(connection, monitor_id)["failures"] == 0


@pytest.mark.parametrize(
    "change",
    [
        "state = 'up'",
        "failures = 0",
        "successes = 1",
        "first_failure_at = NULL",
        "unknown_since = now()",
        "last_checked_at = now()",
        "changed_at = now()",
    ],
)
def test_whoever_changes_what_is_remembered_voids_the_check_under_way(
    connection: psycopg.Connection, monitor_id: int, change: str
) -> None:
    connection.execute("UPDATE website_state SET state = 'down', failures = 3, first_failure_at = %s", (NOW,))
    [job] = jobs_of(connection)
    connection.execute(f"UPDATE website_state SET {change}")
    assert state_of(connection, monitor_id)["lease_id"] is None
    assert apply(connection, [finished(job, NOW)], NOW).stale == 1


def test_a_new_due_time_leaves_the_check_under_way_alone(connection: psycopg.Connection, monitor_id: int) -> None:
    [job] = jobs_of(connection)
    connection.execute("UPDATE website_state SET next_check_at = %s, failures = failures", (NOW + timedelta(seconds=5),))
    assert len(apply(connection, [finished(job, NOW)], NOW).judged) == 1


def test_a_result_for_a_paused_website_changes_nothing(connection: psycopg.Connection, monitor_id: int) -> None:
    [job] = jobs_of(connection)
    connection.execute("UPDATE website_state SET next_check_at = NULL WHERE monitor_id = %s", (monitor_id,))
    assert apply(connection, [finished(job, NOW, Outcome.DOWN)], NOW).stale == 1
    assert state_of(connection, monitor_id)["next_check_at"] is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_leases_in_one_flush_the_latest_counts(
    connection: psycopg.Connection, monitor_id: int, order: tuple[int, int]
) -> None:
    [before] = jobs_of(connection)
    connection.execute("UPDATE website SET config_version = 2")
    connection.execute("UPDATE website_state SET lease_id = NULL, leased_until = NULL")
    [after] = jobs_of(connection)
    both = [finished(before, NOW, Outcome.DOWN), finished(after, NOW)]
    applied = apply(connection, [both[place] for place in order], NOW)
    assert [done for done, _ in applied.judged] == [both[1]]
    assert applied.stale == 1


def test_a_batch_that_was_delivered_twice_counts_once(connection: psycopg.Connection, monitor_id: int) -> None:
    [job] = jobs_of(connection)
    twice = [finished(job, NOW, Outcome.DOWN), finished(job, NOW + timedelta(milliseconds=5), Outcome.DOWN)]
    applied = apply(connection, twice, NOW)
    assert (len(applied.judged), applied.stale) == (1, 1)
    assert apply(connection, twice, NOW).stale == 2
    assert state_of(connection, monitor_id)["failures"] == 1


def test_a_stale_result_does_not_displace_the_one_that_counts(connection: psycopg.Connection, monitor_id: int) -> None:
    [slept] = jobs_of(connection)
    later = NOW + timedelta(seconds=90)
    [current] = jobs_of(connection, later)
    woken = [finished(slept, NOW, Outcome.DOWN), finished(current, later)]
    applied = apply(connection, [*woken, woken[0]], later)
    assert ([done for done, _ in applied.judged], applied.stale) == ([woken[1]], 2)
    assert state_of(connection, monitor_id)["state"] == "up"


@pytest.mark.parametrize("poison", [{"detail": "\x00"}, {"detail": "\ud800"}, {"total_us": 2**40}, {"status_code": 40_000}])
def test_one_culprit_costs_nobody_else(connection: psycopg.Connection, workspace: UUID, poison: dict[str, Any]) -> None:
    ids = [make_website(connection, workspace, NOW, failure_threshold=1) for _ in range(7)]
    results = [finished(job, NOW, Outcome.DOWN) for job in jobs_of(connection)]
    results[3] = finished(results[3].job, NOW, Outcome.DOWN, **poison)
    applied = apply(connection, results, NOW)
    culprit = results[3].job.monitor.id
    assert len(applied.alert_ids) == 6
    assert count(connection, "check_result") == 7
    states = {monitor_id: state_of(connection, monitor_id) for monitor_id in ids}
    assert states[culprit]["last_reason"] == Reason.INTERNAL
    assert states[culprit]["state"] == "new"
    assert {str(states[n]["state"]) for n in ids if n != culprit} == {"down"}


def test_ten_minutes_without_knowing_are_reported_once_and_taken_back_once(
    connection: psycopg.Connection, monitor_id: int
) -> None:
    for minute in [*range(15), 15, 16]:
        at = NOW + timedelta(minutes=minute)
        connection.execute("UPDATE website_state SET next_check_at = %s", (at,))
        [job] = jobs_of(connection, at)
        apply(connection, [finished(job, at, Outcome.UNKNOWN if minute < 15 else Outcome.UP)], at)
    rows = connection.execute("SELECT alert_type, order_key, facts->>'text', created_at FROM alert ORDER BY sequence").fetchall()
    assert [(row[0], row[3]) for row in rows] == [
        ("not_monitored", NOW + timedelta(minutes=10)),
        ("monitored_again", NOW + timedelta(minutes=15)),
    ]
    assert rows[0][1] == rows[1][1]
    assert "local_network" in rows[0][2]


def test_a_check_that_comes_more_than_an_interval_late_leaves_a_row_for_the_gap(
    connection: psycopg.Connection, monitor_id: int
) -> None:
    late = NOW + timedelta(minutes=7)
    [job] = jobs_of(connection, late)
    applied = apply(connection, [finished(job, late)], late)
    rows = connection.execute("SELECT checked_at, outcome, reason FROM check_result ORDER BY checked_at").fetchall()
    assert rows == [(NOW, Outcome.UNKNOWN, Reason.MISSED_WINDOW), (late, Outcome.UP, Reason.OK)]
    assert [monitor.id for monitor in applied.missed] == [monitor_id]
    assert state_of(connection, monitor_id)["last_reason"] == Reason.OK
    in_time = late + timedelta(seconds=61)
    [job] = jobs_of(connection, in_time)
    assert apply(connection, [finished(job, in_time)], in_time).missed == []


def test_a_job_knows_whether_its_website_fails(connection: psycopg.Connection, monitor_id: int) -> None:
    [job] = jobs_of(connection)
    assert not job.failing
    apply(connection, [finished(job, NOW, Outcome.DOWN)], NOW)
    connection.execute("UPDATE website_state SET next_check_at = %s", (NOW,))
    [job] = jobs_of(connection)
    assert job.failing


def test_check_now_takes_the_same_row(connection: psycopg.Connection, workspace: UUID) -> None:
    monitor_id = make_website(connection, workspace, NOW + timedelta(seconds=50))
    row = connection.execute("SELECT uid FROM monitor WHERE id = %s", (monitor_id,)).fetchone()
    assert row
    now_claim = claim_now(connection, row[0], NOW)
    assert now_claim.ids == [monitor_id]
    assert claim_now(connection, row[0], NOW).ids == []
    [job] = load(connection, now_claim, NOW)[0]
    assert job.due_at == NOW
    apply(connection, [finished(job, NOW)], NOW)
    assert state_of(connection, monitor_id)["next_check_at"] == next_check_at(monitor_id, 60, NOW)
    assert claim_now(connection, uuid4(), NOW).ids == []


def test_check_now_does_not_wake_a_paused_website(connection: psycopg.Connection, monitor_id: int) -> None:
    connection.execute("UPDATE website_state SET next_check_at = NULL")
    row = connection.execute("SELECT uid FROM monitor").fetchone()
    assert row
    assert claim_now(connection, row[0], NOW).ids == []


def test_what_is_handed_back_is_due_at_once_unless_it_was_taken_over(connection: psycopg.Connection, monitor_id: int) -> None:
    first = claim(connection)
    hand_back(connection, first.lease_id, first.ids)
    second = claim(connection)
    assert second.ids == [monitor_id]
    hand_back(connection, first.lease_id, first.ids)
    assert state_of(connection, monitor_id)["lease_id"] == second.lease_id
