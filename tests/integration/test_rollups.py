"""Uptime in SQL against a reference that looks at every second; rollups that catch up, mend themselves and change nothing twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.adapters.store import partitions, unknown_silence
from core.adapters.store.uptime import rolled_until
from core.domain.outcomes import Outcome, Reason
from core.domain.uptime import DAY, HOUR, Span, Tally
from core.flows.rollups import Rolled, aggregate
from core.flows.uptime import measure_uptime
from tests.websites import make_workspace

START = datetime(2026, 11, 20, 21, tzinfo=UTC)
SECOND = timedelta(seconds=1)
INTERVAL_S, RETRY_S, TIMEOUT_S = 300, 30, 10
TOLERANCE_S = INTERVAL_S + RETRY_S + TIMEOUT_S


@dataclass(frozen=True)
class Life:
    """What happened to a monitor, in seconds after `START`: checks with outcomes, incidents, pauses, maintenance (end None: lasting).

    From `silences` on nothing is known, until the next check.
    """

    checks: Sequence[tuple[int, Outcome]] = ()
    incidents: Sequence[tuple[int, int | None]] = ()
    pauses: Sequence[tuple[int, int | None]] = ()
    windows: Sequence[tuple[int, int | None]] = ()
    silences: Sequence[int] = ()


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def make_monitor(connection: psycopg.Connection, kind: str = "website", created_at: datetime = START) -> int:
    workspace = make_workspace(connection, created_at)
    row = connection.execute(
        """INSERT INTO monitor (uid, workspace_id, kind, name, tags, created_at, updated_at)
        VALUES (%s, %s, %s, 'm', '{}', %s, %s) RETURNING id""",
        (uuid4(), workspace, kind, created_at, created_at),
    ).fetchone()
    assert row
    if kind == "website":
        connection.execute(
            """INSERT INTO website (monitor_id, url, method, interval_s, retry_interval_s, timeout_ms, failure_threshold,
                recovery_threshold, accepted_status, follow_redirects, max_redirects, verify_tls, config_version)
            VALUES (%s, 'http://192.0.2.1/', 'GET', %s, %s, %s, 3, 1, '200-299', true, 10, true, 1)""",
            (row[0], INTERVAL_S, RETRY_S, TIMEOUT_S * 1000),
        )
    monitor_id: int = row[0]
    return monitor_id


def check(
    connection: psycopg.Connection, monitor_id: int, when: datetime, outcome: Outcome = Outcome.UP, us: int | None = 1000
) -> None:
    connection.execute(
        "INSERT INTO check_result (monitor_id, checked_at, outcome, reason, total_us) VALUES (%s, %s, %s, %s, %s)",
        (monitor_id, when, outcome, Reason.OK, us),
    )


def open_incident(connection: psycopg.Connection, monitor_id: int, began: datetime) -> UUID:
    incident = uuid4()
    connection.execute(
        """INSERT INTO incident (id, monitor_id, workspace_id, reason, detail, began_at, opened_at)
        SELECT %s, id, workspace_id, 21, '', %s, %s FROM monitor WHERE id = %s""",
        (incident, began, began, monitor_id),
    )
    return incident


def resolve(connection: psycopg.Connection, incident: UUID, when: datetime) -> None:
    connection.execute("UPDATE incident SET resolved_at = %s WHERE id = %s", (when, incident))


def pause(connection: psycopg.Connection, monitor_id: int, when: datetime) -> None:
    connection.execute("UPDATE monitor SET paused_at = %s, updated_at = %s WHERE id = %s", (when, when, monitor_id))


def resume(connection: psycopg.Connection, monitor_id: int, when: datetime) -> None:
    connection.execute("UPDATE monitor SET paused_at = NULL, updated_at = %s WHERE id = %s", (when, monitor_id))


def maintain(connection: psycopg.Connection, monitor_id: int, starts_at: datetime, ends_at: datetime | None) -> UUID:
    """A window of a day's time at most, or one that begins then and comes back daily for all of the day."""
    window_id, lasting = uuid4(), ends_at is None
    connection.execute(
        """INSERT INTO maintenance_window (id, workspace_id, name, kind, starts_at, ends_at, weekdays, start_time, duration_s, cron,
            time_zone, all_monitors, monitors, tags, created_at, updated_at)
        SELECT %s, workspace_id, 'w', %s, %s, %s, '{0,1,2,3,4,5,6}', '00:00', 86400, '', 'Asia/Kolkata', false, ARRAY[uid], '{}', %s, %s
        FROM monitor WHERE id = %s""",
        (window_id, "weekly" if lasting else "once", starts_at, ends_at, starts_at, starts_at, monitor_id),
    )
    return window_id


def silent(connection: psycopg.Connection, monitor_id: int, when: datetime) -> None:
    unknown_silence.note(connection, [(monitor_id, when)])


def live(connection: psycopg.Connection, life: Life) -> int:
    monitor_id = make_monitor(connection)
    for starts, ends in life.windows:
        maintain(connection, monitor_id, at(starts), None if ends is None else at(ends))
    for second, outcome in life.checks:
        check(connection, monitor_id, at(second), outcome)
    for second in life.silences:
        silent(connection, monitor_id, at(second))
    for began, resolved in life.incidents:
        incident = open_incident(connection, monitor_id, at(began))
        if resolved is not None:
            resolve(connection, incident, at(resolved))
    for paused, resumed in life.pauses:
        pause(connection, monitor_id, at(paused))
        if resumed is not None:
            resume(connection, monitor_id, at(resumed))
    return monitor_id


def reference(life: Life, start: int, end: int) -> dict[str, int]:
    """Seconds of each kind in `[start, end)`, one second after the other."""
    seconds = {"up": 0, "down": 0, "unknown": 0, "maintenance": 0}
    if not life.checks:
        return seconds
    first = min(second for second, _ in life.checks)
    seen = dict.fromkeys(life.silences, False) | {second: outcome is not Outcome.UNKNOWN for second, outcome in life.checks}
    seen |= {resumed: True for _, resumed in life.pauses if resumed is not None}  # at the same second as an unknown check, too
    latest, known = first, False
    for second in range(first, end):
        if second in seen:
            latest, known = second, seen[second]
        if second < start or within(second, life.pauses):
            continue
        if within(second, life.windows):
            seconds["maintenance"] += 1
        elif within(second, life.incidents):
            seconds["down"] += 1
        elif known and second < latest + TOLERANCE_S:
            seconds["up"] += 1
        else:
            seconds["unknown"] += 1
    return seconds


def within(second: int, spans: Sequence[tuple[int, int | None]]) -> bool:
    return any(began <= second and (ended is None or second < ended) for began, ended in spans)


def in_seconds(tally: Tally) -> dict[str, float]:
    kinds = {"up": tally.up_ms, "down": tally.down_ms, "unknown": tally.unknown_ms, "maintenance": tally.maintenance_ms}
    return {kind: ms / 1000 for kind, ms in kinds.items()}


def measured(connection: psycopg.Connection, monitor_id: int, start: datetime, end: datetime) -> Tally:
    return measure_uptime(connection, monitor_id, START, Span(start, end))


def hourly(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM rollup_hourly ORDER BY monitor_id, hour").fetchall()


LENGTH = 6 * 3600
TIMES = st.integers(0, LENGTH - 1)


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[int, int | None]]:
    """Up to three spans, one after the other, the last perhaps without an end."""
    marks = sorted(draw(st.lists(TIMES, max_size=6, unique=True)))
    pairs: list[tuple[int, int | None]] = list(zip(marks[::2], marks[1::2], strict=False))
    return [*pairs, (marks[-1], None)] if len(marks) % 2 else pairs


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Regular checks with holes, and some out of turn: what a website can see in six hours."""
    phase, outcomes = draw(st.integers(0, INTERVAL_S - 1)), st.sampled_from(list(Outcome))
    regular = range(phase, LENGTH, INTERVAL_S)
    holes = draw(spans())
    checks = {second: Outcome.UP for second in regular if not within(second, holes)}
    checks |= draw(st.dictionaries(TIMES, outcomes, max_size=12))
    silences = draw(st.lists(TIMES, max_size=3, unique=True))
    return Life(sorted(checks.items()), draw(spans()), draw(spans()), draw(spans()), sorted(silences))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=lives(), rolled_at=st.integers(0, LENGTH), edges=st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] < pair[1]))
def test_any_life_is_measured_as_second_by_second(
    connection: psycopg.Connection, life: Life, rolled_at: int, edges: tuple[int, int]
) -> None:
    """Midnight is three hours after the start: ranges go over days, hours and facts, rolled up or not."""
    with connection.transaction(force_rollback=True):
        monitor_id = live(connection, life)
        aggregate(connection, at(rolled_at))
        for start, end in (edges, (0, LENGTH)):
            tally = measured(connection, monitor_id, at(start), at(end))
            assert in_seconds(tally) == reference(life, start, end)
            paused = sum(within(s, life.pauses) for s in range(max(start, min([s for s, _ in life.checks], default=end)), end))
            watched = max(end - max(start, min([s for s, _ in life.checks], default=end)), 0)
            assert tally.counted_ms == 1000 * (watched - paused)
            assert tally.results == sum(start <= second < end for second, _ in life.checks)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(life=lives(), runs=st.lists(st.integers(0, LENGTH + 7200), max_size=4).map(sorted), delay=st.integers(0, 2 * 3600))
def test_what_comes_late_is_found_by_the_next_runs(
    connection: psycopg.Connection, life: Life, runs: list[int], delay: int
) -> None:
    """Results and incidents are stored up to two hours after they happened, with runs in between; the last run sees them all."""
    with connection.transaction(force_rollback=True):
        monitor_id = make_monitor(connection)
        checks, windows, silences = list(life.checks), list(life.windows), list(life.silences)
        opened: dict[int, UUID] = {}
        for now in [*runs, LENGTH + 3 * 3600]:
            while checks and checks[0][0] + delay <= now:
                second, outcome = checks.pop(0)
                check(connection, monitor_id, at(second), outcome)
            while windows and windows[0][0] + delay <= now:
                starts, ends = windows.pop(0)
                maintain(connection, monitor_id, at(starts), None if ends is None else at(ends))
            while silences and silences[0] + delay <= now:
                silent(connection, monitor_id, at(silences.pop(0)))
            for began, resolved in life.incidents:
                if began not in opened and began + delay <= now:
                    opened[began] = open_incident(connection, monitor_id, at(began))
                if resolved is not None and began in opened and resolved + delay <= now:
                    resolve(connection, opened[began], at(resolved))
            aggregate(connection, at(now))
        known = Life(life.checks, life.incidents, windows=life.windows, silences=life.silences)
        whole = measured(connection, monitor_id, at(0), at(LENGTH))
        assert in_seconds(whole) == reference(known, 0, LENGTH)


def test_the_open_hour_and_one_that_settles_are_left_to_the_facts(connection: psycopg.Connection) -> None:
    monitor_id = live(connection, Life([(10, Outcome.UP), (3605, Outcome.UP)]))
    assert aggregate(connection, at(3600 + 60)) == Rolled(0, 0)
    assert aggregate(connection, at(3600 + 130)) == Rolled(1, 0)
    assert rolled_until(connection) == at(3600)
    assert aggregate(connection, at(3600 + 900)) == Rolled(0, 0)
    assert measured(connection, monitor_id, at(0), at(3700)).results == 2


def test_doing_it_again_changes_nothing(connection: psycopg.Connection) -> None:
    live(
        connection, Life([(n, Outcome.UP) for n in range(0, 8 * 3600, 300)], incidents=[(4000, 9000)], pauses=[(12_000, 15_000)])
    )
    aggregate(connection, at(8 * 3600))
    before = hourly(connection), connection.execute("SELECT * FROM rollup_daily").fetchall()
    connection.execute("DELETE FROM rolled_hour")
    assert aggregate(connection, at(8 * 3600)).hours == 7
    assert (hourly(connection), connection.execute("SELECT * FROM rollup_daily").fetchall()) == before


def test_after_days_off_each_run_does_a_bounded_part(connection: psycopg.Connection) -> None:
    live(connection, Life([(n, Outcome.UP) for n in range(0, 5 * 86_400, 300)]))
    now = at(5 * 86_400 + 200)
    assert aggregate(connection, now, limit=48) == Rolled(48, 0)
    assert rolled_until(connection) == at(48 * 3600)
    assert aggregate(connection, now, limit=48) == Rolled(48, 0)
    assert aggregate(connection, now, limit=48) == Rolled(24, 0)
    assert connection.execute("SELECT day::text, up_ms, results FROM rollup_daily ORDER BY day").fetchall() == [
        ("2026-11-20", 3 * 3_600_000, 36),
        *[(f"2026-11-{day}", 86_400_000, 288) for day in range(21, 25)],
    ]


def test_an_incident_that_is_known_late_mends_the_hours_and_days_behind_it(connection: psycopg.Connection) -> None:
    """The core was off; the job had failed two days ago, and the success that ended it arrives with the backlog."""
    monitor_id = live(connection, Life([(n, Outcome.UP) for n in range(0, 2 * 86_400, 300)]))
    other = live(connection, Life([(n, Outcome.UP) for n in range(0, 2 * 86_400, 300)]))
    now = at(2 * 86_400 + 300)
    aggregate(connection, now, limit=100)
    incident = open_incident(connection, monitor_id, at(1800))
    assert aggregate(connection, now, limit=100) == Rolled(0, 48)
    assert measured(connection, monitor_id, at(0), at(2 * 86_400)).down_ms == (2 * 86_400 - 1800) * 1000
    resolve(connection, incident, at(5400))
    assert aggregate(connection, now, limit=10) == Rolled(0, 10)
    assert aggregate(connection, now, limit=100) == Rolled(0, 37)
    tally = measured(connection, monitor_id, at(0), at(2 * 86_400))
    assert in_seconds(tally) == {"up": 2 * 86_400 - 3600, "down": 3600, "unknown": 0, "maintenance": 0}
    assert measured(connection, other, at(0), at(2 * 86_400)).up_ms == 2 * 86_400_000
    assert connection.execute("SELECT count(*) FROM rollup_stale").fetchone() == (0,)


def test_hours_whose_facts_are_gone_are_not_written_anew(connection: psycopg.Connection) -> None:
    monitor_id = live(connection, Life([(n, Outcome.UP) for n in range(0, 2 * 86_400, 300)]))
    aggregate(connection, at(2 * 86_400 + 300))
    before = hourly(connection)
    connection.execute("DELETE FROM check_result WHERE checked_at < %s", (at(86_400),))
    partitions.ensure_day(connection, "check_result", at(86_400).date())
    open_incident(connection, monitor_id, at(1800))
    aggregate(connection, at(2 * 86_400 + 300), limit=100)
    kept = [row for row in hourly(connection) if row[1] < datetime(2026, 11, 21, tzinfo=UTC)]  # type: ignore[operator]  # a time
    assert kept == before[: len(kept)]
    assert len(kept) == 3


def test_a_heartbeat_is_up_from_its_first_ping_but_for_incidents_and_pauses(connection: psycopg.Connection) -> None:
    monitor_id = make_monitor(connection, "heartbeat")
    for second in (600, 90_000):
        connection.execute(
            """INSERT INTO ping (id, monitor_id, sequence, pinged_at, kind, method, source_ip, user_agent, body_size, body_truncated)
            VALUES (gen_random_uuid(), %s, 1, %s, 'success', 'GET', '', '', 0, false)""",
            (monitor_id, at(second)),
        )
    resolve(connection, open_incident(connection, monitor_id, at(40_000)), at(50_000))
    pause(connection, monitor_id, at(60_000))
    resume(connection, monitor_id, at(70_000))
    for now in (0, 2 * 86_400):
        aggregate(connection, at(now))
        tally = measured(connection, monitor_id, at(0), at(86_400))
        assert in_seconds(tally) == {"up": 86_400 - 600 - 20_000, "down": 10_000, "unknown": 0, "maintenance": 0}
        assert (tally.results, tally.responses.count) == (1, 0)


def test_response_times_are_those_of_successful_checks(connection: psycopg.Connection) -> None:
    monitor_id = make_monitor(connection)
    durations = [1, 900, 25_000, 25_000, 31_000, 90_000, 2_000_000, 60_000_000]
    for n, us in enumerate(durations * 10):
        check(connection, monitor_id, at(n * 300), us=us)
    check(connection, monitor_id, at(500), Outcome.DOWN, us=10_000_000)
    check(connection, monitor_id, at(501), Outcome.UNKNOWN, us=None)
    for now in (0, 86_400):
        aggregate(connection, at(now))
        times = measured(connection, monitor_id, at(0), at(80 * 300)).responses
        assert (times.count, times.min_us, times.max_us, times.sum_us) == (80, 1, 60_000_000, sum(durations) * 10)
        for share, exact in ((0.1, 1), (0.5, 25_000), (0.75, 90_000), (0.85, 2_000_000), (1.0, 60_000_000)):
            assert times.percentile_us(share) == pytest.approx(exact, rel=0.048)


def test_nothing_is_rolled_up_without_monitors_and_deleted_ones_leave_no_days(connection: psycopg.Connection) -> None:
    assert aggregate(connection, at(86_400)) == Rolled(0, 0)
    monitor_id = live(connection, Life([(n, Outcome.UP) for n in range(0, 86_400, 300)]))
    aggregate(connection, at(86_400))
    connection.execute("DELETE FROM website")
    connection.execute("DELETE FROM monitor WHERE id = %s", (monitor_id,))
    assert connection.execute("SELECT count(*) FROM rollup_daily").fetchone() == (0,)
    aggregate(connection, at(86_400 + 2 * 3600))
    row = connection.execute("SELECT max(hour) FROM rollup_hourly").fetchone()
    assert row
    assert row[0] < at(86_400)


def test_a_pause_before_the_first_check_begins_nothing(connection: psycopg.Connection) -> None:
    life = Life([(5000, Outcome.UP)], pauses=[(100, 4000)])
    monitor_id = live(connection, life)
    aggregate(connection, at(3 * 3600))
    assert in_seconds(measured(connection, monitor_id, at(0), at(2 * 3600))) == reference(life, 0, 2 * 3600)


def test_rolled_hours_and_days_are_what_the_reader_uses(connection: psycopg.Connection) -> None:
    """Facts that disagree with the rollups are not looked at."""
    monitor_id = live(connection, Life([(n, Outcome.UP) for n in range(0, 3 * 86_400, 300)]))
    aggregate(connection, at(3 * 86_400 + 200), limit=100)
    connection.execute("DELETE FROM check_result")
    tally = measured(connection, monitor_id, at(0), START + 3 * DAY + HOUR)
    assert tally.up_ms == (3 * 86_400 + INTERVAL_S + RETRY_S + TIMEOUT_S - 300) * 1000
    assert tally.results == 3 * 288


def test_measuring_one_monitor_opens_only_the_days_that_it_needs(connection: psycopg.Connection) -> None:
    """Statements that compute their bounds would have PostgreSQL plan for hundreds of partitions, for fifty milliseconds."""
    monitor_id = live(connection, Life([(n, Outcome.UP) for n in range(0, 7200, 300)]))
    for parent in partitions.DAY_TABLES:
        for n in range(20):
            partitions.ensure_day(connection, parent, (START + n * DAY).date())
    aggregate(connection, at(4000))
    connection.commit()
    assert measured(connection, monitor_id, at(0), at(7000)).results == 24
    seen = {"name": r"(check_result|ping|rollup_hourly)_2026\d{4}$"}
    query = """SELECT count(DISTINCT relation) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
        WHERE l.pid = pg_backend_pid() AND c.relname ~ %(name)s AND l.mode = 'AccessShareLock'"""
    row = connection.execute(query, seen).fetchone()
    assert row
    assert row[0] <= 3


class TestWindowsAfterTheFact:
    DAYS = 4
    NOW = at(4 * 86_400 + 300)

    @pytest.fixture
    def monitor_id(self, connection: psycopg.Connection) -> int:
        """Four days up, but for two hours on the first and two on the third day; all rolled up."""
        incidents = [(3600, 3 * 3600), (2 * 86_400 + 3600, 2 * 86_400 + 3 * 3600)]
        monitor_id = live(connection, Life([(n, Outcome.UP) for n in range(0, self.DAYS * 86_400, 300)], incidents))
        live(connection, Life([(0, Outcome.UP)]))
        aggregate(connection, self.NOW, limit=200)
        return monitor_id

    def seconds(self, connection: psycopg.Connection, monitor_id: int) -> tuple[float, float]:
        """Down and in maintenance, over all days."""
        tally = measured(connection, monitor_id, at(0), at(self.DAYS * 86_400))
        return tally.down_ms / 1000, tally.maintenance_ms / 1000

    def test_a_window_takes_its_time_from_the_downtime_and_gives_it_back(
        self, connection: psycopg.Connection, monitor_id: int
    ) -> None:
        assert self.seconds(connection, monitor_id) == (4 * 3600, 0)
        window_id = maintain(connection, monitor_id, at(2 * 3600), at(4 * 3600))
        mended = aggregate(connection, self.NOW, limit=200).mended
        assert mended == 25, "from its beginning to the end of the day in which it ends, not to the present"
        assert self.seconds(connection, monitor_id) == (3 * 3600, 2 * 3600)
        connection.execute("UPDATE maintenance_window SET ends_at = %s WHERE id = %s", (at(3 * 3600), window_id))
        aggregate(connection, self.NOW, limit=200)
        assert self.seconds(connection, monitor_id) == (3 * 3600, 3600)
        connection.execute("UPDATE maintenance_window SET name = 'another'")
        assert aggregate(connection, self.NOW, limit=200) == Rolled(0, 0), "a name is no fact"
        connection.execute("DELETE FROM maintenance_window")
        aggregate(connection, self.NOW, limit=200)
        assert self.seconds(connection, monitor_id) == (4 * 3600, 0)

    def test_ending_a_repetition_leaves_what_was_before(self, connection: psycopg.Connection, monitor_id: int) -> None:
        maintain(connection, monitor_id, at(0), None)
        aggregate(connection, self.NOW, limit=200)
        assert self.seconds(connection, monitor_id) == (0, self.DAYS * 86_400)
        connection.execute("UPDATE maintenance_window SET ends_at = %s", (at(2 * 86_400),))
        assert aggregate(connection, self.NOW, limit=200).mended == 2 * 24
        assert self.seconds(connection, monitor_id) == (2 * 3600, 2 * 86_400)

    def test_a_monitor_that_leaves_a_window_gets_its_time_back(self, connection: psycopg.Connection, monitor_id: int) -> None:
        maintain(connection, monitor_id, at(3600), at(2 * 3600))
        aggregate(connection, self.NOW, limit=200)
        connection.execute("UPDATE maintenance_window SET monitors = ARRAY[gen_random_uuid()]")
        aggregate(connection, self.NOW, limit=200)
        assert self.seconds(connection, monitor_id) == (4 * 3600, 0)

    def test_a_window_that_is_still_to_come_mends_nothing(self, connection: psycopg.Connection, monitor_id: int) -> None:
        maintain(connection, monitor_id, self.NOW + DAY, self.NOW + 2 * DAY)
        assert aggregate(connection, self.NOW, limit=200) == Rolled(0, 0)
        assert connection.execute("SELECT count(*) FROM rollup_stale").fetchone() == (0,)
