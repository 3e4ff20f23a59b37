"""How the runs of a heartbeat went."""

from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.auth import access_of
from core.api.heartbeats.statistics import heartbeat_statistics
from core.api.heartbeats.statistics_serializers import StatisticsAnswer
from core.api.problems import FieldError


@extend_schema(tags=["heartbeats"])
class StatisticsView(APIView):
    """Statistics of a heartbeat."""

    @extend_schema(operation_id="heartbeats_statistics", responses=StatisticsAnswer)
    def get(self, request: Request, id: UUID) -> Response:  # noqa: A002  (a name in the route)
        """How long runs took, and how far from their time pings came, over the last 24 hours, 7 days and 30 days."""
        for name in request.query_params:
            raise FieldError(name, "unknown_field", "is not a parameter here; there are none")
        statistics = heartbeat_statistics(workspace=access_of(request).workspace, heartbeat_id=id, now=timezone.now())
        return Response(StatisticsAnswer(statistics).data)
