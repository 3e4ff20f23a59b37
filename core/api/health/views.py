"""Whether this process can do its work, and its metrics. Asked by load balancers and Prometheus, so without REST framework."""

import hmac
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from core.api import problem_types
from core.api.health import exposition, selectors
from core.api.problems import plain_response

LOOPBACK = frozenset({"127.0.0.1", "::1"})
LOOPBACK_NAMES = LOOPBACK | {"localhost"}


def ready(_request: HttpRequest) -> JsonResponse:
    """200 when all parts answer, 503 when one does not: a load balancer then sends requests elsewhere."""
    parts = {"database": selectors.database_answers(), "broker": selectors.broker_answers(settings.REDIS_URL)}
    well = all(parts.values())
    body = {
        "status": "ok" if well else "unavailable",
        "parts": {name: "ok" if ok else "unreachable" for name, ok in parts.items()},
    }
    return JsonResponse(body, status=200 if well else 503)


def live(_request: HttpRequest) -> JsonResponse:
    """200 while the process answers at all; restarting it would not bring a lost database back."""
    return JsonResponse({"status": "ok"})


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format. It names every monitor of every workspace, so it is the operator's alone."""
    if not _is_operator(request):
        return plain_response(problem_types.FORBIDDEN, "Send METRICS_TOKEN as bearer token; without one, ask from this host.")
    return HttpResponse(exposition.render(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def problem_type(_request: HttpRequest, code: str) -> HttpResponse:
    """What a problem's `type` points to."""
    kind = problem_types.PROBLEM_TYPES.get(code)
    if kind is None:
        return plain_response(problem_types.NOT_FOUND, "There is no such type of problem.")
    return JsonResponse({"type": kind.uri, "title": kind.title, "status": kind.status, "meaning": kind.meaning})


def _is_operator(request: HttpRequest) -> bool:
    """With a token: who sends it. Without: who asks from this very host.

    Neither a proxy that runs on it, nor a web page whose name its owner has pointed to loopback.
    """
    if settings.METRICS_TOKEN is not None:
        expected = f"Bearer {settings.METRICS_TOKEN.reveal()}"
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected.encode())
    host = urlsplit(f"//{request.get_host()}").hostname
    proxied = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return request.META.get("REMOTE_ADDR") in LOOPBACK and host in LOOPBACK_NAMES and not proxied
