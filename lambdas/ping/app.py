"""The ping API: routes only.

API Gateway's stage is `api`, so `/ping/{token}` is `/api/ping/{token}` outside; API Gateway ignores a trailing slash. Siblings of one path
have one variable there: `{name}` is the action behind a UUID, and the slug behind a ping key (`lambdas.ping.address`).
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from chalice.app import CaseInsensitiveMapping, Chalice, Request, Response

from lambdas.ping.service import Answer
from lambdas.ping.wiring import make_service

PING_METHODS: Final = ("GET", "HEAD", "POST")
ROUTED_METHODS: Final = [*PING_METHODS, "PUT", "PATCH", "DELETE", "OPTIONS"]
"""API Gateway answers 403 to a method that it does not know, so these get their 405; and its own answers to OPTIONS fail where all types
are binary."""
ANY_ORIGIN: Final = {"Access-Control-Allow-Origin": "*"}
PREFLIGHT: Final = {**ANY_ORIGIN, "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS", "Access-Control-Allow-Headers": "*"}

app = Chalice("uptimemonitor-ping", configure_logs=False)
app.api.binary_types = ["*/*"]
service = make_service()

_request: ContextVar[Request] = ContextVar("request")
"""Chalice keeps the current request on the app, which threads share."""


@app.middleware("http")
def gate(request: Request, get_response: Callable[[Request], Response]) -> Response:
    """Answer what is no ping, and let any `Accept` pass: Chalice would refuse clients that send none, because all types are binary."""
    request.headers = CaseInsensitiveMapping({**request.headers, "accept": "*/*"})
    if request.method == "OPTIONS":
        return Response(b"", status_code=204, headers=dict(PREFLIGHT))
    if request.method not in PING_METHODS:
        return _response(Answer(405, "a ping is GET, HEAD or POST", {"Allow": ", ".join(PING_METHODS)}))
    _request.set(request)
    return get_response(request)


@app.route("/ping/{token}", methods=ROUTED_METHODS, content_types=[])
def ping(token: str) -> Response:
    """A ping that says: done."""
    return _response(service.answer(_request.get().to_original_event(), token))


@app.route("/ping/{token}/{name}", methods=ROUTED_METHODS, content_types=[])
def ping_with_action(token: str, name: str) -> Response:
    """A ping that says: started, failed, ended with this exit status, or something worth logging; or a done by ping key and slug."""
    return _response(service.answer(_request.get().to_original_event(), token, name))


@app.route("/ping/{token}/{name}/{action}", methods=ROUTED_METHODS, content_types=[])
def ping_by_name(token: str, name: str, action: str) -> Response:
    """The same by ping key and slug."""
    return _response(service.answer(_request.get().to_original_event(), token, name, action))


def _response(answer: Answer) -> Response:
    headers: dict[str, str | list[str]] = {"Content-Type": "text/plain; charset=utf-8", **ANY_ORIGIN, **answer.headers}
    return Response(answer.text.encode(), status_code=answer.status, headers=headers)
