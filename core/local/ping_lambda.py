"""The ping Lambda, called as its runtime would: with a proxy event and a context."""

import os
from typing import Any, Final

from core.local.api_gateway import Event
from core.local.lambda_context import LambdaContext
from lambdas.ping.app import PING_METHODS, app

FUNCTION: Final = "ping"
TIMEOUT_S: Final = 10.0
ROUTES: Final[dict[str, frozenset[str]]] = {resource: frozenset(methods) for resource, methods in app.routes.items()}
IS_BINARY: Final = "*/*" in app.api.binary_types

type Result = dict[str, Any]


def invoke(event: Event) -> Result:
    """One invocation; the result is what API Gateway gets (`statusCode`, `headers`, `body` and so on)."""
    context = LambdaContext(FUNCTION, event["requestContext"]["requestId"], os.environ.get("AWS_REGION", ""), TIMEOUT_S)
    return dict(app(event, context))


def is_ping(method: str, parameters: dict[str, str]) -> bool:
    """Whether a routed request is a ping that the Lambda may record."""
    return method in PING_METHODS and "token" in parameters
