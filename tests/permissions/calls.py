"""What IAM asks for a request to AWS: actions and resources, as the service authorization reference has them. Pure.

https://docs.aws.amazon.com/service-authorization/latest/reference/. An operation that is not known here is an action of its own name on a
resource that no policy has: it fails the test that replays it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parseaddr
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from core.contracts.tasks import QUEUES

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
UNKNOWN: Final = "unknown"
AUTHORIZATION: Final = re.compile(r"Credential=(?P<key>[^/]+)/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")
ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
KEY: Final = re.compile(r"<Key>(.*?)</Key>")
TASKS: Final = re.compile(rf"(?<=-tasks-)({'|'.join(QUEUES)})$")
ANY_QUEUE: Final = "<queue>"
"""In place of the queue of a task: they carry Celery's tasks together, and which of them is used when is the fleet's own business."""

BATCHES: Final = {f"{action}Batch": action for action in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")}
"""Batches of SQS have no actions of their own."""

PARTS: Final = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
"""A transaction has no action of its own: each of its parts needs the action of the single call."""

BUCKETS: Final = {("GET", "list-type"): "ListBucket", ("PUT", "policy"): "PutBucketPolicy"}
OBJECTS: Final = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject"}


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """One action on one resource; ids in it are `<id>`."""

    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} {self.resource}"


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it arrived, and the status that it got. `role` is the access key that it was signed with."""

    role: str
    service: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    status: int

    def header(self, name: str) -> str:
        """A header, or nothing."""
        return next((value for key, value in self.headers.items() if key.lower() == name), "")


def arn(service: str, resource: str) -> str:
    """A resource of the account; those of S3 have no account and no region."""
    return f"arn:aws:s3:::{resource}" if service == "s3" else f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def needs(call: Call) -> list[Need]:
    """What a role must be allowed for this call."""
    find = {
        "dynamodb": _dynamodb, "ecr": _ecr, "ecs": _ecs, "events": _events, "s3": _s3, "secretsmanager": _secrets, "ses": _ses, "sns": _sns,
        "sqs": _sqs,
    }  # fmt: skip
    try:
        found = list(find.get(call.service, _unknown)(call))
    except (KeyError, ValueError):
        found = list(_unknown(call))
    return sorted({Need(action, ID.sub("<id>", resource)) for action, resource in found})


type Found = Iterator[tuple[str, str]]


def _operation(call: Call) -> tuple[str, Any]:
    """Name and request of a service whose protocol is JSON."""
    return call.header("x-amz-target").rpartition(".")[2], json.loads(call.body or b"{}")


def _dynamodb(call: Call) -> Found:
    name, asked = _operation(call)
    if name == "TransactWriteItems":
        for item in asked["TransactItems"]:
            for part, said in item.items():
                yield f"dynamodb:{PARTS[part]}", arn("dynamodb", f"table/{said['TableName']}")
        return
    for table in asked.get("RequestItems") or [asked["TableName"]]:
        yield f"dynamodb:{name}", arn("dynamodb", f"table/{table}")


def _events(call: Call) -> Found:
    name, asked = _operation(call)
    for entry in asked["Entries"]:
        yield f"events:{name}", arn("events", f"event-bus/{entry['EventBusName']}")


def _sqs(call: Call) -> Found:
    name, asked = _operation(call)
    queue = asked.get("QueueName") or asked["QueueUrl"].rpartition("/")[2]
    yield f"sqs:{BATCHES.get(name, name)}", arn("sqs", TASKS.sub(ANY_QUEUE, queue))


def _secrets(call: Call) -> Found:
    name, asked = _operation(call)
    yield f"secretsmanager:{name}", arn("secretsmanager", f"secret:{asked['SecretId']}-AbCdEf")


def _ecr(call: Call) -> Found:
    name, asked = _operation(call)
    yield f"ecr:{name}", arn("ecr", f"repository/{asked['repositoryName']}")


def _ecs(call: Call) -> Found:
    """A task is run by its definition, whose revision ECS counts."""
    name, asked = _operation(call)
    if name == "RunTask":
        yield "ecs:RunTask", arn("ecs", f"task-definition/{asked['taskDefinition']}:1")
        return
    kind, of = ("task", asked["tasks"]) if "tasks" in asked else ("service", asked.get("services") or [asked["service"]])
    for one in of:
        yield f"ecs:{name}", arn("ecs", f"{kind}/{asked['cluster']}/{one.rpartition('/')[2]}")


def _s3(call: Call) -> Found:
    """Whoever may not list a bucket is answered 403 for an object that is not there: a 404 takes ListBucket as well."""
    target = urlsplit(call.target)
    bucket, _, key = unquote(target.path).lstrip("/").partition("/")
    asked = next(iter(parse_qs(target.query, keep_blank_values=True)), "")
    if not key and (call.method, asked) in BUCKETS:
        yield f"s3:{BUCKETS[call.method, asked]}", arn("s3", bucket)
        return
    if not key and (call.method, asked) == ("POST", "delete"):
        for found in KEY.findall(call.body.decode()):
            yield "s3:DeleteObject", arn("s3", f"{bucket}/{found}")
        return
    if not key or call.method not in OBJECTS:
        yield from _unknown(call)
        return
    yield f"s3:{OBJECTS[call.method]}", arn("s3", f"{bucket}/{key}")
    if call.status == HTTPStatus.NOT_FOUND:
        yield "s3:ListBucket", arn("s3", bucket)


def _ses(call: Call) -> Found:
    """The reference has SendEmail for this; what is checked for a raw mail is SendRawEmail, of version 1. So it takes both.

    https://github.com/anymail/django-anymail/issues/384. Our identity is the sender's domain.
    """
    if urlsplit(call.target).path != "/v2/email/outbound-emails":
        yield from _unknown(call)
        return
    asked = json.loads(call.body)
    domain = parseaddr(asked["FromEmailAddress"])[1].partition("@")[2]
    resources = [arn("ses", f"identity/{domain}")]
    if name := asked.get("ConfigurationSetName"):
        resources.append(arn("ses", f"configuration-set/{name}"))
    for action in ("ses:SendEmail", *(["ses:SendRawEmail"] if "Raw" in asked["Content"] else [])):
        for resource in resources:
            yield action, resource


def _sns(call: Call) -> Found:
    """A message to a telephone has no resource."""
    asked = parse_qs(call.body.decode())
    yield f"sns:{asked['Action'][0]}", "*" if "PhoneNumber" in asked else asked["TopicArn"][0]


def _unknown(call: Call) -> Found:
    yield f"{call.service}:{_operation_name(call)}", UNKNOWN


def _operation_name(call: Call) -> str:
    return call.header("x-amz-target").rpartition(".")[2] or f"{call.method} {call.target}"
