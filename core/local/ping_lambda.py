"""The ping Lambda, called as its runtime would: with a proxy event and a context."""

import os
from collections.abc import Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from core.local.api_gateway import Event
from core.local.lambda_context import LambdaContext
from lambdas.ping import address as addresses
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


def pinged(method: str, parameters: Mapping[str, str]) -> UUID | None:
    """What a request pings, for the order of those that wait: the heartbeat, or an id made of its name; None for what is no ping."""
    if method not in PING_METHODS or "token" not in parameters:
        return None
    try:
        address = addresses.read(parameters["token"], parameters.get("name"), parameters.get("action"))
    except addresses.BadRequest:
        return None
    return UUID(address.heartbeat_id) if address.heartbeat_id else uuid5(NAMESPACE_URL, f"{address.ping_key}/{address.slug}")
