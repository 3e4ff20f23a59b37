"""DynamoDB and EventBridge without an SDK: the errors are those that callers of boto3 know, and what is throttled is asked again."""

from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from lambdas.alert_dispatch.signed import ATTEMPTS, SignedClient
from lambdas.signed_aws.aws import AwsError
from lambdas.signed_aws.wire import Unreachable

THROTTLED = AwsError("ThrottlingException", "slow down", {"message": "slow down"})
REFUSED = AwsError("ConditionalCheckFailedException", "no", {"message": "no", "Item": {"id": {"S": "x"}}})


class ScriptedService:
    """Answers one after the other."""

    def __init__(self, *script: dict[str, Any] | Exception) -> None:
        self.script = list(script)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((operation, request))
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(service: ScriptedService, pauses: list[float] | None = None) -> SignedClient:
    return SignedClient(service, ([] if pauses is None else pauses).append)  # type: ignore[arg-type]  # the one call of a service


def test_every_operation_has_its_name() -> None:
    service = ScriptedService({}, {}, {}, {}, {"Entries": []})
    signed = client(service)
    signed.get_item(Key=1)
    signed.put_item(Item=2)
    signed.update_item(Key=3)
    signed.delete_item(Key=4)
    assert signed.put_events(Entries=[5]) == {"Entries": []}
    assert service.asked == [
        ("GetItem", {"Key": 1}),
        ("PutItem", {"Item": 2}),
        ("UpdateItem", {"Key": 3}),
        ("DeleteItem", {"Key": 4}),
        ("PutEvents", {"Entries": [5]}),
    ]


def test_a_refusal_reads_as_boto3s_and_is_not_asked_again() -> None:
    service = ScriptedService(REFUSED)
    with pytest.raises(ClientError) as caught:
        client(service).update_item(Key=1)
    assert caught.value.response["Error"] == {"Code": "ConditionalCheckFailedException", "Message": "no"}
    assert dict(caught.value.response)["Item"] == {"id": {"S": "x"}}
    assert len(service.asked) == 1


def test_what_is_throttled_is_asked_again_after_a_pause() -> None:
    pauses: list[float] = []
    service = ScriptedService(THROTTLED, THROTTLED, {"Item": 1})
    assert client(service, pauses).get_item(Key=1) == {"Item": 1}
    assert [0 <= pause <= 0.2 for pause in pauses] == [True, True]


def test_what_stays_throttled_is_an_error_and_so_is_silence() -> None:
    throttled = ScriptedService(*[THROTTLED] * ATTEMPTS)
    with pytest.raises(ClientError, match="slow down"):
        client(throttled).get_item(Key=1)
    assert throttled.script == []
    silent = ScriptedService(Unreachable("aws.test: TimeoutError"))
    with pytest.raises(HTTPClientError, match=r"aws\.test"):
        client(silent).put_events(Entries=[])
    assert issubclass(HTTPClientError, BotoCoreError)
