"""The ping Lambda's own way to AWS: signatures as botocore's, connections that are kept, what is tried again, and how errors read."""

import json
import select
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from lambdas.signed_aws.aws import AwsError, Bucket, DynamoDb, JsonService
from lambdas.signed_aws.sigv4 import Credentials, Signer
from lambdas.signed_aws.wire import ATTEMPTS, Unreachable, Wire
from tests.conftest import free_port
from tests.raw_server import Script, raw_server

NOW = datetime(2026, 11, 28, 12, 30, 5, tzinfo=UTC)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}"
PLAIN = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


def botocores(service: str, url: str, headers: dict[str, str], body: bytes, credentials: Credentials) -> dict[str, str]:
    """What botocore makes of the same PUT at the same time."""
    request = AWSRequest("PUT", url, data=body, headers={k: v for k, v in headers.items() if k != "Host"})
    if service == "s3":
        request.context["payload_signing_enabled"] = True
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    keys = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    with patch.object(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        signer(keys, service, "eu-west-1").add_auth(request)
    return dict(request.headers)


@given(st.sampled_from(["dynamodb", "events", "s3"]), st.binary(max_size=200), PLAIN, PLAIN, st.none() | PLAIN)
def test_a_request_is_signed_as_botocore_signs_it(service: str, body: bytes, access: str, secret: str, token: str | None) -> None:
    path = "/bucket/0190f5c2/5e1d" if service == "s3" else "/"
    headers = {"Host": "aws.test:8443", "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "A.B"}
    credentials = Credentials(access, secret, token)
    expected = botocores(service, f"https://aws.test:8443{path}", headers, body, credentials)
    signed = Signer(service, "eu-west-1", credentials).sign("PUT", path, headers, body, NOW)
    assert signed["Authorization"] == expected["Authorization"]
    assert {name.lower() for name in signed} == {name.lower() for name in expected} | {"host"}


def test_the_signing_key_follows_the_day() -> None:
    signer, headers = Signer("events", "eu-west-1", Credentials("a", "b")), {"Host": "aws.test"}
    first = signer.sign("POST", "/", headers, b"", NOW)
    signer.sign("POST", "/", headers, b"", NOW.replace(day=29))
    assert signer.sign("POST", "/", headers, b"", NOW) == first


@contextmanager
def wire_to(script: Script) -> Iterator[tuple[Wire, list[bytes], list[float]]]:
    pauses: list[float] = []
    with raw_server(script) as server:
        wire = Wire(f"http://127.0.0.1:{server.port}", pause=pauses.append, jitter=lambda: 1.0)
        yield wire, server.requests, pauses
        wire.close()


def send(wire: Wire) -> tuple[int, bytes]:
    return wire.send("POST", "/", b"body", lambda: {"Host": wire.host})


def test_a_connection_is_kept() -> None:
    with wire_to([[OK, OK, OK]]) as (wire, requests, _):
        assert [send(wire) for _ in range(3)] == [(200, b"{}")] * 3
        assert len(requests) == 3


def test_a_connection_that_was_closed_while_idle_is_not_used_again() -> None:
    with wire_to([[OK], [OK]]) as (wire, requests, pauses):
        assert send(wire)[0] == 200
        assert select.select([wire._idle[0]], [], [], 10)[0], "the end of the connection is there"
        assert send(wire)[0] == 200
        assert (len(requests), pauses) == (2, [])


def test_errors_of_the_server_are_tried_again_with_growing_pauses() -> None:
    with wire_to([[BROKEN, BROKEN, OK]]) as (wire, _, pauses):
        assert send(wire) == (200, b"{}")
        assert pauses == [0.1, 0.2]


def test_an_error_that_stays_is_the_answer() -> None:
    with wire_to([[BROKEN] * ATTEMPTS]) as (wire, requests, _):
        assert send(wire)[0] == 500
        assert len(requests) == ATTEMPTS


def test_a_server_that_hangs_up_is_tried_on_another_connection() -> None:
    with wire_to([[None], [OK]]) as (wire, _, _pauses):
        assert send(wire) == (200, b"{}")


def test_nobody_there_is_said_so() -> None:
    port = free_port()
    with pytest.raises(Unreachable, match="refused"):
        send(Wire(f"http://127.0.0.1:{port}", pause=lambda _: None))


def answer(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("body", "code", "reasons"),
    [
        (b'{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow"}', "ThrottlingException", []),
        (
            b'{"__type":"x#TransactionCanceledException","Message":"m","CancellationReasons":[{"Code":"None"},{"Code":"TransactionConflict"}]}',
            "TransactionCanceledException",
            ["None", "TransactionConflict"],
        ),
        (b"<html>proxy</html>", "Http400", []),
        (b"[]", "Http400", []),
    ],
)
def test_an_error_has_its_name(body: bytes, code: str, reasons: list[str]) -> None:
    with wire_to([[answer(400, body)]]) as (wire, _, _pauses), pytest.raises(AwsError) as caught:
        service(wire).get_item(TableName="t")
    assert (caught.value.code, caught.value.reasons) == (code, reasons)


@pytest.mark.parametrize(
    ("status", "body", "found"), [(206, b"abcd", b"abcd"), (200, b"abcdefgh", b"abcd"), (416, b"<Error/>", b"")]
)
def test_the_beginning_of_an_object_is_read(status: int, body: bytes, found: bytes) -> None:
    """A server may ignore the range, and an empty object has none."""
    with wire_to([[answer(status, body)]]) as (wire, requests, _):
        assert bucket(wire).get("a", 4) == found
    assert b"\r\nRange: bytes=0-3\r\n" in requests[0]
    assert b"SignedHeaders=host;range;" in requests[0]


def test_an_object_that_is_not_there_is_told_from_one_that_is_refused() -> None:
    with wire_to([[answer(404, b"<Error/>"), answer(403, b"<Error/>")]]) as (wire, _, _pauses):
        for code in ("Http404", "Http403"):
            with pytest.raises(AwsError) as caught:
                bucket(wire).get("a", 4)
            assert caught.value.code == code


def bucket(wire: Wire) -> Bucket:
    return Bucket(wire, Signer("s3", "eu-west-1", Credentials("a", "b")), "/bucket", lambda: NOW)


def test_the_attempts_of_a_transaction_have_one_token() -> None:
    with wire_to([[BROKEN, OK, OK]]) as (wire, requests, _):
        table = service(wire)
        table.transact_write_items(TransactItems=[])
        table.transact_write_items(TransactItems=[])
        tokens: list[Any] = [json.loads(request.partition(b"\r\n\r\n")[2])["ClientRequestToken"] for request in requests]
    assert tokens[0] == tokens[1] != tokens[2]


def service(wire: Wire) -> DynamoDb:
    return DynamoDb(
        JsonService(wire, Signer("dynamodb", "eu-west-1", Credentials("a", "b")), "DynamoDB_20120810", "1.0", lambda: NOW)
    )
