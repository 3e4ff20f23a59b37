"""The calls to AWS that the Lambdas make for every message, in plain dictionaries and bytes (ADR 120 says why not through an SDK)."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from lambdas.signed_aws.sigv4 import Signer
from lambdas.signed_aws.wire import Unreachable, Wire

OK: Final = 200
PARTIAL: Final = 206
NOTHING_THERE: Final = 416
"""Answer to a range of an empty object."""

type Document = dict[str, Any]


class AwsError(Exception):
    """AWS refused. `code` is the name of the error (`ConditionalCheckFailedException`), `answer` its JSON."""

    def __init__(self, code: str, message: str = "", answer: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.answer: Mapping[str, Any] = answer or {}

    @property
    def reasons(self) -> list[str]:
        """Why each part of a transaction was cancelled, `None` for a part that had no trouble; empty for other errors."""
        return [str(reason.get("Code", "None")) for reason in self.answer.get("CancellationReasons", [])]


OUTAGES: Final = (AwsError, Unreachable)
"""What a call raises when AWS could not be used."""


class JsonService:
    """A service with a JSON protocol: every operation is a POST to `/`. `target` and `version` are its names in the headers."""

    def __init__(self, wire: Wire, signer: Signer, target: str, version: str, clock: Callable[[], datetime]) -> None:
        self._wire = wire
        self._signer = signer
        self._target = target
        self._clock = clock
        self._headers = {"Host": wire.host, "Content-Type": f"application/x-amz-json-{version}"}

    def call(self, operation: str, request: Document) -> Document:
        """The answer to one operation.

        Raises:
            AwsError: it was refused.
            Unreachable: nobody answered; it may have been done.
        """
        body = json.dumps(request, separators=(",", ":")).encode()
        headers = {**self._headers, "X-Amz-Target": f"{self._target}.{operation}"}
        status, content = self._wire.send("POST", "/", body, lambda: self._signer.sign("POST", "/", headers, body, self._clock()))
        if status != OK:
            raise _refusal(status, content)
        answer: Document = json.loads(content or b"{}")
        return answer


class DynamoDb:
    """The four operations on items; arguments and answers are those of the API, binary values as base64."""

    def __init__(self, service: JsonService) -> None:
        self._service = service

    def get_item(self, **request: Any) -> Document:
        """GetItem."""
        return self._service.call("GetItem", request)

    def update_item(self, **request: Any) -> Document:
        """UpdateItem."""
        return self._service.call("UpdateItem", request)

    def transact_write_items(self, **request: Any) -> Document:
        """TransactWriteItems; the attempts of one call are one transaction."""
        return self._service.call("TransactWriteItems", {**request, "ClientRequestToken": str(uuid4())})


class Events:
    """EventBridge."""

    def __init__(self, service: JsonService) -> None:
        self._service = service

    def put_events(self, **request: Any) -> Document:
        """PutEvents."""
        return self._service.call("PutEvents", request)


class Bucket:
    """A bucket of S3. `root` is the path of the bucket: empty where the host names it, `/<bucket>` on one box."""

    def __init__(self, wire: Wire, signer: Signer, root: str, clock: Callable[[], datetime]) -> None:
        self._wire = wire
        self._signer = signer
        self._root = root
        self._clock = clock

    def put(self, key: str, body: bytes) -> None:
        """Store an object; `key` needs no quoting.

        Raises:
            AwsError: it was refused.
            Unreachable: nobody answered; it may be there.
        """
        status, content = self._request("PUT", key, body, {"Content-Type": "application/octet-stream"})
        if status != OK:
            raise _bucket_refusal(status, content)

    def get(self, key: str, limit: int) -> bytes:
        """The first `limit` bytes of an object, all of a shorter one; `key` needs no quoting.

        Raises:
            AwsError: it was refused; `Http404` if there is no such object.
            Unreachable: nobody answered.
        """
        status, content = self._request("GET", key, b"", {"Range": f"bytes=0-{limit - 1}"})
        if status == NOTHING_THERE:
            return b""
        if status not in {OK, PARTIAL}:
            raise _bucket_refusal(status, content)
        return content[:limit]

    def _request(self, method: str, key: str, body: bytes, more: Mapping[str, str]) -> tuple[int, bytes]:
        path, headers = f"{self._root}/{key}", {"Host": self._wire.host, **more}
        return self._wire.send(method, path, body, lambda: self._signer.sign(method, path, headers, body, self._clock()))


def utc_now() -> datetime:
    """The time that requests are signed with."""
    return datetime.now(UTC)


def _bucket_refusal(status: int, content: bytes) -> AwsError:
    """The error in an answer of S3, whose protocol is XML."""
    return AwsError(f"Http{status}", content[:200].decode("utf-8", "replace"))


def _refusal(status: int, content: bytes) -> AwsError:
    """The error in an answer that is not 200; what stands between us and AWS may answer anything."""
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return AwsError(f"Http{status}", content[:200].decode("utf-8", "replace"))
    code = str(answer.get("__type") or f"Http{status}").rpartition("#")[2]
    return AwsError(code, str(answer.get("message") or answer.get("Message") or ""), answer)
