"""The buckets of an environment that is about to be destroyed: AWS deletes a bucket only when nothing is in it."""

import json
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from cdk.delivery.ecs import DeliveryFailed
from core.contracts.names import Names

GONE: Final = "NoSuchBucket"


def bucket_names(env: str, account: str, region: str) -> tuple[str, ...]:
    """Those that go with their stack. The bucket of mails that nobody has read stays."""
    return tuple(f"{name}-{account}-{region}" for name in (f"{env}-uptimemonitor-logs", Names(env).ping_bodies_bucket))


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets by their names. `client` is boto3's of S3."""

    names: tuple[str, ...]
    client: Any

    def empty(self) -> dict[str, int]:
        """Let nothing be written any more, and delete what is there; how many objects of which bucket. Repeatable.

        Closed they must be: CloudTrail, Firehose and S3 go on writing logs while the stacks before this one are deleted, for half an hour.

        Raises:
            DeliveryFailed: an object was not deleted.
        """
        found = {}
        for name in self.names:
            try:
                self.client.put_bucket_policy(Bucket=name, Policy=json.dumps(_closed(name)))
            except ClientError as error:
                if error.response["Error"]["Code"] != GONE:
                    raise
                continue
            found[name] = self._delete_objects(name)
        return found

    def _delete_objects(self, name: str) -> int:
        """Nothing has versions here, so what is deleted is gone."""
        count = 0
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=name):
            keys = [{"Key": one["Key"]} for one in page.get("Contents", [])]
            if not keys:
                continue
            answer = self.client.delete_objects(Bucket=name, Delete={"Objects": keys, "Quiet": True})
            for failed in answer.get("Errors", []):
                raise DeliveryFailed(f"{name}/{failed['Key']} was not deleted: {failed['Code']}")
            count += len(keys)
        return count


def _closed(name: str) -> dict[str, Any]:
    """A policy that goes with the stack, in place of the one that says who writes."""
    nobody_writes = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/*"}
    return {"Version": "2012-10-17", "Statement": [nobody_writes]}
