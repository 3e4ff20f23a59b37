"""When a heartbeat became what, for whoever draws its history or reports on it."""

from typing import ClassVar, Final, override

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers

from core.api.answers import Answer
from core.api.filters import MomentFilter
from core.api.monitors.models import HeartbeatChange, Monitor, MonitorKind
from core.api.pagination import Key, NewestFirst, read_number, read_time
from core.api.views import WorkspaceViews

CHANGES: Final = ("down", "up", "unknown", "paused", "resumed")


class ChangeFilters(filters.FilterSet):
    """`since` is included, `until` is not."""

    change = filters.ChoiceFilter(choices=[(change, change) for change in CHANGES])
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")


class ChangeAnswer(Answer[HeartbeatChange]):
    """A moment at which a heartbeat became something else. `unknown` lasts until its next ping."""

    at = serializers.DateTimeField()
    change = serializers.ChoiceField(choices=CHANGES)
    incident = serializers.UUIDField(source="incident_id", allow_null=True, help_text="The outage that began or ended.")


@extend_schema(tags=["heartbeats"])
class ChangeViews(mixins.ListModelMixin, WorkspaceViews[HeartbeatChange]):
    """When a heartbeat went down, came up, was paused or resumed, and since when nobody could tell; latest first."""

    serializer_class = ChangeAnswer
    filterset_class = ChangeFilters
    pagination_class = NewestFirst
    queryset = HeartbeatChange.objects.none()
    keyset: ClassVar = (Key("at", read_time), Key("rank", read_number))

    @override
    def get_queryset(self) -> QuerySet[HeartbeatChange]:
        heartbeats = Monitor.objects.only("id").filter(workspace=self.workspace, kind=MonitorKind.HEARTBEAT)
        return HeartbeatChange.objects.filter(monitor_id=get_object_or_404(heartbeats, uid=self.kwargs["id"]).id)
