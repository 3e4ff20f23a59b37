"""The calls of `cdk/delivery` as botocore is about to send them: workflows run it, with the role of the deployer."""

import json
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from cdk.delivery import images
from cdk.delivery.buckets import Buckets, bucket_names
from cdk.delivery.ecs import Cluster
from tests.infra.test_delivery import Ecs, Time
from tests.permissions.calls import ACCOUNT, REGION, Call, Need, needs

ENVIRONMENT: Final = "staging"
ANSWERS: Final[dict[str, Any]] = {
    "DescribeImages": {"imageDetails": [{"imageSizeInBytes": 1}]},
    "ListObjectsV2": {"Contents": [{"Key": "an/object"}]},
    "PutBucketPolicy": {"ResponseMetadata": {}},
    "DeleteObjects": {"Deleted": []},
}
"""Those of services other than ECS."""
OK: Final = 200
PATHS: Final = Config(s3={"addressing_style": "path"})
"""Calls of S3 name their bucket where `needs` reads it."""


@cache
def delivery_needs(*, may_be_destroyed: bool) -> list[Need]:
    """What a deployment of staging needs: its image is weighed, the migration run, every service rolled out; and what its end needs."""
    calls: list[Call] = []
    ecs, time = Ecs(), Time()

    def client(service: str) -> Any:
        """A client whose calls are noted, and answered before they leave."""

        def note(model: Any, params: Any, **_: Any) -> Any:
            parts = urlsplit(params["url"])
            asked = params["method"], f"{parts.path}?{parts.query}"
            calls.append(Call("deployer", service, *asked, params["headers"], params["body"], OK))
            answer = ANSWERS.get(model.name) or getattr(ecs, xform_name(model.name))(**json.loads(params["body"]))
            return AWSResponse("", OK, HTTPHeaders(), None), answer

        made: Any = boto3.client(service, region_name=REGION, config=PATHS)  # type: ignore[call-overload]  # the name is a variable
        made.meta.events.register(f"before-call.{service}", note)
        return made

    images.weigh(client("ecr"), ENVIRONMENT, "latest")
    cluster = Cluster(ENVIRONMENT, client("ecs"), time.pause, time.clock)
    cluster.migrate()
    cluster.roll()
    if may_be_destroyed:
        Buckets(bucket_names(ENVIRONMENT, ACCOUNT, REGION), client("s3")).empty()
    return sorted({need for call in calls for need in needs(call)})
