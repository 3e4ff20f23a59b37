"""moto as one AWS account in this process: what is corrected in it, and how a request gets to it.

`STATE` is the monitor over all of it: one request is handled at a time (moto's models are not made for threads: concurrent calls lose
messages and roll back each other's writes), except that a long poll waits outside.
"""

import copy
import inspect
import re
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto import backends
from moto.core.models import botocore_stubber
from moto.core.request import normalize_request
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.events.utils import EventTemplateParser
from moto.sqs.models import Message, Queue, SQSBackend
from werkzeug.exceptions import HTTPException

from core.local.http_listener import Request, Response
from core.local.lambda_context import ACCOUNT

STATE: Final = threading.Condition()
LONGEST_WAIT_S: Final = 1.0
"""A waiting poll looks again after this time: messages become visible without a notice."""

EVENT_FIELDS: Final = ("version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail")
SERVICES: Final = {
    "dynamodb": "dynamodb",
    "events": "events",
    "s3": "s3",
    "sqs": "sqs",
    "secretsmanager": "secretsmanager",
    "ses": "email",
}
"""Services that are served, by signing name, and their host names."""

CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request")
_client_left: ContextVar[Callable[[], bool]] = ContextVar("client_left", default=lambda: False)


class ClientLeft(Exception):
    """The client of a long poll is gone: a message received for it now would be lost until its visibility timeout."""


def install() -> None:
    """Correct moto, and lead this process's own AWS clients into it. Call once, before any client is made."""
    parser, table, dynamodb, sqs, queue, message = _classes()
    parser.parse = staticmethod(_parse_event)
    table.__deepcopy__ = lambda original, _memo: original
    table.query = _query
    dynamodb.transact_write_items = _transact
    sqs.receive_message = _receive
    queue.add_message = _add_message
    queue.lambda_event_source_mappings = property(lambda _queue: {}, lambda _queue, _value: None)
    message.visible = property(lambda one: time.time() * 1000 > one.visible_at)
    message.delayed = property(lambda one: time.time() * 1000 < one.delayed_until)
    botocore_stubber.enabled = True


def _classes() -> tuple[Any, ...]:
    """The classes to correct; `Any` because a method is not assignable to a type checker."""
    return EventTemplateParser, Table, DynamoDBBackend, SQSBackend, Queue, Message


def answer(request: Request) -> Response:
    """Handle one request of an AWS client, told apart by the service that it was signed for."""
    signed = CREDENTIAL.search(request.header("authorization") or "")
    if signed is None or signed["service"] not in SERVICES:
        return Response(HTTPStatus.NOT_IMPLEMENTED, b'{"__type":"UnknownService","message":"not a service of this stand-in"}')
    token = _client_left.set(request.client_left)
    try:
        with STATE:
            return _dispatch(signed["service"], signed["region"], request)
    except ClientLeft:
        return Response(HTTPStatus.REQUEST_TIMEOUT)
    finally:
        _client_left.reset(token)


def _dispatch(service: str, region: str, request: Request) -> Response:
    headers = HTTPHeaders()
    for name, value in request.headers:
        headers[name] = value
    url = f"http://{SERVICES[service]}.{region}.amazonaws.com{request.target}"
    prepared = normalize_request(
        AWSPreparedRequest(method=request.method, url=url, headers=headers, body=request.body, stream_output=False)
    )
    handle = _handler("sesv2" if request.path.startswith("/v2/") else service, url.partition("?")[0])
    try:
        status, answered, body = handle(prepared, prepared.raw_url, prepared.headers)
    except HTTPException as error:
        status, answered, body = error.code, error.get_headers(), error.get_body()
    content = body.encode() if isinstance(body, str) else body
    kept = tuple((name, str(value)) for name, value in dict(answered).items() if name.lower() != "content-length")
    return Response(int(status), content, kept)


def _handler(service: str, url: str) -> Any:
    for pattern, handle in _routes(service):
        if pattern.match(url):
            return handle
    raise LookupError(f"moto has no route for {url}")


@cache
def _routes(service: str) -> list[tuple[re.Pattern[str], Any]]:
    find_backend: Any = backends.get_backend  # overloaded on literals
    backend = find_backend(service)[ACCOUNT]["aws" if service == "s3" else "us-east-1"]
    return [(re.compile(url), handle) for url, handle in backend.urls.items()]


# --- EventBridge: moto's envelope lacks the account, and it parses nine JSON paths for each event


_original_parse: Any = EventTemplateParser.parse


def _parse_event(input_template: str | None, input_paths_map: dict[str, Any], event: dict[str, Any]) -> Any:
    """The event as a target gets it; without a template that is the event itself."""
    if input_template:
        return _original_parse(input_template, input_paths_map, event)
    return {field: event[field] for field in EVENT_FIELDS}


# --- DynamoDB: a transaction copies whole tables, and a query reads all of one


_original_transact: Any = DynamoDBBackend.transact_write_items
_original_query: Any = Table.query
_query_signature = inspect.signature(_original_query)


def _transact(backend: Any, transact_items: list[dict[str, dict[str, Any]]]) -> None:
    """Undo the items that a failed transaction touched (`Table.__deepcopy__` makes moto's own copies and its rollback no-ops)."""
    undo = [_remember(backend, operation) for item in transact_items for operation in item.values()]
    try:
        _original_transact(backend, transact_items)
    except Exception:
        for restore in undo:
            restore()
        raise


def _remember(backend: Any, operation: dict[str, Any]) -> Callable[[], None]:
    """A function that puts an item back as it is now."""
    table = backend.tables.get(operation.get("TableName"))
    attributes = operation.get("Key") or operation.get("Item") or {}
    names = [table.hash_key_attr, table.range_key_attr] if table else []
    if not names or any(name and name not in attributes for name in names):
        return lambda: None
    hash_key, range_key = (DynamoType(attributes[name]) if name else None for name in names)
    before = copy.deepcopy(table.get_item(hash_key, range_key))

    def restore() -> None:
        if before is None:
            table.delete_item(hash_key, range_key)
        elif range_key:
            table.items[hash_key][range_key] = before
        else:
            table.items[hash_key] = before

    return restore


def _query(table: Any, *positional: Any, **named: Any) -> Any:
    """Show the query only the partition that it asks for."""
    arguments = _query_signature.bind(table, *positional, **named).arguments
    if arguments.get("index_name"):
        return _original_query(table, *positional, **named)
    everything, hash_key = table.items, arguments["hash_key"]
    table.items = {hash_key: everything[hash_key]} if hash_key in everything else {}
    try:
        return _original_query(table, *positional, **named)
    finally:
        table.items = everything


# --- SQS: a long poll holds the monitor only while it looks


_original_receive: Any = SQSBackend.receive_message
_original_add = Queue.add_message


def _receive(  # noqa: PLR0917  (moto's signature)
    backend: Any,
    queue_name: str,
    count: int,
    wait_seconds_timeout: int,
    visibility_timeout: int,
    message_attribute_names: list[str] | None = None,
) -> Any:
    give_up = time.monotonic() + int(wait_seconds_timeout or 0)
    while True:
        found = _original_receive(backend, queue_name, count, 0, visibility_timeout, message_attribute_names)
        left = give_up - time.monotonic()
        if found or left <= 0:
            return found
        STATE.wait(min(left, LONGEST_WAIT_S))
        if _client_left.get()():
            raise ClientLeft(queue_name)


def _add_message(queue: Any, message: Any) -> None:
    _original_add(queue, message)
    with STATE:
        STATE.notify_all()
