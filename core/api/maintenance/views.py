"""Maintenance windows."""

from typing import Any, ClassVar, override

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.maintenance import selectors, serializers, services
from core.api.maintenance.models import MaintenanceWindow, WindowKind
from core.api.pagination import Key, read_time
from core.api.views import WorkspaceViews, parsed, read_uuid


class WindowFilters(filters.FilterSet):
    """Filters of the list of windows."""

    kind = filters.ChoiceFilter(choices=WindowKind.choices)


@extend_schema(tags=["maintenance windows"])
class WindowViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViews[MaintenanceWindow]):
    """When maintenance is: checks go on, nobody is told of outages that begin and end within, and the time does not count as down."""

    serializer_class = serializers.WindowAnswer
    filterset_class = WindowFilters
    queryset = MaintenanceWindow.objects.none()
    keyset: ClassVar = (Key("created_at", read_time), Key("id", read_uuid))

    @override
    def get_queryset(self) -> QuerySet[MaintenanceWindow]:
        return selectors.window_list(workspace=self.workspace)

    @extend_schema(request=serializers.WindowRequest, responses={201: serializers.WindowAnswer})
    def create(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Add a window. One that began in the past takes its time from the downtime that was counted."""
        values = parsed(serializers.WindowRequest, request)
        window = services.window_create(workspace=self.workspace, values=values, now=timezone.now())
        return Response(serializers.WindowAnswer(window).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=serializers.WindowUpdate, responses=serializers.WindowAnswer)
    def partial_update(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Change a window, for all of its time. To change only what is to come, set `ends_at` and add another."""
        window = self.get_object()
        changes = parsed(serializers.WindowUpdate, request, partial=True)
        changed = services.window_update(window_id=window.id, changes=changes, now=timezone.now())
        return Response(serializers.WindowAnswer(changed).data)

    def destroy(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Delete a window as if it had never been: its time counts again. To end one that repeats, set `ends_at`."""
        services.window_delete(window_id=self.get_object().id, now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
