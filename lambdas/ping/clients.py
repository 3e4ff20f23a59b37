"""AWS clients of the ping Lambda, made once at import: a warm invocation only signs and sends."""

import os
from typing import Final

from core.contracts.names import Names
from lambdas.ping.aws import Bucket, DynamoDb, Events, JsonService, utc_now
from lambdas.ping.sigv4 import Credentials, Signer
from lambdas.ping.wire import Wire

NAMES: Final = Names(os.environ.get("UPTIME_ENV", "local"))


def _credentials() -> Credentials:
    """Those of the function's role: Lambda puts them into the environment, and starts another sandbox before they end."""
    return Credentials(
        os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", ""), os.environ.get("AWS_SESSION_TOKEN")
    )


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "eu-west-1")


def _named_endpoint(service: str) -> str | None:
    return os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL") or None


def _host(service: str) -> str:
    region = _region()
    return f"{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _endpoint(service: str) -> str:
    """Where a service is: as the SDKs find it."""
    return _named_endpoint(service) or f"https://{_host(service)}"


def _json_service(service: str, target: str, version: str) -> JsonService:
    return JsonService(Wire(_endpoint(service)), Signer(service, _region(), _credentials()), target, version, utc_now)


def bucket(name: str) -> Bucket:
    """A bucket: by its own host on AWS, by its path anywhere else."""
    signer, named = Signer("s3", _region(), _credentials()), _named_endpoint("s3")
    if named:
        return Bucket(Wire(named), signer, f"/{name}", utc_now)
    return Bucket(Wire(f"https://{name}.{_host('s3')}"), signer, "", utc_now)


dynamodb: Final = DynamoDb(_json_service("dynamodb", "DynamoDB_20120810", "1.0"))
events: Final = Events(_json_service("events", "AWSEvents", "1.1"))
bodies: Final = bucket(os.environ.get("PING_BODIES_BUCKET") or NAMES.ping_bodies_bucket)
