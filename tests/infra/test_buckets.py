"""Buckets are closed and emptied, in moto's S3 and against answers that moto does not give."""

import json
from collections.abc import Iterator
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from moto import mock_aws

from cdk.config import Config
from cdk.delivery import __main__ as delivery
from cdk.delivery.buckets import Buckets, bucket_names
from cdk.delivery.ecs import DeliveryFailed

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
NAMES: Final = bucket_names("staging", ACCOUNT, REGION)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        for name in (*NAMES, "somebody-elses"):
            client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
            client.put_object(Bucket=name, Key="one/object", Body=b"x")
        yield client


def keys(client: Any, bucket: str) -> list[str]:
    return [one["Key"] for one in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_they_are_those_of_the_estate() -> None:
    config = Config.from_context({"env": "staging", "account": ACCOUNT, "email_from": "a@example.com"}, {})

    assert (config.bucket("staging-uptimemonitor-logs"), config.bucket(config.names.ping_bodies_bucket)) == NAMES


def test_everything_is_deleted_and_nothing_can_be_written_any_more(s3: Any) -> None:
    logs, bodies = NAMES
    s3.put_object(Bucket=logs, Key="another", Body=b"")

    assert Buckets(NAMES, s3).empty() == {logs: 2, bodies: 1}

    assert [keys(s3, bucket) for bucket in NAMES] == [[], []]
    assert keys(s3, "somebody-elses") == ["one/object"]
    [said] = json.loads(s3.get_bucket_policy(Bucket=bodies)["Policy"])["Statement"]
    assert (said["Effect"], said["Action"], said["Resource"]) == ("Deny", "s3:PutObject", f"arn:aws:s3:::{bodies}/*")


def test_one_that_is_gone_already_is_no_failure(s3: Any) -> None:
    logs, bodies = NAMES
    assert Buckets(NAMES, s3).empty() == {logs: 1, bodies: 1}
    s3.delete_bucket(Bucket=logs)

    assert Buckets(NAMES, s3).empty() == {bodies: 0}


def test_pages_are_deleted_one_by_one(s3: Any) -> None:
    name = NAMES[0]
    pages = [(None, "a", "more"), ("more", "b", None)]
    with Stubber(s3) as stubber:
        stubber.add_response("put_bucket_policy", {}, {"Bucket": name, "Policy": ANY})
        for asked, key, more in pages:
            page = {"Contents": [{"Key": key}], "IsTruncated": bool(more), **({"NextContinuationToken": more} if more else {})}
            stubber.add_response("list_objects_v2", page, {"Bucket": name, **({"ContinuationToken": asked} if asked else {})})
            stubber.add_response("delete_objects", {}, {"Bucket": name, "Delete": {"Objects": [{"Key": key}], "Quiet": True}})

        assert Buckets((name,), s3).empty() == {name: 2}
        stubber.assert_no_pending_responses()


def test_an_object_that_stays_is_a_failure(s3: Any) -> None:
    with Stubber(s3) as stubber:
        stubber.add_response("put_bucket_policy", {})
        stubber.add_response("list_objects_v2", {"Contents": [{"Key": "a"}]})
        stubber.add_response("delete_objects", {"Errors": [{"Key": "a", "Code": "AccessDenied"}]})
        with pytest.raises(DeliveryFailed, match=f"{NAMES[0]}/a was not deleted: AccessDenied"):
            Buckets(NAMES[:1], s3).empty()


def test_whoever_may_not_close_it_deletes_nothing(s3: Any) -> None:
    with Stubber(s3) as stubber:
        stubber.add_client_error("put_bucket_policy", "AccessDenied")
        with pytest.raises(ClientError, match="AccessDenied"):
            Buckets(NAMES, s3).empty()


@pytest.mark.parametrize(("env", "confirm", "status"), [("staging", "staging", 0), ("staging", "", 1), ("prod", "prod", 1)])
def test_the_step_wants_the_name_again_and_never_takes_prod(s3: Any, env: str, confirm: str, status: int) -> None:
    assert delivery.main(["empty", "--env", env, "--confirm", confirm]) == status
    assert [len(keys(s3, bucket)) for bucket in NAMES] == [status, status]
