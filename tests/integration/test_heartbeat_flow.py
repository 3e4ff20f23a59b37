"""Pings into PostgreSQL, silence against the edge, and the sweep of pending pings."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Composed

from core.adapters.database import Pool, open_pool
from core.adapters.heartbeat_table import EdgeUnreachable, HeartbeatTable
from core.adapters.ping_bodies import PingBodies
from core.adapters.store import heartbeats as store
from core.contracts import events
from core.contracts.heartbeat_keys import STATE_SORT_KEY, pending_partition, ping_sort_key, run_attribute
from core.contracts.heartbeat_table import HeartbeatItem, PendingItem, PingItem
from core.contracts.names import Names
from core.domain.heartbeat import HeartbeatState
from core.domain.heartbeat_runs import WITHOUT_ID, Run, Runs
from core.domain.heartbeat_watch import EdgeStamp, EdgeState, Projection
from core.domain.transitions import CameUp, WentDown
from core.flows.heartbeats import SWEEP_AFTER, apply_pings, sweep_pending
from core.flows.silence import Detector
from tests.aws_stand_in import REGION, AwsStandIn
from tests.fakes import FakeBus
from tests.heartbeats import make_heartbeat, minutes, pinged

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WORKSPACE = UUID("0190f5c2-0000-7000-8000-000000000000")
RUN = UUID("6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506")


@pytest.fixture
def uid(connection: psycopg.Connection) -> UUID:
    made = make_heartbeat(connection, NOON)
    connection.commit()
    return made


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool]:
    opened = open_pool(database_url, application="test", size=4)
    yield opened
    opened.close()


@pytest.fixture
def table(aws: AwsStandIn) -> HeartbeatTable:
    return HeartbeatTable(aws.names, REGION, pause=lambda _: None)


def state_of(connection: psycopg.Connection, uid: UUID) -> dict[str, Any]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        row = cursor.execute(
            "SELECT s.*, m.paused_at FROM heartbeat_state s JOIN monitor m ON m.id = s.monitor_id WHERE m.uid = %s", (uid,)
        ).fetchone()
    assert row
    connection.commit()
    return row


def count(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {query}").fetchone()
    assert row
    return int(row[0])


def at_edge(uid: UUID, sequence: int, **times: datetime) -> None:
    """The edge's item with the latest ping of some kinds, all with the same sequence."""
    item = HeartbeatItem(str(uid), STATE_SORT_KEY, workspace_id=str(WORKSPACE), sequence=sequence)
    for kind, at in times.items():
        setattr(item, f"last_{kind}_at", int(at.timestamp() * 1000))
        setattr(item, f"last_{kind}_sequence", sequence)
    item.save()


def pend(ping: events.Detail[events.HeartbeatPinged]) -> None:
    ping_id = str(ping.data.ping_id)
    PendingItem(
        pending_partition(ping_id),
        ping_id,
        pinged_at=int(ping.data.pinged_at.timestamp() * 1000),
        detail=events.encode(ping.metadata, ping.data),
        expires_at=2_000_000_000,
    ).save()


@pytest.mark.parametrize("module", [store])
def test_every_statement_fits_the_migrated_schema(connection: psycopg.Connection, module: ModuleType) -> None:
    for name, statement in vars(module).items():
        if name[0] != "_" and name.isupper() and isinstance(statement, str | SQL | Composed):
            text = statement if isinstance(statement, str) else statement.as_string(connection)
            parts = text.split("%s")
            numbered = "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], start=1)) + parts[-1]
            connection.execute(f"PREPARE {name.lower()} AS {numbered}".encode())


def test_a_ping_is_stored_and_brings_its_heartbeat_up(connection: psycopg.Connection, uid: UUID) -> None:
    ping = pinged(uid, 1, NOON)
    applied = apply_pings(connection, [ping], NOON + minutes(9))
    state = state_of(connection, uid)
    assert (state["state"], state["last_ping_at"], state["pings"], state["last_sequence"]) == ("up", NOON, 1, 1)
    assert state["deadline_at"] == NOON + minutes(65), "deadlines count from the ping, not from its arrival"
    assert applied.alert_ids == []
    assert [(counted.ping.ping_id, counted.heartbeat.monitor.uid) for counted in applied.pings] == [(ping.data.ping_id, uid)]
    stored = connection.execute("SELECT id, sequence, kind, method, source_ip, user_agent FROM ping").fetchall()
    assert stored == [(ping.data.ping_id, 1, "success", "GET", "203.0.113.9", "curl/8")]


def test_a_ping_delivered_again_counts_once(connection: psycopg.Connection, uid: UUID) -> None:
    ping = pinged(uid, 1, NOON)
    apply_pings(connection, [ping, ping], NOON)
    again = apply_pings(connection, [ping], NOON)
    assert (again.pings, again.transitions) == ([], [])
    assert (state_of(connection, uid)["pings"], count(connection, "ping")) == (1, 1)


def test_pings_of_a_deleted_heartbeat_are_dropped(connection: psycopg.Connection, uid: UUID) -> None:
    applied = apply_pings(connection, [pinged(uuid4(), 1, NOON), pinged(uid, 1, NOON)], NOON)
    assert len(applied.pings) == 1
    assert apply_pings(connection, [pinged(uuid4(), 1, NOON)], NOON).pings == []


def test_a_batch_out_of_order_is_applied_in_order(connection: psycopg.Connection, uid: UUID) -> None:
    pings = [pinged(uid, n, NOON + minutes(n), "fail" if n % 2 else "success", 2 if n % 2 else None) for n in range(1, 6)]
    applied = apply_pings(connection, list(reversed(pings)), NOON + minutes(6))
    assert [type(transition) for transition in applied.transitions] == [WentDown, CameUp, WentDown, CameUp, WentDown]
    assert len(applied.alert_ids) == 5
    assert state_of(connection, uid)["state"] == "down"
    incidents = connection.execute("SELECT began_at, resolved_at, detail FROM incident ORDER BY began_at").fetchall()
    assert incidents == [
        (NOON + minutes(1), NOON + minutes(2), "the job ended with exit status 2"),
        (NOON + minutes(3), NOON + minutes(4), "the job ended with exit status 2"),
        (NOON + minutes(5), None, "the job ended with exit status 2"),
    ]


def test_one_batch_of_many_heartbeats(connection: psycopg.Connection) -> None:
    uids = [make_heartbeat(connection, NOON, f"h{n}") for n in range(20)]
    applied = apply_pings(connection, [pinged(uid, 1, NOON, "fail") for uid in reversed(uids)], NOON)
    assert (len(applied.alert_ids), count(connection, "incident"), count(connection, "outbox")) == (20, 20, 20)


def test_two_consumers_with_the_same_pings_apply_them_once(pool: Pool, connection: psycopg.Connection) -> None:
    uids = [make_heartbeat(connection, NOON, f"h{n}") for n in range(10)]
    connection.commit()
    pings = [pinged(uid, n, NOON + minutes(n), "fail" if n % 2 else "success") for n in range(1, 5) for uid in uids]
    barrier = threading.Barrier(4)

    def consume(order: int) -> None:
        barrier.wait()
        with pool.connection() as own:
            apply_pings(own, pings if order % 2 else pings[::-1], NOON + minutes(9))

    consumers = [threading.Thread(target=consume, args=(n,)) for n in range(4)]
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.join()
    assert count(connection, "ping") == 40
    assert count(connection, "heartbeat_state WHERE pings = 4 AND state = 'up'") == 10
    assert (count(connection, "incident"), count(connection, "incident WHERE resolved_at IS NULL")) == (20, 0)


def test_a_ping_resumes_a_paused_heartbeat(connection: psycopg.Connection, uid: UUID) -> None:
    connection.execute("UPDATE monitor SET paused_at = %s WHERE uid = %s", (NOON, uid))
    apply_pings(connection, [pinged(uid, 1, NOON - minutes(1)), pinged(uid, 2, NOON + minutes(1), "log")], NOON + minutes(2))
    assert (state_of(connection, uid)["paused_at"], state_of(connection, uid)["deadline_at"]) == (NOON, None)
    apply_pings(connection, [pinged(uid, 3, NOON + minutes(3))], NOON + minutes(3))
    state = state_of(connection, uid)
    assert (state["paused_at"], state["state"], state["deadline_at"]) == (None, "up", NOON + minutes(68))


def test_silence_opens_an_incident_and_a_ping_ends_it(
    pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, uid: UUID
) -> None:
    at_edge(uid, 1, success=NOON)
    apply_pings(connection, [pinged(uid, 1, NOON)], NOON)
    connection.commit()
    assert Detector(pool, table).judge_due(NOON + minutes(65)).alert_ids == [], "the margin has not passed"
    missed = Detector(pool, table).judge_due(NOON + minutes(66))
    assert [type(transition) for transition in missed.transitions] == [WentDown]
    [incident] = connection.execute("SELECT began_at, detail, resolved_at FROM incident").fetchall()
    assert (incident[0], incident[2]) == (NOON + minutes(65), None)
    assert incident[1].startswith("expected at 13:00 UTC (every 1 h), grace 5 min, last ping 12:00")
    connection.commit()
    assert Detector(pool, table).judge_due(NOON + minutes(99)).transitions == [], "missed once is missed"
    back = apply_pings(connection, [pinged(uid, 2, NOON + minutes(100))], NOON + minutes(100))
    assert ([type(transition) for transition in back.transitions], len(back.alert_ids)) == ([CameUp], 1)
    assert connection.execute("SELECT resolved_at FROM incident").fetchone() == (NOON + minutes(100),)


def test_a_newer_ping_at_the_edge_postpones(pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, uid: UUID) -> None:
    at_edge(uid, 2, success=NOON + minutes(60))
    apply_pings(connection, [pinged(uid, 1, NOON)], NOON)
    connection.commit()
    assert Detector(pool, table).judge_one(uid, NOON + minutes(66)).transitions == []
    state = state_of(connection, uid)
    assert (state["state"], state["deadline_at"], state["last_sequence"]) == ("up", NOON + minutes(125), 1)


def edge_run(table: HeartbeatTable, uid: UUID, rid: UUID, action: str) -> None:
    """What the ping Lambda does with a start or an end that has a run id."""
    values: Any = {":run": {"M": {"at": {"N": str(int(NOON.timestamp() * 1000))}, "sequence": {"N": "2"}}}}
    table._client.update_item(
        TableName=table._name,
        Key={"pk": {"S": str(uid)}, "sk": {"S": STATE_SORT_KEY}},
        UpdateExpression="SET #run = :run" if action == "start" else "REMOVE #run",
        ExpressionAttributeNames={"#run": run_attribute(str(rid))},
        **({"ExpressionAttributeValues": values} if action == "start" else {}),
    )


@pytest.mark.parametrize("ended_at_the_edge", [False, True])
def test_a_run_that_hangs_among_healthy_ones_is_found_unless_its_end_is_on_its_way(
    pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, uid: UUID, *, ended_at_the_edge: bool
) -> None:
    at_edge(uid, 3, success=NOON + minutes(4))
    edge_run(table, uid, RUN, "start")
    other = UUID(int=9)
    pings = [
        pinged(uid, 1, NOON, "start", rid=other),
        pinged(uid, 2, NOON, "start", rid=RUN),
        pinged(uid, 3, NOON + minutes(4), rid=other),
    ]
    apply_pings(connection, pings, NOON + minutes(4))
    connection.commit()
    assert state_of(connection, uid)["deadline_at"] == NOON + minutes(5), "as long as the grace"
    if ended_at_the_edge:
        edge_run(table, uid, RUN, "success")
    applied = Detector(pool, table).judge_due(NOON + minutes(6))
    state = state_of(connection, uid)
    if ended_at_the_edge:
        assert (applied.transitions, state["state"], state["due_at"]) == ([], "up", NOON + minutes(64))
    else:
        [down] = applied.transitions
        assert isinstance(down, WentDown)
        assert down.detail == f"run {RUN} started at 12:00 UTC and did not end within 5 min"
        assert (state["state"], state["runs"]) == ("down", None)


class MovingTable(HeartbeatTable):
    """Lets a ping be processed between the detector's look and its verdict."""

    def __init__(self, names: Names, region: str, meanwhile: Any) -> None:
        super().__init__(names, region)
        self._meanwhile = meanwhile

    def latest(self, uids: Any) -> dict[UUID, EdgeState]:
        found = super().latest(uids)
        self._meanwhile()
        return found


def test_a_ping_that_overtakes_the_verdict_wins(aws: AwsStandIn, pool: Pool, connection: psycopg.Connection, uid: UUID) -> None:
    at_edge(uid, 1, success=NOON)
    apply_pings(connection, [pinged(uid, 1, NOON)], NOON)
    connection.commit()

    def ping_in_between() -> None:
        with pool.connection() as own:
            apply_pings(own, [pinged(uid, 2, NOON + minutes(65.2))], NOON + minutes(66))

    assert Detector(pool, MovingTable(aws.names, REGION, ping_in_between)).judge_due(NOON + minutes(66)).transitions == []
    assert state_of(connection, uid)["state"] == "up"


def test_a_log_in_between_is_not_forgotten_by_the_verdict(
    aws: AwsStandIn, pool: Pool, connection: psycopg.Connection, uid: UUID
) -> None:
    at_edge(uid, 1, success=NOON)
    apply_pings(connection, [pinged(uid, 1, NOON)], NOON)
    connection.commit()

    def log_in_between() -> None:
        with pool.connection() as own:
            apply_pings(own, [pinged(uid, 2, NOON + minutes(65), "log")], NOON + minutes(66))

    assert len(Detector(pool, MovingTable(aws.names, REGION, log_in_between)).judge_due(NOON + minutes(66)).transitions) == 1
    assert (state_of(connection, uid)["state"], state_of(connection, uid)["pings"]) == ("down", 2)


def test_a_paused_heartbeat_is_not_judged(pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, uid: UUID) -> None:
    apply_pings(connection, [pinged(uid, 1, NOON)], NOON)
    connection.execute("UPDATE monitor SET paused_at = %s WHERE uid = %s", (NOON + minutes(1), uid))
    connection.commit()
    assert Detector(pool, table).judge_due(NOON + minutes(999)).transitions == []


def test_an_unreachable_edge_judges_nobody(
    pool: Pool, aws: AwsStandIn, connection: psycopg.Connection, uid: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply_pings(connection, [pinged(uid, 1, NOON)], NOON)
    connection.commit()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    away = HeartbeatTable(aws.names, REGION)
    with pytest.raises(EdgeUnreachable):
        away.latest([uid])
    assert Detector(pool, away).judge_due(NOON + minutes(999)).transitions == []
    assert state_of(connection, uid)["state"] == "up"


def test_a_heartbeat_that_the_edge_lost_is_made_anew_and_not_blamed(
    pool: Pool, table: HeartbeatTable, connection: psycopg.Connection, uid: UUID
) -> None:
    apply_pings(connection, [pinged(uid, 41, NOON)], NOON)
    connection.commit()
    now = NOON + minutes(70)
    assert Detector(pool, table).judge_due(now).transitions == []
    assert state_of(connection, uid)["deadline_at"] == now + minutes(65)
    assert table.latest([uid])[uid].sequence > 41


def test_pending_pings_are_published_again_and_then_rest(table: HeartbeatTable, uid: UUID) -> None:
    old, young = pinged(uid, 1, NOON - minutes(4)), pinged(uid, 2, NOON)
    pend(old)
    pend(young)
    bus = FakeBus()
    assert sweep_pending(table, bus, NOON + SWEEP_AFTER / 2) == 1
    [published] = bus.published
    assert events.decode(events.HeartbeatPinged, published.detail) == old
    assert sweep_pending(table, bus, NOON + minutes(4)) == 1, "the old one rests as long as it was old"
    assert sweep_pending(table, bus, NOON + minutes(5)) == 1
    table.settle([old.data.ping_id, young.data.ping_id, uuid4()])
    assert sweep_pending(table, bus, NOON + minutes(600)) == 0


def test_settling_more_than_one_call_takes(table: HeartbeatTable, uid: UUID) -> None:
    pings = [pinged(uid, n, NOON) for n in range(30)]
    for ping in pings:
        pend(ping)
    table.settle(ping.data.ping_id for ping in pings)
    assert table.pending(NOON + minutes(9), SWEEP_AFTER) == []


def test_provision_rebuild_remove(table: HeartbeatTable, uid: UUID) -> None:
    table.provision(uid, WORKSPACE)
    at_edge(uid, 7, fail=NOON)
    table.provision(uid, WORKSPACE)
    assert table.latest([uid])[uid] == EdgeState(7, fail=EdgeStamp(NOON, 7), kept_sequence=7)
    behind = HeartbeatState(last_sequence=3, verdict_sequence=3, last_success_at=NOON)
    assert table.rebuild([Projection(uid, WORKSPACE, 1, behind)]) == 0
    assert table.latest([uid])[uid].sequence == 7
    runs = Runs({WITHOUT_ID: Run(12, NOON), str(RUN): Run(10, NOON - minutes(1))})
    ahead = HeartbeatState(
        last_sequence=12,
        verdict_sequence=11,
        success_sequence=11,
        end_sequence=9,
        start_sequence=12,
        last_success_at=NOON,
        runs=runs,
    )
    other = uuid4()
    assert table.rebuild([Projection(uid, WORKSPACE, 1, ahead), Projection(other, WORKSPACE, 1, HeartbeatState())]) == 2
    found = table.latest([uid, other, uuid4()])
    assert (found[uid].success, found[uid].start) == (EdgeStamp(NOON, 11), EdgeStamp(NOON, 12))
    assert (found[uid].end_sequence, found[uid].open_runs()) == (9, runs.open)
    assert found[uid].sequence > 12
    assert found[other] == EdgeState(0, kept_sequence=0)
    assert table.known() == {uid, other}
    table.remove(uid)
    table.remove(uid)
    assert table.known() == {other}


def test_many_heartbeats_are_read_in_chunks(table: HeartbeatTable) -> None:
    uids = [uuid4() for _ in range(101)]
    for uid in uids:
        table.provision(uid, WORKSPACE)
    assert set(table.latest(uids)) == set(uids)


def test_the_body_of_a_ping(table: HeartbeatTable, uid: UUID) -> None:
    with_body, without = uuid4(), uuid4()
    for ping_id, body in ((with_body, b"\x00\xff"), (without, None)):
        item = PingItem(str(uid), ping_sort_key(str(ping_id)), body=body)
        item.sequence, item.kind, item.method, item.pinged_at, item.expires_at = 1, "success", "POST", 1, 2_000_000_000
        item.save()
    bodies = PingBodies("none", REGION)
    found = [table.body(uid, ping_id, bodies) for ping_id in (with_body, without, uuid4())]
    assert found == [b"\x00\xff", None, None]


def test_a_large_body_comes_from_s3(aws: AwsStandIn, table: HeartbeatTable, uid: UUID) -> None:
    ping_id, key = uuid4(), f"{uid}/body"
    item = PingItem(str(uid), ping_sort_key(str(ping_id)), body_key=key)
    item.sequence, item.kind, item.method, item.pinged_at, item.expires_at = 1, "success", "POST", 1, 2_000_000_000
    item.save()
    bodies = PingBodies(aws.names.ping_bodies_bucket, REGION)
    assert table.body(uid, ping_id, bodies) is None, "it has had its time"
    aws.client("s3").put_object(Bucket=aws.names.ping_bodies_bucket, Key=key, Body=b"\xff" * 20_000)
    assert table.body(uid, ping_id, bodies) == b"\xff" * 20_000
    with pytest.raises(EdgeUnreachable):
        table.body(uid, ping_id, PingBodies("no-such-bucket", REGION))


class UnprocessedClient:
    """Leaves one key of each call unprocessed, or all of them for ever."""

    def __init__(self, client: Any, *, stuck: bool) -> None:
        self._client, self._stuck = client, stuck

    def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803  (DynamoDB's name)
        [(name, asked)] = RequestItems.items()
        if self._stuck:
            return {"Responses": {}, "UnprocessedKeys": RequestItems}
        answer = self._client.batch_get_item(RequestItems={name: {**asked, "Keys": asked["Keys"][:1]}})
        rest = asked["Keys"][1:]
        return {**answer, "UnprocessedKeys": {name: {**asked, "Keys": rest}} if rest else {}}


def test_unprocessed_keys_are_asked_again_but_not_for_ever(table: HeartbeatTable) -> None:
    uids = [uuid4() for _ in range(4)]
    for uid in uids:
        table.provision(uid, WORKSPACE)
    real = table._client
    table._client = UnprocessedClient(real, stuck=False)  # type: ignore[assignment]  # a fake in front of the real one
    assert set(table.latest(uids)) == set(uids)
    table._client = UnprocessedClient(real, stuck=True)  # type: ignore[assignment]  # as above
    with pytest.raises(EdgeUnreachable):
        table.latest(uids)
