"""Incidents, and what became of the messages about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, override

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.request import Request
from rest_framework.response import Response

from core.api import problem_types
from core.api.auth import access_of
from core.api.filters import BooleanFilter, MomentFilter
from core.api.incidents import selectors, serializers, services
from core.api.incidents.models import Alert, Delivery, DeliveryState, Incident
from core.api.pagination import Key, read_time
from core.api.problems import Problem
from core.api.views import WorkspaceViews, read_uuid
from core.domain.acknowledgement import OutageOver


class IncidentFilters(filters.FilterSet):
    """`monitor` is the id of a website or a heartbeat."""

    monitor = filters.UUIDFilter(field_name="monitor__uid")
    open = BooleanFilter(field_name="resolved_at", lookup_expr="isnull")
    acknowledged = BooleanFilter(field_name="acknowledged_at", lookup_expr="isnull", exclude=True)
    since = MomentFilter(field_name="opened_at", lookup_expr="gte")
    until = MomentFilter(field_name="opened_at", lookup_expr="lt")


class AlertFilters(filters.FilterSet):
    """Ids of a website or a heartbeat, and of an incident."""

    monitor = filters.UUIDFilter(field_name="monitor__uid")
    incident = filters.UUIDFilter(field_name="incident_id")
    state = filters.ChoiceFilter(choices=serializers.AlertState.choices, method="with_state")

    def with_state(self, queryset, _name: str, value: str):  # type: ignore[no-untyped-def]  # django-filter is untyped
        """Alerts in this state."""
        decided = {"routed_at__isnull": value in {"waiting", "held"}}
        more = {"due_at__isnull": value == "waiting"} if decided["routed_at__isnull"] else {"dropped": value == "dropped"}
        return queryset.filter(**decided, **more)


class DeliveryFilters(filters.FilterSet):
    """Ids of an incident, an alert or a channel."""

    incident = filters.UUIDFilter(field_name="alert__incident_id")
    alert = filters.UUIDFilter(field_name="alert_id")
    channel = filters.UUIDFilter(field_name="channel_id")
    state = filters.ChoiceFilter(choices=DeliveryState.choices)


@extend_schema(tags=["incidents"])
class IncidentViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViews[Incident]):
    """Outages of the workspace's monitors, latest first."""

    serializer_class = serializers.IncidentAnswer
    filterset_class = IncidentFilters
    queryset = Incident.objects.none()
    keyset: ClassVar = (Key("opened_at", read_time), Key("id", read_uuid))

    @override
    def get_queryset(self) -> QuerySet[Incident]:
        return selectors.incident_list(workspace=self.workspace)

    @extend_schema(request=None, responses=serializers.IncidentAnswer)
    def acknowledge(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Take it on: those who were told of the outage hear who has, and are reminded of it no more. The first one stays."""
        incident = self.get_object()
        with _outage_over_is_a_conflict():
            services.incident_acknowledge(incident=incident, by=access_of(request).name, now=timezone.now())
        return self._answer(incident)

    @extend_schema(request=None, responses={200: serializers.IncidentAnswer})
    def take_back(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Take the acknowledgement back, whoever it is from."""
        incident = self.get_object()
        with _outage_over_is_a_conflict():
            services.incident_take_back(incident=incident, now=timezone.now())
        return self._answer(incident)

    @extend_schema(responses=serializers.IncidentHistoryAnswer, filters=False)
    def deliveries(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Step by step, with times, why each message about it was sent or was not, and what it met on its way."""
        history = selectors.incident_history(incident=self.get_object())
        return Response(serializers.IncidentHistoryAnswer(history).data)

    def _answer(self, incident: Incident) -> Response:
        """The incident as it is stored now."""
        return Response(self.get_serializer(self.get_queryset().get(pk=incident.pk)).data)


@contextmanager
def _outage_over_is_a_conflict() -> Iterator[None]:
    try:
        yield
    except OutageOver as over:
        raise Problem(problem_types.CONFLICT, str(over)) from over


@extend_schema(tags=["alerts"])
class AlertViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViews[Alert]):
    """What people should be told, latest first: what was sent, what is held and until when, what was dropped, and why."""

    serializer_class = serializers.AlertAnswer
    filterset_class = AlertFilters
    queryset = Alert.objects.none()
    keyset: ClassVar = (Key("created_at", read_time), Key("id", read_uuid))

    @override
    def get_queryset(self) -> QuerySet[Alert]:
        return selectors.alert_list(workspace=self.workspace)


@extend_schema(tags=["deliveries"])
class DeliveryViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViews[Delivery]):
    """Messages to channels, latest first: what was sent, what was not, and why."""

    serializer_class = serializers.DeliveryAnswer
    filterset_class = DeliveryFilters
    queryset = Delivery.objects.none()
    keyset: ClassVar = (Key("requested_at", read_time), Key("id", read_uuid))

    @override
    def get_queryset(self) -> QuerySet[Delivery]:
        return selectors.delivery_list(workspace=self.workspace)
