"""Websites and their check results."""

from typing import Any, ClassVar, override

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.filters import MomentFilter
from core.api.monitors.filters import STATES, MonitorFilters
from core.api.monitors.models import CheckResult, Monitor
from core.api.monitors.mutes import MuteRequest, monitor_mute, monitor_unmute
from core.api.monitors.services import monitor_delete
from core.api.pagination import Key, NewestFirstByDay, read_number, read_time
from core.api.views import WorkspaceViews, parsed
from core.api.websites import selectors, serializers, services
from core.domain.outcomes import Outcome


class WebsiteFilters(MonitorFilters):
    """Filters of the list of websites."""

    state = filters.ChoiceFilter(field_name="website_state__state", choices=STATES)


class ResultFilters(filters.FilterSet):
    """`since` is included, `until` is not."""

    outcome = filters.TypedChoiceFilter(
        choices=[(outcome.label, outcome.label) for outcome in Outcome], coerce=lambda label: Outcome[label.upper()]
    )
    since = MomentFilter(field_name="checked_at", lookup_expr="gte")
    until = MomentFilter(field_name="checked_at", lookup_expr="lt")


@extend_schema(tags=["websites"])
class WebsiteViews(mixins.ListModelMixin, mixins.RetrieveModelMixin, WorkspaceViews[Monitor]):
    """Websites of the workspace."""

    serializer_class = serializers.WebsiteAnswer
    filterset_class = WebsiteFilters
    queryset = Monitor.objects.none()
    keyset: ClassVar = (Key("created_at", read_time), Key("id", read_number))
    lookup_field = "uid"

    @override
    def get_queryset(self) -> QuerySet[Monitor]:
        return selectors.website_list(workspace=self.workspace)

    @extend_schema(request=serializers.WebsiteRequest, responses={201: serializers.WebsiteAnswer})
    def create(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Watch a website. Its first check is due at once."""
        values = parsed(serializers.WebsiteRequest, request)
        monitor = services.website_create(workspace=self.workspace, values=values, now=timezone.now())
        return self.answer(monitor, status.HTTP_201_CREATED)

    @extend_schema(request=serializers.WebsiteRequest, responses=serializers.WebsiteAnswer)
    def partial_update(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Change some settings. What changes the check itself makes it due at once."""
        monitor = self.get_object()
        changes = parsed(serializers.WebsiteRequest, request, partial=True)
        services.website_update(monitor=monitor, changes=changes, now=timezone.now())
        return self.answer(monitor)

    def destroy(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Stop watching, and delete incidents and history."""
        monitor_delete(monitor=self.get_object(), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=serializers.WebsiteAnswer)
    def pause(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Stop checking until it is resumed."""
        monitor = self.get_object()
        services.website_pause(monitor=monitor, now=timezone.now())
        return self.answer(monitor)

    @extend_schema(request=None, responses=serializers.WebsiteAnswer)
    def resume(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Check again."""
        monitor = self.get_object()
        services.website_resume(monitor=monitor, now=timezone.now())
        return self.answer(monitor)

    @extend_schema(request=MuteRequest, responses=serializers.WebsiteAnswer)
    def mute(self, request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Tell nobody of outages for a while. Checks go on, incidents are recorded; what still lasts at the end is told then."""
        monitor = self.get_object()
        monitor_mute(monitor=monitor, now=timezone.now(), **parsed(MuteRequest, request))
        return self.answer(monitor)

    @extend_schema(request=None, responses={200: serializers.WebsiteAnswer})
    def unmute(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Tell people again, also of what still lasts."""
        monitor = self.get_object()
        monitor_unmute(monitor=monitor, now=timezone.now())
        return self.answer(monitor)

    @extend_schema(request=None, responses={202: serializers.WebsiteAnswer})
    def check_now(self, _request: Request, *_args: Any, **_kwargs: Any) -> Response:
        """Check at once, out of turn, without waiting for it. The result shows up in the website and in its results."""
        monitor = self.get_object()
        services.website_check_now(monitor=monitor, now=timezone.now())
        return self.answer(monitor, status.HTTP_202_ACCEPTED)

    def answer(self, monitor: Monitor, status_code: int = status.HTTP_200_OK) -> Response:
        """The website as it is stored now."""
        return Response(self.get_serializer(self.get_queryset().get(pk=monitor.pk)).data, status=status_code)


@extend_schema(tags=["websites"])
class ResultViews(mixins.ListModelMixin, WorkspaceViews[CheckResult]):
    """The checks of a website, latest first."""

    serializer_class = serializers.CheckResultAnswer
    filterset_class = ResultFilters
    pagination_class = NewestFirstByDay
    queryset = CheckResult.objects.none()
    keyset: ClassVar = (Key("checked_at", read_time),)

    @override
    def get_queryset(self) -> QuerySet[CheckResult]:
        return selectors.website_results(workspace=self.workspace, website_id=self.kwargs["id"])
