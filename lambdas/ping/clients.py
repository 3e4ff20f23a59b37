"""AWS clients of the ping Lambda, made once at import: a warm invocation only signs and sends."""

import os
from typing import Final

from core.contracts.names import Names
from lambdas.ping.aws import DynamoDb, Events, JsonService, utc_now
from lambdas.ping.sigv4 import Credentials, Signer
from lambdas.ping.wire import Wire

NAMES: Final = Names(os.environ.get("UPTIME_ENV", "local"))


def _credentials() -> Credentials:
    """Those of the function's role: Lambda puts them into the environment, and starts another sandbox before they end."""
    return Credentials(
        os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", ""), os.environ.get("AWS_SESSION_TOKEN")
    )


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _endpoint(service: str) -> str:
    """Where a service is: as the SDKs find it."""
    named = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")
    region = _region()
    return named or f"https://{service}.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _json_service(service: str, target: str, version: str) -> JsonService:
    return JsonService(Wire(_endpoint(service)), Signer(service, _region(), _credentials()), target, version, utc_now)


dynamodb: Final = DynamoDb(_json_service("dynamodb", "DynamoDB_20120810", "1.0"))
events: Final = Events(_json_service("events", "AWSEvents", "1.1"))
