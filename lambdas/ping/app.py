"""The ping API: routes only.

API Gateway's stage is `api`, so `/ping/{token}` is `/api/ping/{token}` outside; API Gateway ignores a trailing slash.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from chalice.app import CaseInsensitiveMapping, Chalice, Request, Response

from lambdas.ping import log
from lambdas.ping.aws import OUTAGES
from lambdas.ping.clients import NAMES, dynamodb, events
from lambdas.ping.publish import Publisher
from lambdas.ping.record import Recorder
from lambdas.ping.service import Answer, PingService

PING_METHODS: Final = ("GET", "HEAD", "POST")
ROUTED_METHODS: Final = [*PING_METHODS, "PUT", "PATCH", "DELETE"]
"""API Gateway answers 403 to a method that it does not know; these get their 405."""
ANY_ORIGIN: Final = {"Access-Control-Allow-Origin": "*"}
PREFLIGHT: Final = {**ANY_ORIGIN, "Access-Control-Allow-Methods": "GET, HEAD, POST, OPTIONS", "Access-Control-Allow-Headers": "*"}


def _report(trouble: str) -> None:
    log.write("error", "ping.not_published", error=trouble)


app = Chalice("uptimemonitor-ping", configure_logs=False)
app.api.binary_types = ["*/*"]
service = PingService(Recorder(dynamodb, NAMES.heartbeats_table), Publisher(events, NAMES.bus, OUTAGES, _report), OUTAGES)

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
    return _response(service.answer(_request.get().to_original_event(), token, None))


@app.route("/ping/{token}/{action}", methods=ROUTED_METHODS, content_types=[])
def ping_with_action(token: str, action: str) -> Response:
    """A ping that says: started, failed, ended with this exit status, or something worth logging."""
    return _response(service.answer(_request.get().to_original_event(), token, action))


def _response(answer: Answer) -> Response:
    headers: dict[str, str | list[str]] = {"Content-Type": "text/plain; charset=utf-8", **ANY_ORIGIN, **answer.headers}
    return Response(answer.text.encode(), status_code=answer.status, headers=headers)
