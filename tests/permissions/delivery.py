"""The calls of `cdk/delivery` as botocore is about to send them: workflows run it, with the role of the deployer."""

import json
from functools import cache
from typing import Any, Final

import boto3
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from cdk.delivery import images
from cdk.delivery.ecs import Cluster
from tests.infra.test_delivery import Ecs, Time
from tests.permissions.calls import REGION, Call, Need, needs

ENVIRONMENT: Final = "staging"
IMAGE: Final = {"imageDetails": [{"imageSizeInBytes": 1}]}
OK: Final = 200


@cache
def delivery_needs() -> list[Need]:
    """What a deployment of staging needs: its image is weighed, the migration run, every service rolled out."""
    calls: list[Call] = []
    ecs, time = Ecs(), Time()

    def client(service: str) -> Any:
        """A client whose calls are noted, and answered before they leave."""

        def note(model: Any, params: Any, **_: Any) -> Any:
            calls.append(Call("deployer", service, params["method"], params["url_path"], params["headers"], params["body"], OK))
            answer = IMAGE if service == "ecr" else getattr(ecs, xform_name(model.name))(**json.loads(params["body"]))
            return AWSResponse("", OK, HTTPHeaders(), None), answer

        made: Any = boto3.client(service, region_name=REGION)  # type: ignore[call-overload]  # the name is a variable
        made.meta.events.register(f"before-call.{service}", note)
        return made

    images.weigh(client("ecr"), ENVIRONMENT, "latest")
    cluster = Cluster(ENVIRONMENT, client("ecs"), time.pause, time.clock)
    cluster.migrate()
    cluster.roll()
    return sorted({need for call in calls for need in needs(call)})
