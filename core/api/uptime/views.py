"""Uptime of websites and heartbeats."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.auth import access_of
from core.api.monitors.models import MonitorKind
from core.api.uptime import selectors, serializers


@extend_schema(tags=["websites"])
class WebsiteUptimeView(APIView):
    """Uptime of a website."""

    @extend_schema(operation_id="websites_uptime", parameters=serializers.PARAMETERS, responses=serializers.UptimeAnswer)
    def get(self, request: Request, id: UUID) -> Response:  # noqa: A002  (a name in the route)
        """Uptime by time, not by count: over a window that ends now, or any range."""
        return _answer(request, MonitorKind.WEBSITE, id)


@extend_schema(tags=["heartbeats"])
class HeartbeatUptimeView(APIView):
    """Uptime of a heartbeat."""

    @extend_schema(operation_id="heartbeats_uptime", parameters=serializers.PARAMETERS, responses=serializers.UptimeAnswer)
    def get(self, request: Request, id: UUID) -> Response:  # noqa: A002  (a name in the route)
        """Uptime by time: up from the first ping on, but for incidents, pauses and silence that we could not judge."""
        return _answer(request, MonitorKind.HEARTBEAT, id)


def _answer(request: Request, kind: MonitorKind, monitor_id: UUID) -> Response:
    now = timezone.now()
    asked = serializers.read_range(request.query_params, now)
    uptime = selectors.monitor_uptime(
        workspace=access_of(request).workspace, kind=kind, monitor_id=monitor_id, start=asked.start, end=asked.end, now=now
    )
    return Response(serializers.UptimeAnswer(uptime).data)
