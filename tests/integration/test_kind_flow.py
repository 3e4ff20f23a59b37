"""A check other than HTTP on the whole way from PostgreSQL to an incident: the same claims, loads, results and decisions."""

from datetime import UTC, datetime, timedelta

import psycopg

from core.domain.outcomes import Outcome, Reason
from core.flows.websites import Finished, apply_results, claim_due, load
from tests.probing import checking, run
from tests.talking import hosting, saying
from tests.websites import make_website, make_workspace


async def check_once(connection: psycopg.Connection, at: datetime) -> Finished:
    jobs, spoilt = load(connection, claim_due(connection, at, horizon=timedelta(seconds=1.5), limit=10), at)
    assert not spoilt
    (job,) = jobs
    async with checking() as engine:
        done = Finished(job, await engine.probe(job.request))
    applied = apply_results(connection, [done], at)
    assert (len(applied.judged), applied.stale) == (1, 0)
    return done


def test_a_tcp_check_goes_down_and_up_like_any_other(connection: psycopg.Connection) -> None:
    async def test() -> None:
        now = datetime.now(UTC)
        workspace = make_workspace(connection, now)
        async with hosting(saying(b"+OK ready")) as server:
            url, options = f"tcp://127.0.0.1:{server.port}", '{"tcp": {"expect": "+OK"}}'
            monitor_id = make_website(connection, workspace, now, url=url, options=options)
            assert (await check_once(connection, now)).result.outcome is Outcome.UP
        for minutes in (2, 4):
            done = await check_once(connection, now + timedelta(minutes=minutes))
            assert (done.result.outcome, done.result.reason) == (Outcome.DOWN, Reason.CONNECT_REFUSED)

        rows = connection.execute(
            "SELECT outcome, reason, status_code, connect_us IS NOT NULL, first_byte_us IS NOT NULL FROM check_result"
            " WHERE monitor_id = %s ORDER BY checked_at",
            (monitor_id,),
        ).fetchall()
        assert rows[0] == (Outcome.UP, Reason.OK, None, True, True)
        assert [row[:2] for row in rows[1:]] == [(Outcome.DOWN, Reason.CONNECT_REFUSED)] * 2
        incident = connection.execute("SELECT reason, detail FROM incident WHERE monitor_id = %s", (monitor_id,)).fetchone()
        assert incident is not None
        assert "127.0.0.1" in incident[1]

    run(test)
