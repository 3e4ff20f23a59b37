"""Where AWS is and who asks, from the environment: what Lambda and the SDKs call these settings."""

import os

from lambdas.signed_aws.aws import JsonService, utc_now
from lambdas.signed_aws.sigv4 import Credentials, Signer
from lambdas.signed_aws.wire import Wire


def credentials() -> Credentials:
    """Those of the function's role: Lambda puts them into the environment, and starts another sandbox before they end."""
    return Credentials(
        os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", ""), os.environ.get("AWS_SESSION_TOKEN")
    )


def region() -> str:
    """The region that everything is in."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "eu-west-1")


def named_endpoint(service: str) -> str | None:
    """An endpoint that is not AWS's own."""
    return os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL") or None


def host(service: str) -> str:
    """AWS's own host of a service."""
    return f"{service}.{region()}.amazonaws.com{'.cn' if region().startswith('cn-') else ''}"


def dynamodb() -> JsonService:
    """DynamoDB."""
    return _json_service("dynamodb", "DynamoDB_20120810", "1.0")


def eventbridge() -> JsonService:
    """EventBridge."""
    return _json_service("events", "AWSEvents", "1.1")


def _json_service(service: str, target: str, version: str) -> JsonService:
    endpoint = named_endpoint(service) or f"https://{host(service)}"
    return JsonService(Wire(endpoint), Signer(service, region(), credentials()), target, version, utc_now)
