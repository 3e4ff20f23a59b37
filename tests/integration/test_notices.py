"""Our own trouble is told once for a workspace, not once for each of its websites."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from core.domain.outcomes import Outcome, Reason
from core.flows.websites import Applied, Finished, Job, apply_results, claim_due, load
from tests.websites import finished, make_website, make_workspace

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def workspace(connection: psycopg.Connection) -> UUID:
    return make_workspace(connection, NOW)


def check(
    connection: psycopg.Connection, at: datetime, ids: list[int], outcome: Outcome, reason: Reason | None = None
) -> Applied:
    connection.execute("UPDATE website_state SET next_check_at = %s WHERE monitor_id = ANY(%s)", (at, ids))
    connection.execute(
        "UPDATE website_state SET next_check_at = %s WHERE NOT monitor_id = ANY(%s)", (at + timedelta(days=1), ids)
    )
    jobs: list[Job] = load(connection, claim_due(connection, at, horizon=timedelta(seconds=1), limit=1000), at)[0]
    assert sorted(job.monitor.id for job in jobs) == sorted(ids)
    results: list[Finished] = [finished(job, at, outcome, reason) for job in jobs]
    return apply_results(connection, results, at, lambda: 0.0)


def alerts(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT alert_type, workspace_id, monitor_id, order_key, sequence, facts->>'text', facts->'monitor' FROM alert ORDER BY id"
    ).fetchall()


def lose(connection: psycopg.Connection, ids: list[int], since: datetime = NOW, reason: Reason | None = None) -> Applied:
    """Nobody could tell for ten minutes."""
    check(connection, since, ids, Outcome.UNKNOWN, reason)
    return check(connection, since + timedelta(minutes=10), ids, Outcome.UNKNOWN, reason)


def test_a_workspace_is_told_once_however_many_websites_are_lost(connection: psycopg.Connection, workspace: UUID) -> None:
    early, late = ([make_website(connection, workspace, NOW) for _ in range(n)] for n in (3, 9))
    check(connection, NOW, early, Outcome.UNKNOWN)
    check(connection, NOW + timedelta(seconds=40), late, Outcome.UNKNOWN)
    assert len(check(connection, NOW + timedelta(minutes=10), early, Outcome.UNKNOWN).alert_ids) == 1
    assert check(connection, NOW + timedelta(minutes=11), late, Outcome.UNKNOWN).alert_ids == []
    [told] = alerts(connection)
    assert told[:3] == ("not_monitored", workspace, None)
    assert told[5] == (
        "12 websites are not monitored since 2026-03-01 12:00 UTC because of trouble on our side (local_network): "
        "shop, shop, shop, shop, shop and 7 more. Their state is unknown, not down."
    )
    back = NOW + timedelta(minutes=15)
    assert check(connection, back, early, Outcome.UP).alert_ids == []
    assert check(connection, back, late[:-1], Outcome.UP).alert_ids == []
    assert len(check(connection, back, late[-1:], Outcome.DOWN).alert_ids) == 1
    _, again = alerts(connection)
    assert again[:3] == ("monitored_again", workspace, None)
    assert (again[3], told[4], again[4]) == (told[3], 1, 2)


def test_the_next_trouble_is_told_anew(connection: psycopg.Connection, workspace: UUID) -> None:
    ids = [make_website(connection, workspace, NOW) for _ in range(2)]
    for since in (NOW, NOW + timedelta(minutes=30)):
        lose(connection, ids, since)
        check(connection, since + timedelta(minutes=20), ids, Outcome.UP)
    told = alerts(connection)
    assert [alert[0] for alert in told] == ["not_monitored", "monitored_again"] * 2
    assert told[0][3] != told[2][3]


def test_each_workspace_is_told_of_its_own(connection: psycopg.Connection, workspace: UUID) -> None:
    other = make_workspace(connection, NOW)
    ids = [make_website(connection, space, NOW) for space in (workspace, other, other)]
    lose(connection, ids)
    told = {alert[1]: alert for alert in alerts(connection)}
    assert told.keys() == {workspace, other}
    assert told[other][5].startswith("2 websites are not monitored")
    assert told[workspace][5].startswith("Not monitored since")
    assert told[workspace][6]["name"] == "shop"
    assert told[other][6] is None


def test_a_gap_that_never_ends_does_not_hide_the_next(connection: psycopg.Connection, workspace: UUID) -> None:
    stuck, other = (make_website(connection, workspace, NOW) for _ in range(2))
    lose(connection, [stuck], reason=Reason.INTERNAL)
    lose(connection, [other], NOW + timedelta(hours=2))
    assert [alert[0] for alert in alerts(connection)] == ["not_monitored", "not_monitored"]


def test_an_address_that_is_not_allowed_is_told_for_its_website_alone(connection: psycopg.Connection, workspace: UUID) -> None:
    blocked, lost = (make_website(connection, workspace, NOW) for _ in range(2))
    lose(connection, [blocked], reason=Reason.BLOCKED_ADDRESS)
    lose(connection, [lost])
    [own, gap] = alerts(connection)
    assert own[2] == blocked
    assert "may not be checked" in own[5]
    assert gap[2] is None
    assert gap[5].startswith("Not monitored since")
    check(connection, NOW + timedelta(minutes=20), [lost], Outcome.UP)
    check(connection, NOW + timedelta(minutes=20), [blocked], Outcome.UP)
    assert [(alert[0], alert[2], alert[3]) for alert in alerts(connection)[2:]] == [
        ("monitored_again", None, gap[3]),
        ("monitored_again", blocked, own[3]),
    ]


def test_a_paused_website_keeps_no_gap_open(connection: psycopg.Connection, workspace: UUID) -> None:
    ids = [make_website(connection, workspace, NOW) for _ in range(2)]
    lose(connection, ids)
    connection.execute("UPDATE monitor SET paused_at = %s WHERE id = %s", (NOW, ids[0]))
    check(connection, NOW + timedelta(minutes=20), ids[1:], Outcome.UP)
    assert [alert[0] for alert in alerts(connection)] == ["not_monitored", "monitored_again"]
