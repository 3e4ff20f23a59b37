"""Any interleaving of late, duplicate and reordered results gives the same incidents as the in-order sequence: against PostgreSQL."""

from datetime import datetime

import psycopg
import pytest
from hypothesis import Phase

from core.adapters.store import websites as store
from core.domain.outcomes import Reason
from core.domain.schedule import next_check_at
from core.domain.website import Policy
from core.flows import websites as flows
from core.flows.websites import Claim
from tests.interleavings import BEGAN, Incident, OverFlows, play
from tests.websites import make_website, make_workspace

FORGET_COUNTS = ", failures = 0, successes = 0, first_failure_at = NULL"


class PostgresWorld(OverFlows):
    """One example is one transaction, which is rolled back at its end. Edits are those of `core.api.websites.services`."""

    def __init__(self, connection: psycopg.Connection) -> None:
        super().__init__(connection)
        self._workspace = make_workspace(connection, BEGAN)
        connection.execute(
            "SELECT setval(pg_get_serial_sequence('monitor', 'id'), 1, false)"
        )  # ids give the phases of the checks

    def add(self, policy: Policy, now: datetime) -> int:
        thresholds = {"failure_threshold": policy.failure_threshold, "recovery_threshold": policy.recovery_threshold}
        return make_website(self._connection, self._workspace, now, **thresholds)

    def claim_now(self, monitor_id: int, now: datetime) -> Claim:
        row = self._connection.execute("SELECT uid FROM monitor WHERE id = %s", (monitor_id,)).fetchone()
        assert row
        return flows.claim_now(self._connection, row[0], now)

    def edit(self, monitor_id: int, now: datetime, *, request: bool) -> None:
        self._connection.execute("UPDATE website SET config_version = config_version + 1 WHERE monitor_id = %s", (monitor_id,))
        due = now if request else next_check_at(monitor_id, 60, now)
        self._change(monitor_id, f"next_check_at = least(next_check_at, '{due}')" + (FORGET_COUNTS if request else ""))
        self._connection.execute(
            "UPDATE website_state s SET next_check_at = NULL FROM monitor m WHERE m.id = s.monitor_id AND m.paused_at IS NOT NULL"
        )

    def pause(self, monitor_id: int, now: datetime) -> None:
        self._change(monitor_id, f"next_check_at = NULL {FORGET_COUNTS}")
        self._connection.execute("UPDATE monitor SET paused_at = %s WHERE id = %s", (now, monitor_id))

    def resume(self, monitor_id: int, now: datetime) -> None:
        self._change(monitor_id, f"next_check_at = '{next_check_at(monitor_id, 60, now)}'")
        self._connection.execute("UPDATE monitor SET paused_at = NULL WHERE id = %s", (monitor_id,))

    def _change(self, monitor_id: int, assignments: str) -> None:
        self._connection.execute(
            f"UPDATE website_state SET lease_id = NULL, leased_until = NULL, {assignments} WHERE monitor_id = %s".encode(),
            (monitor_id,),
        )

    def incidents(self, monitor_id: int) -> list[Incident]:
        query = "SELECT began_at, resolved_at FROM incident WHERE monitor_id = %s ORDER BY id"
        return [(row[0], row[1]) for row in self._connection.execute(query, (monitor_id,))]

    def checks(self, monitor_id: int) -> int:
        query = "SELECT count(*) FROM check_result WHERE monitor_id = %s AND reason <> %s"
        row = self._connection.execute(query, (monitor_id, Reason.MISSED_WINDOW)).fetchone()
        assert row
        return int(row[0])

    def close(self) -> None:
        self._connection.rollback()


def test_any_interleaving_gives_the_incidents_of_the_checks_in_order(connection: psycopg.Connection) -> None:
    play(lambda: PostgresWorld(connection), max_examples=20)


@pytest.mark.parametrize(
    ("statement", "condition"),
    [
        ("SAVE_CHECKS", " AND s.lease_id = u.lease_id"),
        ("CLAIM_DUE", "AND (due.leased_until IS NULL OR due.leased_until <= %(now)s::timestamptz)"),
        ("LOAD", " AND s.lease_id = %(lease_id)s::uuid AND s.next_check_at IS NOT NULL"),
        ("RELEASE", " AND lease_id = %(lease_id)s::uuid"),
    ],
)
def test_a_broken_fence_is_found(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, statement: str, condition: str
) -> None:
    whole = getattr(store, statement)
    assert condition in whole
    monkeypatch.setattr(store, statement, whole.replace(condition, ""))
    with pytest.raises(AssertionError):
        play(lambda: PostgresWorld(connection), max_examples=100, phases=[Phase.generate], print_blob=False)
