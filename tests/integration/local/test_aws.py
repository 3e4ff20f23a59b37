"""The AWS stand-in as a process: complete when its port opens, safe for concurrent callers, small."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from botocore.exceptions import ClientError

from core.contracts.names import EVENT_SOURCE, Names
from core.contracts.queues import queues
from core.local.api_gateway import Route, proxy_event
from core.local.aws_resources import AwsClients
from core.local.http_listener import Request
from core.local.journal import Entry, Journal
from core.local.postgres import PostgresServer
from tests.conftest import TEMPLATE, free_port
from tests.integration.local.stand_ins import NAMES, NOW, REGION, StandIn, fresh_database, insert_heartbeat, stand_in, state_of
from tests.processes import module_process, wait_for_port


@pytest.fixture(scope="module")
def aws(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """One stand-in for the tests that need nothing in PostgreSQL; each leaves its queues empty."""
    with stand_in(fresh_database(postgres_server), tmp_path_factory.mktemp("journal")) as running:
        yield running


def ping_event(heartbeat: UUID, request_id: UUID, at: datetime, action: str | None = None) -> bytes:
    """What the gateway journals."""
    path = f"/api/ping/{heartbeat}" + (f"/{action}" if action else "")
    parameters = {"token": str(heartbeat)} | ({"name": action} if action else {})
    route = Route("/ping/{token}/{name}" if action else "/ping/{token}", parameters)
    event = proxy_event(Request("GET", path, (), b"", "127.0.0.1"), route, request_id, round(at.timestamp() * 1000), binary=True)
    return json.dumps(event).encode()


def publish(aws: StandIn, detail_type: str, detail: dict[str, Any]) -> None:
    entry = {"Source": EVENT_SOURCE, "DetailType": detail_type, "Detail": json.dumps(detail), "EventBusName": NAMES.bus}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def receive(aws: StandIn, queue: str, *, keep: bool = False, **arguments: Any) -> list[dict[str, Any]]:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **arguments).get("Messages", [])
    for message in [] if keep else found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def test_every_resource_is_there_with_the_wanted_attributes(aws: StandIn) -> None:
    clients = AwsClients.make(REGION, aws.url)
    assert set(clients.dynamodb.list_tables()["TableNames"]) == {
        NAMES.heartbeats_table,
        NAMES.channel_vault_table,
        NAMES.dispatch_table,
    }
    assert [bucket["Name"] for bucket in clients.s3.list_buckets()["Buckets"]] == [NAMES.ping_bodies_bucket]
    clients.s3.put_object(Bucket=NAMES.ping_bodies_bucket, Key="a/b", Body=b"\x00\xff")
    assert clients.s3.get_object(Bucket=NAMES.ping_bodies_bucket, Key="a/b")["Body"].read() == b"\x00\xff"
    ttl = clients.dynamodb.describe_time_to_live(TableName=NAMES.dispatch_table)["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "expiration"
    for queue in queues(NAMES):
        url = clients.sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
        attributes = clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert int(attributes["VisibilityTimeout"]) == queue.visibility_s
        redrive = json.loads(attributes["RedrivePolicy"])
        assert int(redrive["maxReceiveCount"]) == queue.max_receives
        assert redrive["deadLetterTargetArn"].endswith(Names.dead_letters(queue.name))
    assert clients.secretsmanager.get_secret_value(SecretId=NAMES.vault_key_secret)["SecretString"]
    assert clients.sesv2.get_email_identity(EmailIdentity="monitor@example.com")


@pytest.mark.parametrize(
    ("detail_type", "queue"),
    [
        ("HeartbeatPinged", NAMES.pings_queue),
        ("AlertRequested", NAMES.alerts_queue),
        ("AlertDelivered", NAMES.receipts_queue),
        ("AlertFailed", NAMES.receipts_queue),
    ],
)
def test_an_event_arrives_in_its_queue_as_eventbridge_writes_it(aws: StandIn, detail_type: str, queue: str) -> None:
    publish(aws, detail_type, {"text": 'with "quotes", <tags> and ümlauts'})
    [message] = receive(aws, queue)
    event = json.loads(message["Body"])
    assert event["detail"] == {"text": 'with "quotes", <tags> and ümlauts'}
    assert (event["detail-type"], event["source"], event["account"], event["region"]) == (
        detail_type,
        EVENT_SOURCE,
        "123456789012",
        REGION,
    )
    assert datetime.fromisoformat(event["time"]).tzinfo
    others = {NAMES.pings_queue, NAMES.alerts_queue, NAMES.receipts_queue} - {queue}
    assert [receive(aws, other) for other in others] == [[], []]


def test_heartbeats_are_there_when_the_port_opens(database_url: str, tmp_path: Path) -> None:
    fresh, pinged = insert_heartbeat(database_url), insert_heartbeat(database_url, last_sequence=41, last_success_at=NOW)
    with stand_in(database_url, tmp_path) as aws:
        assert state_of(aws, fresh)
        item = state_of(aws, pinged)
        assert item
        assert int(item["sequence"]["N"]) > 41
        assert item["last_success_at"]["N"] == str(round(NOW.timestamp() * 1000))
        assert state_of(aws, uuid4()) is None


def test_pings_of_the_journal_that_postgresql_lacks_are_recorded_in_order(database_url: str, tmp_path: Path) -> None:
    heartbeat = insert_heartbeat(database_url, last_sequence=41, last_success_at=NOW)
    stored, failed, succeeded, unknown = (uuid4() for _ in range(4))
    journal = Journal(tmp_path)
    for request_id, target, second, action in (
        (stored, heartbeat, 1, "fail"),
        (failed, heartbeat, 2, "fail"),
        (unknown, uuid4(), 3, None),
        (succeeded, heartbeat, 4, None),
    ):
        at = NOW.replace(second=second)
        journal.append(Entry(request_id, target, round(at.timestamp() * 1000), ping_event(target, request_id, at, action)))
    journal.close()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ping (id, monitor_id, sequence, pinged_at, body_size, body_truncated, kind, method, source_ip, user_agent) "
            "VALUES (%s, 1, 42, %s, 0, false, 'fail', 'GET', '', '')",
            (stored, NOW.replace(second=1)),
        )
    with stand_in(database_url, tmp_path) as aws:
        item = state_of(aws, heartbeat)
        assert item
        assert item["last_success_at"]["N"] == str(round(NOW.replace(second=4).timestamp() * 1000))
        assert item["last_fail_at"]["N"] == str(round(NOW.replace(second=2).timestamp() * 1000))
        assert int(item["last_fail_sequence"]["N"]) < int(item["last_success_sequence"]["N"])
        pinged = [json.loads(message["Body"])["detail"]["data"]["ping_id"] for message in receive(aws, NAMES.pings_queue)]
        assert pinged == [str(failed), str(succeeded)]


def test_a_creation_of_the_journal_is_done_again(database_url: str, tmp_path: Path) -> None:
    insert_heartbeat(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        [(key,)] = connection.execute("SELECT ping_key FROM workspace").fetchall()
    request_id, path = uuid4(), f"/api/ping/{key}/backup"
    request = Request("POST", f"{path}?create=1", (), b"\xff" * 20_000, "127.0.0.1")
    route = Route("/ping/{token}/{name}", {"token": key, "name": "backup"})
    event = proxy_event(request, route, request_id, round(NOW.timestamp() * 1000), binary=True)
    journal = Journal(tmp_path)
    journal.append(Entry(request_id, uuid4(), round(NOW.timestamp() * 1000), json.dumps(event).encode()))
    journal.close()
    with stand_in(database_url, tmp_path) as aws:
        [message] = receive(aws, NAMES.pings_queue)
        data = json.loads(message["Body"])["detail"]["data"]
        assert (data["creation"]["slug"], data["ping_id"]) == ("backup", str(request_id))
        stored = aws.client("s3").get_object(Bucket=NAMES.ping_bodies_bucket, Key=data["body_key"])
        assert stored["Body"].read() == request.body
        assert state_of(aws, UUID(data["heartbeat_id"]))


def test_the_port_stays_shut_until_postgresql_has_its_schema(postgres_server: PostgresServer, tmp_path: Path) -> None:
    name, port = f"late_{uuid4().hex}", free_port()
    environ = {"UPTIME_ENV": "x", "DATABASE_URL": postgres_server.dsn(name), "EMAIL_FROM": "a@example.com"}
    with (
        module_process("core.local.aws", ["--port", str(port), "--journal", str(tmp_path)], environ) as process,
        psycopg.connect(postgres_server.dsn("postgres"), autocommit=True) as admin,
    ):
        with pytest.raises(AssertionError, match="did not hold"):
            wait_for_port(port, 3, process)
        admin.execute(f"CREATE DATABASE {name}")
        with pytest.raises(AssertionError, match="did not hold"):
            wait_for_port(port, 1, process)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        wait_for_port(port, process=process)


def test_concurrent_transactions_neither_lose_nor_undo_each_others_writes(aws: StandIn) -> None:
    dynamodb = aws.client("dynamodb", max_pool_connections=20)
    table = NAMES.heartbeats_table

    def put(key: str, *, fails: bool) -> bool:
        puts = [
            {"Put": {"TableName": table, "Item": {"pk": {"S": "p"}, "sk": {"S": key}}}},
            {
                "Put": {
                    "TableName": table,
                    "Item": {"pk": {"S": "q"}, "sk": {"S": key}},
                    "ConditionExpression": "attribute_exists(pk)" if fails else "attribute_not_exists(pk)",
                }
            },
        ]
        try:
            dynamodb.transact_write_items(TransactItems=puts)
        except dynamodb.exceptions.TransactionCanceledException:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda number: put(f"{number:03d}", fails=number % 3 == 0), range(120)))
    assert done == [number % 3 != 0 for number in range(120)]
    found = dynamodb.query(TableName=table, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p"}})
    assert [item["sk"]["S"] for item in found["Items"]] == [f"{number:03d}" for number in range(120) if number % 3]


def test_a_failed_transaction_restores_what_it_had_changed(aws: StandIn) -> None:
    dynamodb = aws.client("dynamodb")
    table, key = NAMES.heartbeats_table, {"pk": {"S": "h"}, "sk": {"S": "state"}}
    dynamodb.put_item(TableName=table, Item={**key, "n": {"N": "1"}})
    update = {
        "Update": {
            "TableName": table,
            "Key": key,
            "UpdateExpression": "SET n = :two",
            "ExpressionAttributeValues": {":two": {"N": "2"}},
        }
    }
    refuse = {
        "ConditionCheck": {"TableName": table, "Key": {**key, "sk": {"S": "no"}}, "ConditionExpression": "attribute_exists(pk)"}
    }
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[update, refuse])
    assert [reason["Code"] for reason in refused.value.response["CancellationReasons"]] == ["None", "ConditionalCheckFailed"]
    assert dynamodb.get_item(TableName=table, Key=key)["Item"]["n"] == {"N": "1"}
    dynamodb.transact_write_items(TransactItems=[update])
    assert dynamodb.get_item(TableName=table, Key=key)["Item"]["n"] == {"N": "2"}


def test_many_senders_and_receivers_lose_no_message_and_share_none(aws: StandIn) -> None:
    sqs = aws.client("sqs", max_pool_connections=20)
    url = sqs.get_queue_url(QueueName=NAMES.pings_queue)["QueueUrl"]
    seen: list[str] = []
    sending = threading.Event()

    def consume() -> None:
        while not (sending.is_set() and len(seen) >= 100) and time.monotonic() < give_up:
            for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                seen.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    give_up = time.monotonic() + 20
    with ThreadPoolExecutor(8) as pool:
        consumers = [pool.submit(consume) for _ in range(4)]
        for sent in [pool.submit(sqs.send_message, QueueUrl=url, MessageBody=str(number)) for number in range(100)]:
            sent.result()
        sending.set()
        for consumer in consumers:
            consumer.result()
    assert sorted(seen, key=int) == [str(number) for number in range(100)]


def test_a_long_poll_wakes_at_once_and_does_not_block_others(aws: StandIn) -> None:
    with ThreadPoolExecutor(1) as pool:
        poll = pool.submit(receive, aws, NAMES.alerts_queue, WaitTimeSeconds=20)
        publish(aws, "AlertRequested", {})
        [message] = poll.result()
        assert message


def test_a_poll_whose_client_died_takes_no_message(aws: StandIn) -> None:
    impatient = aws.client("sqs", read_timeout=0.3)
    url = impatient.get_queue_url(QueueName=NAMES.receipts_queue)["QueueUrl"]
    with pytest.raises(Exception, match="Read timeout"):
        impatient.receive_message(QueueUrl=url, WaitTimeSeconds=20)
    publish(aws, "AlertFailed", {})
    assert len(receive(aws, NAMES.receipts_queue, WaitTimeSeconds=2)) == 1


def test_a_message_that_nobody_handles_ends_in_the_dead_letters(aws: StandIn) -> None:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=NAMES.pings_queue)["QueueUrl"]
    publish(aws, "HeartbeatPinged", {})
    for _ in range(5):
        [message] = receive(aws, NAMES.pings_queue, keep=True)
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert receive(aws, NAMES.pings_queue) == []
    assert len(receive(aws, Names.dead_letters(NAMES.pings_queue))) == 1


def test_what_it_does_not_serve_it_refuses(aws: StandIn) -> None:
    with pytest.raises(ClientError, match="not a service of this stand-in"):
        aws.client("ssm").describe_parameters()
