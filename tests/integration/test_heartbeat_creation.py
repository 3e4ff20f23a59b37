"""From a first ping that creates its heartbeat to rows in PostgreSQL, in any order and any number of deliveries."""

import json
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from core.adapters.database import Pool, open_pool
from core.adapters.heartbeat_table import HeartbeatTable
from core.adapters.ping_names import Named, PingKey, PingNames, SlugTaken
from core.adapters.queues import Message
from core.contracts.events import Detail, HeartbeatCreation, HeartbeatPinged
from core.contracts.heartbeat_keys import STATE_SORT_KEY
from core.contracts.heartbeat_table import HeartbeatItem
from core.domain.heartbeat_watch import EdgeOptions
from core.flows.heartbeats import apply_pings
from core.inbox.handlers import PingHandler
from lambdas.ping.app import app
from tests.aws_stand_in import REGION, AwsStandIn
from tests.heartbeats import pinged
from tests.integration.test_ping_lambda import pending, proxy_event
from tests.websites import make_workspace

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def first(workspace: UUID, uid: UUID, sequence: int = 1, slug: str = "backup", **values: Any) -> Detail[HeartbeatPinged]:
    ping = pinged(uid, sequence, NOW)
    creation = HeartbeatCreation(slug=slug, tags=["db"], period_s=600, grace_s=60)
    data = cast("HeartbeatPinged", _replaced(ping.data, creation=creation, **values))
    return Detail(metadata=_replaced(ping.metadata, workspace_id=workspace), data=data)


def _replaced(struct: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(struct, **changes)


def rows(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT m.uid, m.name, m.slug, m.tags, h.period_s, h.grace_s, s.state, s.pings FROM monitor m "
        "JOIN heartbeat h ON h.monitor_id = m.id JOIN heartbeat_state s ON s.monitor_id = m.id ORDER BY m.id"
    ).fetchall()


def test_any_of_its_pings_creates_a_heartbeat_once(connection: psycopg.Connection) -> None:
    workspace, uid = make_workspace(connection, NOW), uuid4()
    one, two = first(workspace, uid), first(workspace, uid, 2)
    apply_pings(connection, [two], NOW)
    apply_pings(connection, [one, two], NOW)
    assert rows(connection) == [(uid, "backup", "backup", ["db"], 600, 60, "up", 2)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"schedule": "0 3 * * *", "time_zone": "Europe/Riga"}, ("cron", "0 3 * * *", "Europe/Riga", 86_400)),
        ({"schedule": "Mon *-*-* 02:00\nFri 4:00"}, ("oncalendar", "Mon *-*-* 02:00\nFri 4:00", "UTC", 352_800)),
        ({"time_zone": "Europe/Riga", "period_s": 600}, ("period", "", "Europe/Riga", 600)),
        ({"schedule": "never ever", "period_s": 600}, ("period", "", "UTC", 600)),
    ],
)
def test_its_schedule_is_the_one_of_the_ping(
    connection: psycopg.Connection, values: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    ping = first(make_workspace(connection, NOW), uuid4())
    creation = HeartbeatCreation(slug="backup", **values)
    apply_pings(connection, [_replaced(ping, data=_replaced(ping.data, creation=creation))], NOW)
    found = connection.execute("SELECT schedule_kind, schedule, time_zone, period_s FROM heartbeat").fetchone()
    assert found == expected


def test_a_heartbeat_that_was_deleted_does_not_come_back_by_an_old_message(connection: psycopg.Connection) -> None:
    workspace, uid = make_workspace(connection, NOW), uuid4()
    ping = first(workspace, uid)
    apply_pings(connection, [ping], NOW)
    connection.execute("DELETE FROM heartbeat_state; DELETE FROM heartbeat; DELETE FROM monitor")
    assert apply_pings(connection, [ping], NOW).pings == []
    assert rows(connection) == []


def test_a_slug_that_is_taken_costs_the_slug_and_no_ping(connection: psycopg.Connection) -> None:
    workspace = make_workspace(connection, NOW)
    apply_pings(connection, [first(workspace, uuid4())], NOW)
    apply_pings(connection, [first(workspace, uuid4())], NOW)
    assert [(row[2], row[7]) for row in rows(connection)] == [("backup", 1), (None, 1)]


def test_a_workspace_that_is_gone_gets_none(connection: psycopg.Connection) -> None:
    assert apply_pings(connection, [first(uuid4(), uuid4())], NOW).pings == []
    assert rows(connection) == []


class Tasks:
    """No alerts come of this."""

    def kick_alerts(self, alert_ids: list[UUID]) -> None:
        assert alert_ids == []


class Series:
    """Counts nothing."""

    def count(self, applied: Any) -> None:
        self.applied = applied


@pytest.fixture
def pool(database_url: str) -> Any:
    with open_pool(database_url, application="test", size=1) as opened:
        yield opened


def test_once_the_core_has_it_its_pings_do_not_tell_of_it_any_more(aws: AwsStandIn, pool: Pool) -> None:
    with pool.connection() as connection:
        workspace = make_workspace(connection, NOW)
    PingNames(aws.names, REGION).show(PingKey("k" * 32, workspace))
    event = proxy_event("k" * 32, "backup", query={"create": ["1"], "period": ["5m"]})
    assert app(event, None)["statusCode"] == 201
    [marker] = pending()
    handler: Any = PingHandler(pool, HeartbeatTable(aws.names, REGION), cast("Any", Tasks()), cast("Any", Series()))
    body = json.dumps({"detail-type": "HeartbeatPinged", "detail": json.loads(marker.detail)})
    handler([Message(body, "r", "1")])
    with pool.connection() as connection:
        [row] = connection.execute("SELECT uid, slug FROM monitor").fetchall()
    item: Any = HeartbeatItem.get(str(row[0]), STATE_SORT_KEY)
    assert (row[1], item.slug, item.creation) == ("backup", "backup", None)
    assert pending() == []
    assert HeartbeatTable(aws.names, REGION).known() == {row[0]}


class TestPingNames:
    """The adapter against the stand-in."""

    @pytest.fixture
    def names(self, aws: AwsStandIn) -> PingNames:
        return PingNames(aws.names, REGION)

    @pytest.fixture
    def table(self, aws: AwsStandIn) -> HeartbeatTable:
        return HeartbeatTable(aws.names, REGION)

    def test_a_slug_has_one_heartbeat(self, names: PingNames, table: HeartbeatTable) -> None:
        workspace, one, two = uuid4(), uuid4(), uuid4()
        for uid in (one, two):
            table.provision(uid, workspace, EdgeOptions("backup"))
        names.take(workspace, "backup", one)
        names.take(workspace, "backup", one)
        with pytest.raises(SlugTaken):
            names.take(workspace, "backup", two)
        names.take(uuid4(), "backup", two)
        table.set_options(one, EdgeOptions("renamed"))
        names.take(workspace, "backup", two)
        names.release(Named(workspace, "backup", one))
        assert Named(workspace, "backup", two) in names.slugs()

    def test_the_slug_of_a_heartbeat_that_is_gone_is_free(self, names: PingNames, table: HeartbeatTable) -> None:
        workspace, one, two = uuid4(), uuid4(), uuid4()
        names.take(workspace, "backup", one)
        names.take(workspace, "backup", two)
        table.provision(two, workspace, EdgeOptions("backup", post_only=True, filters='{"fail": ["x"]}'))
        assert table.options() == {two: EdgeOptions("backup", post_only=True, filters='{"fail": ["x"]}')}
        table.remove(two)
        assert (names.slugs(), table.options()) == ([], {})

    def test_a_key_keeps_what_was_counted_with_it(self, names: PingNames, aws: AwsStandIn) -> None:
        names.show(PingKey("k" * 32, uuid4()))
        key = {"pk": {"S": "key#" + "k" * 32}, "sk": {"S": "key"}}
        dynamodb = aws.client("dynamodb")
        dynamodb.update_item(
            TableName=aws.names.heartbeats_table,
            Key=key,
            UpdateExpression="SET created = :n",
            ExpressionAttributeValues={":n": {"N": "7"}},
        )
        names.show(PingKey("k" * 32, uuid4(), NOW))
        item = dynamodb.get_item(TableName=aws.names.heartbeats_table, Key=key)["Item"]
        assert (item["created"], item["valid_until"]) == ({"N": "7"}, {"N": str(round(NOW.timestamp() * 1000))})
        assert names.keys() == ["k" * 32]
        names.forget("k" * 32)
        assert names.keys() == []
