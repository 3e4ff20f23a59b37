"""AWS clients of the ping Lambda, made once at import: a warm invocation only signs and sends."""

import os
from typing import Final

from core.contracts.names import Names
from lambdas.signed_aws import environ
from lambdas.signed_aws.aws import Bucket, DynamoDb, Events, utc_now
from lambdas.signed_aws.sigv4 import Signer
from lambdas.signed_aws.wire import Wire

NAMES: Final = Names(os.environ.get("UPTIME_ENV", "local"))


def bucket(name: str) -> Bucket:
    """A bucket: by its own host on AWS, by its path anywhere else."""
    signer, named = Signer("s3", environ.region(), environ.credentials()), environ.named_endpoint("s3")
    if named:
        return Bucket(Wire(named), signer, f"/{name}", utc_now)
    return Bucket(Wire(f"https://{name}.{environ.host('s3')}"), signer, "", utc_now)


dynamodb: Final = DynamoDb(environ.dynamodb())
events: Final = Events(environ.eventbridge())
bodies: Final = bucket(os.environ.get("PING_BODIES_BUCKET") or NAMES.ping_bodies_bucket)
