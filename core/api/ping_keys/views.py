"""The ping key of the workspace."""

from datetime import timedelta
from typing import override

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.auth import Access, access_of
from core.api.permissions import WRITERS, MayUseWorkspace
from core.api.ping_keys import serializers, services
from core.api.views import parsed


class MaySeePingKey(MayUseWorkspace):
    """Owners and editors: with the key one creates heartbeats."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Access) and request.auth.role in WRITERS


@extend_schema(tags=["heartbeats"])
class PingKeyView(APIView):
    """With the ping key of a workspace, jobs ping its heartbeats by name, and create some."""

    permission_classes = (MaySeePingKey,)

    @extend_schema(responses=serializers.PingKeyAnswer, operation_id="ping_key")
    def get(self, request: Request) -> Response:
        """The key; for owners and editors."""
        workspace = access_of(request).workspace
        services.ping_key_show(workspace=workspace)
        return Response(serializers.PingKeyAnswer(workspace).data)


@extend_schema(tags=["heartbeats"])
class PingKeyReplaceView(APIView):
    """Another ping key."""

    permission_classes = (MaySeePingKey,)

    @extend_schema(request=serializers.PingKeyRequest, responses=serializers.PingKeyAnswer, operation_id="ping_key_replace")
    def post(self, request: Request) -> Response:
        """Replace the key. The one until now is good for `grace_s` yet, so that jobs can be changed one by one."""
        grace = timedelta(seconds=parsed(serializers.PingKeyRequest, request)["grace_s"])
        workspace = services.ping_key_replace(workspace=access_of(request).workspace, grace=grace, now=timezone.now())
        return Response(serializers.PingKeyAnswer(workspace).data)
