"""AWS as cheap as it can be: an HTTP server that gives the SDKs plausible answers, so that what is measured is the SDKs' own cost.

It remembers nothing but the channel vault's items. `python -m tests.perf.canned_aws` prints its port and runs until killed.
"""

import asyncio
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from uuid import uuid4

import uvloop

from core.contracts.event_examples import DATA
from core.contracts.events import HeartbeatPinged, Metadata, encode
from core.contracts.names import EVENT_SOURCE

type Operation = Callable[[dict[str, Any]], dict[str, Any]]

HEAD = """HTTP/1.1 200 OK
Content-Type: application/x-amz-json-1.0
x-amzn-RequestId: {id}
x-amz-crc32: {crc}
Content-Length: {size}

""".replace("\n", "\r\n")
WORKSPACE = {"S": "0190f5c2-0000-7000-8000-000000000000"}


class CannedAws:
    """Answers by operation. `put_events` may be replaced by something that keeps the events."""

    def __init__(self, put_events: Operation | None = None) -> None:
        self._sequence = 0
        self._vault: dict[str, dict[str, Any]] = {}
        self._message = _ping_message()
        self._operations: dict[str, Operation] = {
            "UpdateItem": self._update_item,
            "PutItem": self._put_item,
            "GetItem": self._get_item,
            "DescribeTable": self._describe_table,
            "PutEvents": put_events or self._put_events,
            "BatchGetItem": self._batch_get_item,
            "BatchWriteItem": lambda _: {"UnprocessedItems": {}},
            "TransactWriteItems": lambda _: {},
            "Query": lambda _: {"Items": [], "Count": 0, "ScannedCount": 0},
            "GetQueueUrl": lambda asked: {"QueueUrl": f"http://127.0.0.1/{asked['QueueName']}"},
            "ReceiveMessage": self._receive_message,
            "DeleteMessageBatch": lambda asked: {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []},
        }

    def answer(self, target: str, body: bytes) -> bytes:
        """The whole HTTP answer to a request for `target` (the header X-Amz-Target)."""
        content = json.dumps(self._operations[target.rpartition(".")[2]](json.loads(body))).encode()
        return HEAD.format(id=uuid4(), crc=zlib.crc32(content), size=len(content)).encode() + content

    def _update_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("ReturnValues", "NONE") == "NONE":
            return {}
        self._sequence += 1
        return {"Attributes": {**asked["Key"], "sequence": {"N": str(self._sequence)}, "workspace_id": WORKSPACE}}

    def _put_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "ciphertext" in asked["Item"]:
            self._vault[asked["Item"]["channel_id"]["S"]] = asked["Item"]
        return {}

    def _get_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        item = self._vault.get(asked["Key"].get("channel_id", {}).get("S", ""))
        return {"Item": item} if item else {}

    def _describe_table(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The channel vault is the one table that is described (by PynamoDB, once)."""
        keys = (("channel_id", "HASH", "S"), ("version", "RANGE", "N"))
        schema = [{"AttributeName": name, "KeyType": key} for name, key, _ in keys]
        attributes = [{"AttributeName": name, "AttributeType": kind} for name, _, kind in keys]
        return {
            "Table": {
                "TableName": asked["TableName"],
                "TableStatus": "ACTIVE",
                "KeySchema": schema,
                "AttributeDefinitions": attributes,
            }
        }

    def _put_events(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(uuid4())} for _ in asked["Entries"]]}

    def _batch_get_item(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Every heartbeat has an item, and never pinged again."""
        answers = {
            table: [{**key, "workspace_id": WORKSPACE, "sequence": {"N": "1"}} for key in part["Keys"]]
            for table, part in asked["RequestItems"].items()
        }
        return {"Responses": answers, "UnprocessedKeys": {}}

    def _receive_message(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            "Messages": [
                {"MessageId": str(uuid4()), "ReceiptHandle": str(uuid4()) * 8, "MD5OfBody": "", "Body": self._message}
                for _ in range(asked["MaxNumberOfMessages"])
            ]
        }


class Connection(asyncio.Protocol):
    """One kept-alive connection; requests come one after the other."""

    def __init__(self, aws: CannedAws) -> None:
        self._aws = aws
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer once a request is complete."""
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        headers = _headers(head)
        if len(body) < int(headers.get("content-length", "0")):
            return
        self._buffer = b""
        self._transport.write(self._aws.answer(headers["x-amz-target"], body))


@contextmanager
def in_thread(aws: CannedAws) -> Iterator[str]:
    """Serve from a thread of this process; the endpoint's URL."""
    loop = asyncio.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    server = loop.run_until_complete(loop.create_server(lambda: Connection(aws), sock=listener))
    thread = threading.Thread(target=loop.run_forever, name="canned-aws", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(server.abort_clients)
        loop.call_soon_threadsafe(loop.call_soon, loop.stop)
        thread.join()
        loop.close()


def _headers(head: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in lines}


def _ping_message() -> str:
    data = next(example for example in DATA if isinstance(example, HeartbeatPinged))
    metadata = Metadata(event_id=uuid4(), occurred_at=data.pinged_at, workspace_id=uuid4(), correlation_id=data.ping_id)
    detail = json.loads(encode(metadata, data))
    return json.dumps({"version": "0", "source": EVENT_SOURCE, "detail-type": HeartbeatPinged.__name__, "detail": detail})


async def serve() -> None:
    """Listen on loopback until killed."""
    aws = CannedAws()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(aws), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  (how the benchmark learns the port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
