"""Around every request: its log line and its metric, headers, and addresses without a trailing slash."""

import logging
import re
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from uuid_utils.compat import uuid7

from core.api import problem_types
from core.api.problems import plain_response
from core.logs import get_logger
from core.metrics import API_REQUESTS

type GetResponse = Callable[[HttpRequest], HttpResponse]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUIET_PREFIXES = ("/health/", "/metrics")
"""Asked every few seconds by machines: logged when they fail only."""
_WITH_TOKEN = re.compile(r"((?:acknowledge|unsubscribe|verify)/+)[^/].*", re.IGNORECASE | re.DOTALL)
"""Whoever has the address of such a page may do what it is for. Wherever it stands: a link that was copied badly holds the token, too."""

SAFE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

log = get_logger(__name__)


class RequestLog:
    """Gives the request its id, logs it, counts it. `X-Request-Id` of the caller is kept, so that one id goes through all systems."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, then record."""
        started = time.perf_counter()
        given = request.headers.get("X-Request-Id", "")
        request_id = given if SAFE_REQUEST_ID.fullmatch(given) else str(uuid7())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self._get_response(request)
        response["X-Request-Id"] = request_id
        self._record(request, response, (time.perf_counter() - started) * 1000)
        return response

    @staticmethod
    def _record(request: HttpRequest, response: HttpResponse, duration_ms: float) -> None:
        method = request.method if request.method in METHODS else "OTHER"
        API_REQUESTS.labels(endpoint_of(request), method, str(response.status_code)).inc()
        if response.status_code < 400 and request.path.startswith(QUIET_PREFIXES):  # noqa: PLR2004  (an HTTP status)
            return
        log.info(
            "request.finished",
            method=method,
            path=shown(request.path),
            endpoint=endpoint_of(request),
            status_code=response.status_code,
            duration_ms=round(duration_ms, 2),
        )


class SecurityHeaders:
    """Answers are data for programs: nothing may frame, sniff, run, cache or refer to them."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._headers = {
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        if settings.PUBLIC_URL.startswith("https://"):
            self._headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with headers. A host that `ALLOWED_HOSTS` does not list raises here."""
        request.get_host()
        response = self._get_response(request)
        for name, value in self._headers.items():
            response.headers.setdefault(name, value)
        return response


class WholeBodies:
    """WSGI tells the length of a body by its header alone: one that comes in chunks would be read as no body at all."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, unless there is a body that cannot be read."""
        if "Transfer-Encoding" in request.headers and "Content-Length" not in request.headers:
            return plain_response(problem_types.LENGTH_REQUIRED)
        return self._get_response(request)


class TrailingSlash:
    """`/api/v1/websites` means `/api/v1/websites/` for every method; a redirect would turn a POST into a GET."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer as if the slash had been there."""
        if not request.path_info.endswith("/"):
            request.path_info += "/"
        return self._get_response(request)


def shown(path: str) -> str:
    """A path as it may stand in a log: without the token of a link that was sent to somebody."""
    return _WITH_TOKEN.sub(r"\1…", path)


def tracebacks_only(record: logging.LogRecord) -> bool:
    """A filter for Django's own lines about requests: every answer has a line of ours already, so what they add is the traceback."""
    if isinstance(record.args, tuple):
        record.args = tuple(shown(value) if isinstance(value, str) else value for value in record.args)
    return record.exc_info is not None


def endpoint_of(request: HttpRequest) -> str:
    """The route's pattern: a metric label must not grow with the number of addresses that people try."""
    match = request.resolver_match
    return f"/{match.route}" if match else "unmatched"
