"""How the OpenAPI description is made: what the code cannot say by itself.

This runs when the description is written, never in the web process, which serves the file: making it takes two seconds of CPU.
"""

from collections.abc import Iterator
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

from core.api import problem_types
from core.api.problem_types import ProblemType
from core.api.problems import CONTENT_TYPE
from core.api.websites.options import option_components

type Schema = dict[str, Any]

PROBLEM: Schema = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "example": problem_types.VALIDATION.uri},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "With `/problems/validation` only.",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string", "description": "Path in the body, dotted, or the name of a parameter."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """Both kinds of credentials travel as bearer."""

    target_class = "core.api.auth.TokenAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> Schema:  # noqa: ARG002, D102  (inherited)
        return {"type": "http", "scheme": "bearer", "description": "An access token from logging in, or an API key (`upt_…`)."}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """Keys have a header of their own, too."""

    target_class = "core.api.auth.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> Schema:  # noqa: ARG002, D102  (inherited)
        return {"type": "apiKey", "in": "header", "name": "X-Api-Key"}


def only_versioned(endpoints: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """What the description is about.

    That the settings name this hook also loads this module in time, and with it the security schemes.
    """
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]


def add_problem_responses(result: Schema, generator: SchemaGenerator, request: Any, public: bool) -> Schema:  # noqa: ARG001  (a hook)
    """Every operation lists the errors that it can answer with; the rest is under `default`."""
    result["components"].setdefault("schemas", {})["Problem"] = PROBLEM
    result["components"]["schemas"].update(option_components())
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            for kind in _errors_of(path, method, operation):
                operation["responses"].setdefault(str(kind.status), _response(kind.title))
            operation["responses"]["default"] = _response("Any other error.")
    return result


def _errors_of(path: str, method: str, operation: Schema) -> Iterator[ProblemType]:
    if operation.get("requestBody") or operation.get("parameters"):
        yield problem_types.VALIDATION
    if operation.get("security") or "/auth/" in path:
        yield problem_types.UNAUTHENTICATED
    if operation.get("security") and method != "get":
        yield problem_types.FORBIDDEN
    if "{" in path:
        yield problem_types.NOT_FOUND
    if operation.get("requestBody"):
        yield problem_types.TOO_LARGE
        yield problem_types.UNSUPPORTED_MEDIA_TYPE
    if "/auth/" in path or path.endswith(("/check/", "/check-now/")):
        yield problem_types.THROTTLED


def _response(description: str) -> Schema:
    return {"description": description, "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
