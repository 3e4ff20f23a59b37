"""Errors as `application/problem+json` (RFC 9457), wherever they come from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from core.api import problem_types
from core.api.problem_types import ProblemType
from core.logs import get_logger

CONTENT_TYPE = "application/problem+json"
RETRY_SOON_S = 5

log = get_logger(__name__)

_BY_EXCEPTION: tuple[tuple[type[BaseException], ProblemType], ...] = (
    (RequestDataTooBig, problem_types.TOO_LARGE),
    (UnreadablePostError, problem_types.MALFORMED),
    (exceptions.ParseError, problem_types.MALFORMED),
    (exceptions.AuthenticationFailed, problem_types.UNAUTHENTICATED),
    (exceptions.NotAuthenticated, problem_types.UNAUTHENTICATED),
    (exceptions.PermissionDenied, problem_types.FORBIDDEN),
    (PermissionDenied, problem_types.FORBIDDEN),
    (exceptions.NotFound, problem_types.NOT_FOUND),
    (Http404, problem_types.NOT_FOUND),
    (exceptions.MethodNotAllowed, problem_types.METHOD_NOT_ALLOWED),
    (exceptions.UnsupportedMediaType, problem_types.UNSUPPORTED_MEDIA_TYPE),
    (exceptions.Throttled, problem_types.THROTTLED),
)


class Problem(exceptions.APIException):
    """An error of a given type, raised by views and services."""

    def __init__(self, kind: ProblemType, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.status_code = kind.status


class FieldError(exceptions.ValidationError):
    """One field is not valid. `field` is its path in the body, dotted, or the name of a query parameter."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__({field: [exceptions.ErrorDetail(message, code)]})


def problem(kind: ProblemType, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """The body of an error. `errors` is there for `validation` only."""
    body: dict[str, Any] = {"type": kind.uri, "title": kind.title, "status": kind.status, "detail": printable(detail)}
    return body | {"errors": list(errors)} if errors else body


def problem_response(error: Exception, _context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. None lets the error go on to `handler500`, which logs it with its traceback."""
    if isinstance(error, OperationalError):
        log.error("api.database_unavailable", exc_info=error)
        return _response(
            problem(problem_types.UNAVAILABLE, problem_types.UNAVAILABLE.meaning), {"Retry-After": str(RETRY_SOON_S)}
        )
    if isinstance(error, exceptions.ValidationError):
        errors = list(flatten(error.detail))
        detail = "; ".join(f"{e['field']}: {e['message']}" if e["field"] else e["message"] for e in errors)
        return _response(problem(problem_types.VALIDATION, detail, errors), {})
    kind = _kind_of(error)
    if kind is None:
        return None
    detail = str(error.detail) if isinstance(error, exceptions.APIException) else kind.meaning
    return _response(problem(kind, detail), _headers(error))


def flatten(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested error details as `{field, code, message}`; nested fields are dotted, members of lists numbered."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from flatten(inner, _join(path, str(name)))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from flatten(inner, path if isinstance(inner, str) else _join(path, str(index)))
    else:
        yield {"field": printable(path), "code": getattr(detail, "code", "invalid"), "message": printable(str(detail))}


def printable(text: str) -> str:
    """Text that any JSON reader takes: lone surrogates, which JSON can carry and UTF-8 cannot, are replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def plain_response(kind: ProblemType, detail: str = "") -> HttpResponse:
    """A problem outside of DRF."""
    body = json.dumps(problem(kind, detail or kind.meaning))
    return HttpResponse(body, status=kind.status, content_type=CONTENT_TYPE)


def bad_request(_request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler400`, e.g. for a host that is not allowed."""
    return plain_response(problem_types.MALFORMED, str(exception))


def not_found(_request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  (Django passes it by name)
    """Django's `handler404`: an address that no route has. The exception lists all routes, so it is not shown."""
    return plain_response(problem_types.NOT_FOUND, "There is nothing at this address.")


def server_error(_request: HttpRequest) -> HttpResponse:
    """Django's `handler500`; Django has logged the traceback."""
    return plain_response(problem_types.INTERNAL)


def _kind_of(error: Exception) -> ProblemType | None:
    if isinstance(error, Problem):
        return error.kind
    return next((kind for exception, kind in _BY_EXCEPTION if isinstance(error, exception)), None)


def _headers(error: Exception) -> dict[str, str]:
    headers: dict[str, str] = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    if isinstance(error, Problem) and error.status_code == problem_types.UNAVAILABLE.status:
        headers["Retry-After"] = str(RETRY_SOON_S)
    return headers


def _response(body: dict[str, Any], headers: Mapping[str, str]) -> Response:
    return Response(body, status=body["status"], headers=dict(headers), content_type=CONTENT_TYPE)


def _join(path: str, name: str) -> str:
    if name == "non_field_errors":
        return path
    return f"{path}.{name}" if path else name
