"""A life of the deployed estate in which everything calls AWS as it can: users, jobs, mails, alerts, sweeps, and what a sweep is for."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID, uuid4

import boto3
import httpx
import msgspec
import psycopg

from core.adapters.task_queue import TaskQueue
from core.contracts.heartbeat_keys import STATE_SORT_KEY, pending_partition, slugs_partition
from core.contracts.names import Names
from core.local.api_gateway import NO_ROUTE, find_route, proxy_event, to_response
from core.local.aws_resources import AwsClients
from core.local.http_listener import HttpListener, Request, Response
from core.local.lambda_runner import LambdaRunner
from tests.heartbeats import pinged
from tests.lambda_runtime import RuntimeApi
from tests.permissions.calls import REGION
from tests.unit.test_ping_mail import RECEIVED, notification
from tests.waiting import until

ROUTES: Final = dict.fromkeys(("/ping/{token}", "/ping/{token}/{name}", "/ping/{token}/{name}/{action}"), ("GET", "POST"))
LARGE: Final = b"everything went well, line by line\n" * 1000
PATIENCE_S: Final = 60.0


@contextmanager
def front_door(ping: RuntimeApi) -> Iterator[str]:
    """API Gateway before the ping Lambda; its address."""

    def answer(request: Request) -> Response:
        route = find_route(ROUTES, request.method, request.path)
        if route is None:
            return NO_ROUTE
        request_id = uuid4()
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        outcome = ping.invoke(proxy_event(request, route, request_id, now_ms, binary=True))
        assert outcome.error is None, outcome.error
        return to_response(outcome.answer, request_id)

    listener = HttpListener("127.0.0.1", 0, answer, body_limit=10_000_000)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.port}"
    finally:
        listener.stop()
        listener.server_close()
        thread.join()


@contextmanager
def mapping(function: RuntimeApi, endpoint: str, queue: str) -> Iterator[None]:
    """The event source mapping of a function, with a key of its own: on AWS it is the Lambda service that polls."""

    def invoke(event: dict[str, Any], _context: object) -> Any:
        outcome = function.invoke(event)
        assert outcome.error is None, outcome.error
        return outcome.answer

    sqs = boto3.client(
        "sqs", region_name=REGION, endpoint_url=endpoint, aws_access_key_id="mapping", aws_secret_access_key="none"
    )
    runner, stop = LambdaRunner(invoke, sqs, queue, REGION, concurrency=1), threading.Event()
    thread = threading.Thread(target=runner.run_until, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


@dataclass
class World:
    """The deployed estate, and who uses it. `saw` says whether a role has made a call that needs an action on something."""

    api: httpx.Client
    ping_url: str
    clients: AwsClients
    names: Names
    buckets: dict[str, str]
    connection: psycopg.Connection
    tasks: TaskQueue
    saw: Callable[[str, str], bool]

    def call(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """Ask the API; `status` is what it must answer, any success if it is not given."""
        answer = self.api.request(method, path, json=body)
        expected = answer.is_success if status is None else answer.status_code == status
        assert expected, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else answer.content

    def ping(self, path: str, body: bytes = b"") -> int:
        """Ping as a job does; the status of the answer."""
        return httpx.post(f"{self.ping_url}/api/ping/{path}", content=body, timeout=PATIENCE_S, trust_env=False).status_code

    def sql(self, statement: str, *values: Any) -> None:
        """Change what the database knows."""
        self.connection.execute(statement, values)
        self.connection.commit()

    def wait(self, role: str, *actions: str, again: Callable[[], object] = lambda: None) -> None:
        """Wait until a role was seen with these actions; `again` is what brings it about, called as long as it was not."""

        def look() -> bool:
            if all(self.saw(role, action) for action in actions):
                return True
            again()
            return False

        until(look, PATIENCE_S, 0.2)

    def send(self, task: str, *arguments: Any) -> None:
        """Have the fleet do something."""
        assert self.tasks.send(task, *arguments)


def people(world: World) -> None:
    """Sign up; every alert is to be told by itself."""
    who = {"email": "somebody@example.org", "password": "a long enough one"}
    world.call("POST", "auth/register/", who)
    world.api.headers["Authorization"] = f"Bearer {world.call('POST', 'auth/login/', who)['access']}"
    world.call("PATCH", "alert-grouping/", {"group_after": 0})


def channels(world: World, webhook: str) -> None:
    """Make one of each kind that calls AWS or is the plainest, and delete one."""
    made = [
        ("webhook", {"url": webhook}),
        ("email", {"address": "ops@example.org"}),
        ("sms", {"to": "+4915112345678"}),
        ("webhook", {"url": f"{webhook}/gone"}),
    ]
    ids = [world.call("POST", "channels/", {"name": kind, "kind": kind, "config": config})["id"] for kind, config in made]
    world.call("DELETE", f"channels/{ids[-1]}/")


def jobs(world: World) -> dict[str, UUID]:
    """Heartbeats made by people and by pings, renamed and deleted; pings of all kinds, with and without a large body."""
    key = world.call("GET", "ping-key/")["ping_key"]
    ids = {
        name: UUID(world.call("POST", "heartbeats/", {"name": name, "period_s": 3600, "grace_s": 60})["id"])
        for name in ("nightly", "failing", "overdue", "lost", "deleted")
    }
    assert world.ping(f"{key}/by-ping?create=1") == HTTPStatus.CREATED
    world.call("POST", "heartbeats/", {"name": "taken", "slug": "by-ping"}, status=HTTPStatus.BAD_REQUEST)
    world.call("PATCH", f"heartbeats/{ids['nightly']}/", {"slug": "renamed"})
    world.call("DELETE", f"heartbeats/{ids['deleted']}/")
    said = [
        world.ping(f"{ids['nightly']}/start"),
        world.ping(f"{ids['nightly']}", LARGE),
        world.ping(f"{key}/renamed/log", b"a line"),
        world.ping(f"{ids['failing']}"),
        world.ping(f"{ids['failing']}/fail", LARGE),
        world.ping(str(uuid4())),
    ]
    assert said == [200, 200, 200, 200, 200, 404]
    for _ in range(2):  # the one before the last is forgotten
        world.call("POST", "ping-key/replace/", {"grace_s": 60})
    return ids


def outputs(world: World, heartbeat: UUID) -> None:
    """Look at what a job wrote, and look again when it is not kept any more."""
    with_output = until(
        lambda: [one for one in world.call("GET", f"heartbeats/{heartbeat}/pings/")["results"] if one["body_size"] == len(LARGE)],
        PATIENCE_S,
    )
    path = f"heartbeats/{heartbeat}/pings/{with_output[0]['id']}/body/"
    assert world.call("GET", path) == LARGE
    bucket = world.buckets["PING_BODIES_BUCKET"]
    for one in world.clients.s3.list_objects_v2(Bucket=bucket)["Contents"]:
        if str(heartbeat) in one["Key"]:
            world.clients.s3.delete_object(Bucket=bucket, Key=one["Key"])
    world.call("GET", path, status=HTTPStatus.NOT_FOUND)


def mails(world: World, heartbeat: UUID) -> None:
    """A mail that is a ping, with a large text; and one that S3 has no more, by name."""
    queue = world.clients.sqs.get_queue_url(QueueName=world.names.mails_queue)["QueueUrl"]
    by_name = f"{world.call('GET', 'ping-key/')['ping_key']}+renamed"
    for local, is_kept in ((str(heartbeat), True), (by_name, False)):
        said, key = notification(), uuid4().hex
        said["mail"]["messageId"] = said["receipt"]["action"]["objectKey"] = key
        said["receipt"]["recipients"] = [f"{local}@ping.example.com"]
        if is_kept:
            text = RECEIVED + b"From: root@db1.example.net\r\nSubject: Backup\r\n\r\n" + LARGE
            world.clients.s3.put_object(Bucket=world.buckets["PING_MAIL_BUCKET"], Key=key, Body=text)
        world.clients.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(said))


def feedback(world: World) -> None:
    """SES says that a mail of ours came back."""
    queue = world.clients.sqs.get_queue_url(QueueName=world.names.mail_events_queue)["QueueUrl"]
    detail = {
        "eventType": "Bounce",
        "mail": {"tags": {"channel": [str(uuid4())], "config_version": ["1"]}},
        "bounce": {"bounceType": "Permanent"},
    }
    body = {"detail-type": "Email Bounced", "source": "aws.ses", "detail": detail}
    world.clients.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(body))


def sweeps(world: World, worker: str, lost: UUID) -> None:
    """What the fleet looks for by itself: a ping that nobody stored, an item that is gone, and one that belongs to nobody."""
    late = pinged(lost, 1, datetime.now(UTC) - timedelta(minutes=2))
    detail = msgspec.json.encode(late).decode()
    ping_id = str(late.data.ping_id)
    marker = {"pk": pending_partition(ping_id), "sk": ping_id, "detail": detail}
    stored: Any = {name: {"S": value} for name, value in marker.items()}
    stored["pinged_at"] = {"N": str(round(late.data.pinged_at.timestamp() * 1000))}
    world.clients.dynamodb.put_item(TableName=world.names.heartbeats_table, Item=stored)
    world.send("sweep_pending_pings")
    world.wait(worker, "dynamodb:Query", "dynamodb:UpdateItem", "events:PutEvents")
    world.send("process_ping", detail)
    world.wait(worker, "dynamodb:BatchWriteItem")
    orphan = str(uuid4())
    item: Any = {"pk": {"S": orphan}, "sk": {"S": STATE_SORT_KEY}, "workspace_id": {"S": str(uuid4())}, "slug": {"S": "orphan"}}
    world.clients.dynamodb.put_item(TableName=world.names.heartbeats_table, Item=item)
    world.sql("INSERT INTO edge_orphan (heartbeat_id, seen_at) VALUES (%s, now() - interval '2 hours')", orphan)
    world.clients.dynamodb.delete_item(TableName=world.names.heartbeats_table, Key=_key(lost))
    world.send("reconcile_edge")
    world.wait(worker, "dynamodb:BatchGetItem", "dynamodb:DeleteItem")


def own_edge(world: World, worker: str, control: str, overdue: UUID) -> None:
    """Our own ping address is watched, by the task for it and by whoever is about to call a job missed."""
    unsettled = "INSERT INTO edge_gap (began_at, ended_at, silent, settled)"
    unsettled += " VALUES (now() - interval '9 s', now() - interval '6 s', true, false)"
    world.sql(unsettled)
    world.wait(worker, "dynamodb:PutItem", again=partial(world.send, "watch_edge"))
    [canary] = world.connection.execute("SELECT canary_id FROM edge_watch").fetchall()[0]
    world.connection.commit()

    def judge() -> None:
        """Nobody has been judged yet: the detector waits until it has seen the clock go on for a while."""
        world.clients.dynamodb.delete_item(TableName=world.names.heartbeats_table, Key=_key(canary))
        world.sql(unsettled)
        world.sql(
            "UPDATE edge_watch SET proved_at = now() - interval '20 s', asked_at = now() - interval '20 s', failing_since = NULL"
        )
        world.sql(
            "UPDATE heartbeat_state s SET state = 'up', anchor_at = now() - interval '2 h', last_success_at = now() - interval '2 h',"
            " due_at = now() - interval '1 h', deadline_at = now() - interval '50 min' FROM monitor m"
            " WHERE m.id = s.monitor_id AND m.uid = %s",
            overdue,
        )
        world.send("check_due_heartbeats")

    world.wait(control, "dynamodb:PutItem", "dynamodb:Query", again=judge)


def carried_tasks(world: World, web: str, worker: str, control: str) -> None:
    """The tasks that the web sends, and those that ask how many wait."""
    world.call("POST", f"channels/{world.call('GET', 'channels/')['results'][0]['id']}/test/")
    world.wait(web, "sqs:SendMessage")
    world.wait(worker, "sqs:GetQueueAttributes", again=partial(world.send, "update_prometheus_metrics"))
    world.wait(control, "sqs:GetQueueAttributes", again=partial(world.send, "check_due_websites"))


def damaged_edge(world: World) -> None:
    """What `edge-sync` finds after a disaster: a heartbeat and a channel that the database has no more, and a name of nobody's."""
    workspace, uid, channel = str(uuid4()), str(uuid4()), str(uuid4())
    state: Any = {**_key(UUID(uid)), "workspace_id": {"S": workspace}, "slug": {"S": "gone"}}
    name: Any = {"pk": {"S": slugs_partition(workspace)}, "sk": {"S": "gone"}, "heartbeat_id": {"S": uid}}
    for item in (state, name):
        world.clients.dynamodb.put_item(TableName=world.names.heartbeats_table, Item=item)
    version: Any = {
        "channel_id": {"S": channel},
        "version": {"N": "1"},
        "kind": {"S": "webhook"},
        "workspace_id": {"S": workspace},
    }
    version["ciphertext"] = {"S": "none"}
    world.clients.dynamodb.put_item(TableName=world.names.channel_vault_table, Item=version)


def _key(heartbeat: UUID) -> Any:
    return {"pk": {"S": str(heartbeat)}, "sk": {"S": STATE_SORT_KEY}}
