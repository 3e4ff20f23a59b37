"""`edge sync` against a live stand-in, and what the stand-in forgets by itself. Both in processes of their own: they bind AWS clients."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.local.stand_ins import NAMES, NOW, StandIn, insert_heartbeat, stand_in, state_of
from tests.processes import wait_until

SYNC = """
import dataclasses, json, sys
from core.adapters.database import open_pool
from core.contracts.names import Names
from core.flows.edge_sync import sync

with open_pool(sys.argv[1], application="test", size=1) as pool:
    print(json.dumps(dataclasses.asdict(sync(pool, Names("standin"), "eu-west-1"))))
"""

TIDY = """
import json
from core.contracts.heartbeat_keys import pending_partition
from core.contracts.names import Names
from core.local.aws import become_aws

become_aws()
from core.local import aws_resources, aws_upkeep
from moto import backends

names, now = Names("x"), 1_800_000_000
clients = aws_resources.AwsClients.make("eu-west-1")
aws_resources.create_resources(clients, names, vault_keys=["k"])

def put(table, **item):
    types = {str: "S", int: "N"}
    clients.dynamodb.put_item(TableName=table, Item={name: {types[type(v)]: str(v)} for name, v in item.items()})

put(names.dispatch_table, id="old", expiration=now - 1)
put(names.dispatch_table, id="young", expiration=now + 1)
put(names.dispatch_table, id="eternal")
put(names.heartbeats_table, pk="h", sk="state", sequence=400)
put(names.heartbeats_table, pk="h", sk="ping#expired", sequence=999, pinged_at=now * 1000, expires_at=now - 1)
for number in range(300):
    age_s = 10 if number >= 250 else 7200
    ping_id = f"{number:08x}-0000-4000-8000-000000000000"
    put(names.heartbeats_table, pk="h", sk=f"ping#{ping_id}", sequence=number, pinged_at=(now - age_s) * 1000, expires_at=now + 9)
put(names.heartbeats_table, pk=pending_partition(ping_id), sk=f"{5:08x}-0000-4000-8000-000000000000", expires_at=now + 9)
for key in (f"h/{ping_id}", "h/expired"):
    clients.s3.put_object(Bucket=names.ping_bodies_bucket, Key=key, Body=b"x" * 20_000)
removed = aws_upkeep.tidy("eu-west-1", names, now)
left = [item["sk"]["S"] for item in clients.dynamodb.scan(TableName=names.heartbeats_table)["Items"]]
ids = [item["id"]["S"] for item in clients.dynamodb.scan(TableName=names.dispatch_table)["Items"]]
bodies = [found["Key"] for found in clients.s3.list_objects_v2(Bucket=names.ping_bodies_bucket)["Contents"]]
print(json.dumps([removed, sorted(left), sorted(ids), bodies]))
"""


def run(script: str, *arguments: str, **environ: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], env={**os.environ, **environ}, stdout=subprocess.PIPE, check=True, timeout=60
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def aws(database_url: str, tmp_path: Path) -> Iterator[StandIn]:
    with stand_in(database_url, tmp_path) as running:
        yield running


def sync(aws: StandIn, database_url: str) -> dict[str, int]:
    counts: dict[str, int] = run(SYNC, database_url, AWS_ENDPOINT_URL=aws.url)
    return counts


def insert_channel(database_url: str) -> UUID:
    channel, workspace = uuid4(), uuid4()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO workspace (id, name, created_at) VALUES (%s, 'w', %s)", (workspace, NOW))
        connection.execute(
            "INSERT INTO channel (id, workspace_id, name, kind, config_version, config_ciphertext, summary, disabled_reason, "
            "created_at, updated_at) VALUES (%s, %s, 'c', 'email', 3, 'sealed', 's', '', %s, %s)",
            (channel, workspace, NOW, NOW),
        )
    return channel


def versions(aws: StandIn) -> list[tuple[str, str, str]]:
    items = aws.client("dynamodb").scan(TableName=NAMES.channel_vault_table)["Items"]
    return [(item["channel_id"]["S"], item["version"]["N"], item["ciphertext"]["S"]) for item in items]


def put_state(aws: StandIn, heartbeat: UUID, sequence: int) -> None:
    item = {
        "pk": {"S": str(heartbeat)},
        "sk": {"S": "state"},
        "workspace_id": {"S": str(uuid4())},
        "sequence": {"N": str(sequence)},
    }
    aws.client("dynamodb").put_item(TableName=NAMES.heartbeats_table, Item=item)


def test_what_is_missing_is_made_and_a_second_run_changes_nothing(aws: StandIn, database_url: str) -> None:
    heartbeat, channel = insert_heartbeat(database_url, last_sequence=7, last_success_at=NOW), insert_channel(database_url)
    counts = sync(aws, database_url)
    assert counts == {"heartbeats": 1, "rebuilt": 1, "channels": 1, "orphaned_heartbeats": 0, "orphaned_channels": 0}
    item = state_of(aws, heartbeat)
    assert item
    assert int(item["last_success_at"]["N"]) == round(NOW.timestamp() * 1000)
    assert versions(aws) == [(str(channel), "3", "sealed")]
    assert sync(aws, database_url)["rebuilt"] == 0
    assert state_of(aws, heartbeat) == item


def test_the_command_of_the_image_does_it_after_a_disaster(aws: StandIn, database_url: str) -> None:
    heartbeat, channel = insert_heartbeat(database_url, last_sequence=7, last_success_at=NOW), insert_channel(database_url)
    environ = {"AWS_ENDPOINT_URL": aws.url, "DATABASE_URL": database_url, "UPTIME_ENV": NAMES.env}
    command = [sys.executable, "-m", "core.service", "edge-sync"]
    done = subprocess.run(command, env={**os.environ, **environ}, stdout=subprocess.PIPE, check=True, timeout=60)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["message"], last["heartbeats"], last["rebuilt"]) == ("edge_sync.done", 1, 1)
    assert state_of(aws, heartbeat)
    assert versions(aws) == [(str(channel), "3", "sealed")]


def test_a_sequence_never_gets_lower(aws: StandIn, database_url: str) -> None:
    heartbeat = insert_heartbeat(database_url, last_sequence=7)
    put_state(aws, heartbeat, 5000)
    sync(aws, database_url)
    item = state_of(aws, heartbeat)
    assert item
    assert item["sequence"]["N"] == "5000"


def test_orphans_go_and_are_counted(aws: StandIn, database_url: str) -> None:
    kept = insert_heartbeat(database_url)
    orphan = uuid4()
    put_state(aws, orphan, 3)
    lost = insert_channel(database_url)
    sync(aws, database_url)
    put_state(aws, orphan, 3)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM channel WHERE id = %s", (lost,))
    counts = sync(aws, database_url)
    assert (counts["orphaned_heartbeats"], counts["orphaned_channels"]) == (1, 1)
    assert state_of(aws, orphan) is None
    assert state_of(aws, kept)
    assert versions(aws) == []


def test_an_item_whose_row_is_about_to_commit_is_no_orphan(aws: StandIn, database_url: str) -> None:
    """The API provisions a heartbeat at the edge before its transaction commits; a sync in between must not remove it."""
    uid, workspace = uuid4(), uuid4()
    results: list[dict[str, int]] = []
    with psycopg.connect(database_url) as creating, psycopg.connect(database_url, autocommit=True) as watching:
        creating.execute("INSERT INTO workspace (id, name, created_at) VALUES (%s, 'w', %s)", (workspace, NOW))
        row = creating.execute(
            "INSERT INTO monitor (uid, workspace_id, kind, name, tags, updated_at) "
            "VALUES (%s, %s, 'heartbeat', 'h', '{}', %s) RETURNING id",
            (uid, workspace, NOW),
        ).fetchone()
        creating.execute("INSERT INTO heartbeat (monitor_id, period_s, grace_s, config_version) VALUES (%s, 60, 60, 1)", row)
        put_state(aws, uid, 0)
        thread = threading.Thread(target=lambda: results.append(sync(aws, database_url)))
        thread.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test' AND query LIKE '%%pg_snapshot_xmin%%'"
        wait_until(lambda: bool((watching.execute(waits).fetchone() or [0])[0]), what="the sync waiting for us", timeout_s=60)
        creating.commit()
        thread.join(30)
    assert results[0]["orphaned_heartbeats"] == 0
    assert state_of(aws, uid)


def test_names_follow_postgresql(aws: StandIn, database_url: str) -> None:
    dynamodb = aws.client("dynamodb")

    def put(pk: str, sk: str, **values: str) -> None:
        item = {"pk": {"S": pk}, "sk": {"S": sk}} | {name: {"S": value} for name, value in values.items()}
        dynamodb.put_item(TableName=NAMES.heartbeats_table, Item=item)

    def names(prefix: str) -> set[tuple[str, str]]:
        items = dynamodb.scan(TableName=NAMES.heartbeats_table)["Items"]
        return {(item["pk"]["S"], item["sk"]["S"]) for item in items if item["pk"]["S"].startswith(prefix)}

    uid, created = insert_heartbeat(database_url), uuid4()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE monitor SET slug = 'backup' WHERE uid = %s", (uid,))
        connection.execute('UPDATE heartbeat SET post_only = true, filters = \'{"fail": ["x"]}\'')
        found = connection.execute("SELECT id, ping_key FROM workspace").fetchone()
        assert found
    workspace, key = found
    put(f"slugs#{workspace}", "old-name", heartbeat_id=str(uid))
    put(f"slugs#{workspace}", "just-created", heartbeat_id=str(created))
    put(str(created), "state", workspace_id=str(workspace), creation='{"slug": "just-created"}')
    put("key#leaked", "key", workspace_id=str(workspace))
    for _ in range(2):
        assert sync(aws, database_url)["orphaned_heartbeats"] == 0
        item = state_of(aws, uid)
        assert item
        assert (item["slug"], item["post_only"], item["filters"]) == ({"S": "backup"}, {"BOOL": True}, {"S": '{"fail": ["x"]}'})
        assert names("slugs#") == {(f"slugs#{workspace}", "backup"), (f"slugs#{workspace}", "just-created")}
        assert names("key#") == {(f"key#{key}", "key")}
        assert state_of(aws, created), "the core has yet to hear of it"
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("UPDATE heartbeat SET post_only = post_only")
        dynamodb.update_item(
            TableName=NAMES.heartbeats_table,
            Key={"pk": {"S": str(uid)}, "sk": {"S": "state"}},
            UpdateExpression="REMOVE post_only SET slug = :other",
            ExpressionAttributeValues={":other": {"S": "drift"}},
        )


def test_the_stand_in_forgets_what_has_had_its_time() -> None:
    removed, left, ids, bodies = run(TIDY)
    assert ids == ["eternal", "young"]
    kept = [5, *range(200, 300)]
    pings = [f"ping#{number:08x}-0000-4000-8000-000000000000" for number in kept]
    assert left == [f"{5:08x}-0000-4000-8000-000000000000", *pings, "state"], "the fifth is still pending"
    assert bodies == ["h/" + pings[-1].removeprefix("ping#")]
    assert removed == 1 + 1 + 199 + 1
