"""Heartbeats and their pings."""

import re
from typing import Any, ClassVar, override
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api.auth import access_of
from core.api.filters import MomentFilter
from core.api.heartbeats import by_slug, expected, selectors, serializers, services
from core.api.monitors.filters import MonitorFilters
from core.api.monitors.models import Monitor, Ping
from core.api.monitors.mutes import MuteRequest, monitor_mute, monitor_unmute
from core.api.pagination import Key, NewestFirstByDay, read_number, read_time
from core.api.permissions import MayLook
from core.api.problems import FieldError
from core.api.views import WorkspaceViews, parsed
from core.contracts.slugs import SLUG_LIMIT, SLUG_RULE, is_slug

COUNT = OpenApiParameter(
    "count",
    {"type": "integer", "minimum": 1, "maximum": serializers.MOST_TIMES, "default": serializers.FEW_TIMES},
    description="How many times.",
)


class HeartbeatFilters(MonitorFilters):
    """Filters of the list of heartbeats."""

    slug = filters.CharFilter(max_length=SLUG_LIMIT)
    state = filters.ChoiceFilter(field_name="state_now", choices=[(state, state) for state in selectors.HEARTBEAT_STATES])


class PingFilters(filters.FilterSet):
    """`since` is included, `until` is not."""

    kind = filters.ChoiceFilter(choices=[(kind, kind) for kind in serializers.PING_KINDS])
    since = MomentFilter(field_name="pinged_at", lookup_expr="gte")
    until = MomentFilter(field_name="pinged_at", lookup_expr="lt")


@extend_schema(tags=["heartbeats"])
class HeartbeatViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViews[Monitor]):
    """Heartbeats of the workspace."""

    serializer_class = serializers.HeartbeatAnswer
    filterset_class = HeartbeatFilters
    queryset = Monitor.objects.none()
    keyset: ClassVar = (Key("created_at", read_time), Key("id", read_number))
    lookup_field = "uid"

    @override
    def get_queryset(self) -> QuerySet[Monitor]:
        return selectors.heartbeat_list(workspace=self.workspace, now=timezone.now())

    @extend_schema(request=serializers.HeartbeatRequest, responses={201: serializers.HeartbeatAnswer})
    def create(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Watch a scheduled job. Nothing is expected of it before its first ping."""
        values = parsed(serializers.HeartbeatRequest, request)
        monitor = services.heartbeat_create(workspace=self.workspace, values=values, now=timezone.now())
        return self.answer(monitor, status.HTTP_201_CREATED)

    @extend_schema(request=serializers.HeartbeatRequest, responses=serializers.HeartbeatAnswer)
    def partial_update(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Change some settings. A new schedule applies at once, with at least its grace from now; a new slug ends the old one."""
        monitor = self.get_object()
        changes = parsed(serializers.HeartbeatRequest, request, partial=True)
        services.heartbeat_update(monitor=monitor, changes=changes, now=timezone.now())
        return self.answer(monitor)

    @extend_schema(responses=serializers.HeartbeatAnswer, operation_id="heartbeats_by_slug")
    def by_slug(self, _request: Request, slug: str) -> Response:
        """The heartbeat with this slug."""
        return Response(self.get_serializer(get_object_or_404(self.get_queryset(), slug=slug)).data)

    @extend_schema(
        request=serializers.HeartbeatRequest,
        responses={200: serializers.HeartbeatAnswer, 201: serializers.HeartbeatAnswer},
        operation_id="heartbeats_put",
    )
    def put(self, request: Request, slug: str) -> Response:
        """Have a heartbeat with this slug: created, or changed in what is given. Calling again changes nothing."""
        if not is_slug(slug):
            raise FieldError("slug", "invalid", SLUG_RULE)
        changes = parsed(serializers.HeartbeatRequest, request, partial=True)
        if changes.get("slug", slug) != slug:
            raise FieldError("slug", "contradiction", "is another one than in the address")
        monitor, created = by_slug.heartbeat_put(
            workspace=self.workspace,
            slug=slug,
            changes=changes,
            whole=lambda: parsed(serializers.HeartbeatRequest, request),
            now=timezone.now(),
        )
        return self.answer(monitor, status.HTTP_201_CREATED if created else status.HTTP_200_OK)

    def destroy(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Stop watching, and delete incidents and history. Its ping URL answers 404 from then on."""
        services.heartbeat_delete(monitor=self.get_object(), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=serializers.HeartbeatAnswer)
    def pause(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Expect no pings until it is resumed; a ping resumes it too, unless `sticky_pause` is set."""
        monitor = self.get_object()
        services.heartbeat_pause(monitor=monitor, now=timezone.now())
        return self.answer(monitor)

    @extend_schema(request=None, responses=serializers.HeartbeatAnswer)
    def resume(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Expect pings again, as if one had come now."""
        monitor = self.get_object()
        services.heartbeat_resume(monitor=monitor, now=timezone.now())
        return self.answer(monitor)

    @extend_schema(request=MuteRequest, responses=serializers.HeartbeatAnswer)
    def mute(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Tell nobody of outages for a while. Pings are expected all the same; what still lasts at the end is told then."""
        monitor = self.get_object()
        monitor_mute(monitor=monitor, now=timezone.now(), **parsed(MuteRequest, request))
        return self.answer(monitor)

    @extend_schema(request=None, responses={200: serializers.HeartbeatAnswer})
    def unmute(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Tell people again, also of what still lasts."""
        monitor = self.get_object()
        monitor_unmute(monitor=monitor, now=timezone.now())
        return self.answer(monitor)

    @extend_schema(parameters=[COUNT], responses=serializers.ExpectedTimesAnswer)
    def expected(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """The next times at which a ping is due."""
        times = expected.expected(self.get_object(), _count(request), timezone.now())
        return Response(serializers.ExpectedTimesAnswer(times).data)

    def answer(self, monitor: Monitor, status_code: int = status.HTTP_200_OK) -> Response:
        """The heartbeat as it is stored now."""
        return Response(self.get_serializer(self.get_queryset().get(pk=monitor.pk)).data, status=status_code)


@extend_schema(tags=["heartbeats"])
class PreviewView(APIView):
    """A schedule that need not be stored."""

    permission_classes = (MayLook,)

    @extend_schema(
        request=serializers.PreviewRequest, responses=serializers.ExpectedTimesAnswer, operation_id="heartbeats_preview"
    )
    def post(self, request: Request) -> Response:
        """The next times at which a ping would be due, from now on. Nothing is stored; every role may ask."""
        values = parsed(serializers.PreviewRequest, request)
        times = expected.preview(values, values.pop("count"), timezone.now())
        return Response(serializers.ExpectedTimesAnswer(times).data)


@extend_schema(tags=["heartbeats"])
class PingViews(mixins.ListModelMixin, WorkspaceViews[Ping]):
    """The pings of a heartbeat, latest first."""

    serializer_class = serializers.PingAnswer
    filterset_class = PingFilters
    pagination_class = NewestFirstByDay
    queryset = Ping.objects.none()
    keyset: ClassVar = (Key("pinged_at", read_time), Key("sequence", read_number))

    @override
    def get_queryset(self) -> QuerySet[Ping]:
        return selectors.heartbeat_pings(workspace=self.workspace, heartbeat_id=self.kwargs["id"])


@extend_schema(tags=["heartbeats"])
class PingBodyView(APIView):
    """What a job sent with a ping."""

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}, operation_id="heartbeats_pings_body")
    def get(self, request: Request, id: UUID, sequence: int) -> HttpResponse:  # noqa: A002  (a name in the route)
        """The bytes as they came in, at most the first MiB; `sequence` is the ping's. Kept at the edge, for a limited time."""
        return _body(request, id, sequence=sequence)


@extend_schema(tags=["heartbeats"])
class PingBodyByIdView(APIView):
    """What a job sent with a ping."""

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY}, operation_id="heartbeats_pings_body_by_id")
    def get(self, request: Request, id: UUID, ping_id: UUID) -> HttpResponse:  # noqa: A002  (a name in the route)
        """The same by the id of the ping."""
        return _body(request, id, id=ping_id)


def _body(request: Request, heartbeat_id: UUID, **which: Any) -> HttpResponse:
    ping_id, body = selectors.ping_body(workspace=access_of(request).workspace, heartbeat_id=heartbeat_id, **which)
    if body is None:
        raise NotFound("This ping has no body, or it is not kept any more.")
    return HttpResponse(
        body,
        content_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{ping_id}.bin"', "X-Content-Type-Options": "nosniff"},
    )


def _count(request: Request) -> int:
    for name in request.query_params:
        if name != COUNT.name:
            raise FieldError(name, "unknown_field", f"is not a parameter here; known: {COUNT.name}")
    text = request.query_params.get(COUNT.name, str(serializers.FEW_TIMES))
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= serializers.MOST_TIMES:
        raise FieldError(COUNT.name, "invalid", f"must be a whole number from 1 to {serializers.MOST_TIMES}")
    return int(text)
