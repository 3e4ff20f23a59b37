"""What IAM asks for a call: the actions and resources of requests as clients send them."""

import json
from typing import Any

import pytest

from tests.permissions.calls import UNKNOWN, Call, Need, arn, needs

TABLE = arn("dynamodb", "table/t")


def asked(service: str, operation: str, body: Any, status: int = 200) -> list[Need]:
    """Of an operation in JSON."""
    return needs(Call("role", service, "POST", "/", {"X-Amz-Target": f"Any.{operation}"}, json.dumps(body).encode(), status))


def test_a_transaction_needs_what_its_parts_need() -> None:
    parts = [{"Put": {"TableName": "t"}}, {"Update": {"TableName": "t"}}, {"Put": {"TableName": "u"}}]
    assert asked("dynamodb", "TransactWriteItems", {"TransactItems": parts}) == [
        Need("dynamodb:PutItem", TABLE),
        Need("dynamodb:PutItem", arn("dynamodb", "table/u")),
        Need("dynamodb:UpdateItem", TABLE),
    ]


def test_batches_of_dynamodb_have_actions_of_their_own_and_those_of_sqs_have_none() -> None:
    assert asked("dynamodb", "BatchGetItem", {"RequestItems": {"t": {}}}) == [Need("dynamodb:BatchGetItem", TABLE)]
    url = "http://127.0.0.1:1/123456789012/q"
    assert asked("sqs", "DeleteMessageBatch", {"QueueUrl": url}) == [Need("sqs:DeleteMessage", arn("sqs", "q"))]


@pytest.mark.parametrize(("status", "more"), [(200, []), (206, []), (404, [Need("s3:ListBucket", "arn:aws:s3:::b")])])
def test_an_object_that_is_not_there_takes_the_right_to_list(status: int, more: list[Need]) -> None:
    path = "/b/bodies/6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506?x-id=GetObject"
    found = needs(Call("role", "s3", "GET", path, {}, b"", status))
    assert found == [Need("s3:GetObject", "arn:aws:s3:::b/bodies/<id>"), *more]


@pytest.mark.parametrize(("content", "actions"), [("Raw", ["ses:SendEmail", "ses:SendRawEmail"]), ("Simple", ["ses:SendEmail"])])
def test_a_mail_needs_its_identity_and_its_configuration_set(content: str, actions: list[str]) -> None:
    body = {"FromEmailAddress": "Ops <ops@example.com>", "Content": {content: {}}, "ConfigurationSetName": "c"}
    found = needs(Call("role", "ses", "POST", "/v2/email/outbound-emails", {}, json.dumps(body).encode(), 200))
    assert found == [Need(one, arn("ses", of)) for one in actions for of in ("configuration-set/c", "identity/example.com")]


def test_a_message_to_a_telephone_has_no_resource() -> None:
    assert needs(Call("role", "sns", "POST", "/", {}, b"Action=Publish&PhoneNumber=%2B49", 200)) == [Need("sns:Publish", "*")]


@pytest.mark.parametrize(("service", "operation"), [("events", "PutRule"), ("kms", "Decrypt"), ("dynamodb", "ListTables")])
def test_what_is_not_known_is_allowed_by_no_policy(service: str, operation: str) -> None:
    assert asked(service, operation, {}) == [Need(f"{service}:{operation}", UNKNOWN)]
