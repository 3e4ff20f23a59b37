"""When many alerts become one message."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.auth import access_of
from core.api.grouping import serializers, services
from core.api.permissions import MayUseWorkspace
from core.api.views import parsed


@extend_schema(tags=["alerts"])
class GroupingView(APIView):
    """When alerts about changes are told together."""

    permission_classes = (MayUseWorkspace,)

    @extend_schema(responses=serializers.GroupingAnswer, operation_id="alert_grouping")
    def get(self, request: Request) -> Response:
        """When alerts become one message."""
        return Response(serializers.GroupingAnswer(access_of(request).workspace).data)

    @extend_schema(
        request=serializers.GroupingRequest, responses=serializers.GroupingAnswer, operation_id="alert_grouping_update"
    )
    def patch(self, request: Request) -> Response:
        """Change it, or turn it off with `group_after` 0."""
        wanted = parsed(serializers.GroupingRequest, request, partial=True)
        workspace = services.grouping_update(workspace=access_of(request).workspace, **wanted)
        return Response(serializers.GroupingAnswer(workspace).data)
