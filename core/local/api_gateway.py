"""API Gateway's REST proxy integration: routes, the event for the Lambda, its result back to HTTP. Pure."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from core.local.http_listener import Request, Response
from core.local.lambda_context import ACCOUNT

STAGE: Final = "api"
PAYLOAD_LIMIT: Final = 6 * 1024 * 1024
"""Bytes of an event that Lambda takes."""

API_ID: Final = "onebox0000"

type Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """What a request goes to: the resource (`/ping/{token}`) and the values of its path parameters."""

    resource: str
    parameters: Mapping[str, str]


def find_route(routes: Mapping[str, Iterable[str]], method: str, path: str) -> Route | None:
    """The route of `/<stage>/...`, or None where API Gateway has none. One trailing slash is ignored; names do not match empty parts."""
    parts = path.removesuffix("/").split("/")
    if parts[:2] != ["", STAGE]:
        return None
    for resource, methods in routes.items():
        names = resource.strip("/").split("/")
        parameters = _parameters(names, parts[2:])
        if parameters is not None and method in methods:
            return Route(resource, parameters)
    return None


def _parameters(names: Sequence[str], parts: Sequence[str]) -> dict[str, str] | None:
    if len(names) != len(parts):
        return None
    found = {}
    for name, part in zip(names, parts, strict=True):
        if name.startswith("{"):
            found[name[1:-1]] = part
        elif name != part:
            return None
    return found if all(found.values()) else None


def proxy_event(request: Request, route: Route, request_id: UUID, now_ms: int, *, binary: bool) -> Event:
    """The event that a Lambda behind `route` gets. `binary`: the API declares all bodies binary, so they travel as base64."""
    headers = [*request.headers, ("X-Forwarded-For", request.client_ip), ("X-Forwarded-Proto", "http")]
    query = request.query
    return {
        "resource": route.resource,
        "path": request.path.removeprefix(f"/{STAGE}"),
        "httpMethod": request.method,
        "headers": dict(headers),
        "multiValueHeaders": _collect(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _collect(query) or None,
        "pathParameters": dict(route.parameters) or None,
        "stageVariables": None,
        "requestContext": _context(request, route, request_id, now_ms),
        "body": _encode(request.body, binary=binary),
        "isBase64Encoded": binary and bool(request.body),
    }


def _context(request: Request, route: Route, request_id: UUID, now_ms: int) -> Event:
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return {
        "accountId": ACCOUNT,
        "apiId": API_ID,
        "domainName": request.header("host") or "",
        "domainPrefix": API_ID,
        "extendedRequestId": str(request_id),
        "httpMethod": request.method,
        "identity": {"sourceIp": request.client_ip, "userAgent": request.header("user-agent"), "accountId": None, "user": None},
        "path": request.path,
        "protocol": "HTTP/1.1",
        "requestId": str(request_id),
        "requestTime": f"{moment:%d/%b/%Y:%H:%M:%S +0000}",
        "requestTimeEpoch": now_ms,
        "resourceId": "000000",
        "resourcePath": route.resource,
        "stage": STAGE,
    }


def _collect(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    collected: dict[str, list[str]] = {}
    for name, value in pairs:
        collected.setdefault(name, []).append(value)
    return collected


def _encode(body: bytes, *, binary: bool) -> str | None:
    if not body:
        return None
    return base64.b64encode(body).decode() if binary else body.decode("utf-8", "replace")


def to_response(result: Mapping[str, Any], request_id: UUID) -> Response:
    """What the client gets for a Lambda's result."""
    multiple: Mapping[str, Sequence[str]] = result.get("multiValueHeaders") or {}
    headers = [(name, value) for name, values in multiple.items() for value in values]
    headers += [(name, str(value)) for name, value in (result.get("headers") or {}).items() if name not in multiple]
    body = result.get("body") or ""
    content = base64.b64decode(body) if result.get("isBase64Encoded") else str(body).encode()
    return Response(int(result["statusCode"]), content, (*headers, ("x-amzn-RequestId", str(request_id))))


def refusal(status: HTTPStatus, message: str) -> Response:
    """An answer of API Gateway itself."""
    return Response(status, f'{{"message":"{message}"}}'.encode())


NO_ROUTE: Final = refusal(HTTPStatus.FORBIDDEN, "Missing Authentication Token")
TOO_LARGE: Final = refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Too Long")
LAMBDA_FAILED: Final = refusal(HTTPStatus.BAD_GATEWAY, "Internal server error")
