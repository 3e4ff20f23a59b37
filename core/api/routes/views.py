"""Routes of alerts."""

from typing import Any, ClassVar, override

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import InOrder, Key, read_number
from core.api.routes import selectors, serializers, services
from core.api.routes.models import AlertRoute
from core.api.views import WorkspaceViews, parsed, read_uuid


@extend_schema(tags=["routes"])
class RouteViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViews[AlertRoute]):
    """Who is told of what, when, and how often: the first route that matches decides. Without one every channel is told at once."""

    serializer_class = serializers.RouteAnswer
    pagination_class = InOrder
    queryset = AlertRoute.objects.none()
    keyset: ClassVar = (Key("position", read_number), Key("id", read_uuid))

    @override
    def get_queryset(self) -> QuerySet[AlertRoute]:
        return selectors.route_list(workspace=self.workspace)

    @extend_schema(request=serializers.RouteRequest, responses={201: serializers.RouteAnswer})
    def create(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Add a route, after all others unless it has a position."""
        values = parsed(serializers.RouteRequest, request)
        route = services.route_create(workspace=self.workspace, values=values, now=timezone.now())
        return Response(serializers.RouteAnswer(route).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=serializers.RouteUpdate, responses=serializers.RouteAnswer)
    def partial_update(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Change a route, for outages that last and alerts that are held as well."""
        route = self.get_object()
        changes = parsed(serializers.RouteUpdate, request, partial=True)
        return Response(
            serializers.RouteAnswer(services.route_update(route_id=route.id, changes=changes, now=timezone.now())).data
        )

    def destroy(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Delete a route: what it held, or would have told later, is decided by the others."""
        services.route_delete(route_id=self.get_object().id, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
