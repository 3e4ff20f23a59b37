"""Filters that the lists of monitors and of their facts share."""

from django.db.models import Q
from django.utils import timezone
from django_filters import rest_framework as filters

from core.api.filters import BooleanFilter
from core.domain.outcomes import MonitorState

STATES = [(state.value, state.value) for state in MonitorState]


class MonitorFilters(filters.FilterSet):
    """`name` finds parts of names in any case; `tag` finds whole tags."""

    name = filters.CharFilter(lookup_expr="icontains", max_length=100)
    tag = filters.CharFilter(field_name="tags", lookup_expr="contains", method="with_tag", max_length=50)
    paused = BooleanFilter(field_name="paused_at", lookup_expr="isnull", exclude=True)
    muted = BooleanFilter(field_name="muted_until", method="muted_now")

    def with_tag(self, queryset, _name: str, value: str):  # type: ignore[no-untyped-def]  # django-filter is untyped
        """Monitors with this tag."""
        return queryset.filter(tags__contains=[value])

    def muted_now(self, queryset, _name: str, value: bool):  # type: ignore[no-untyped-def]  # as above
        """Monitors that are muted at this moment, or the others."""
        muted = Q(muted_until__isnull=False, muted_until__gt=timezone.now())
        return queryset.filter(muted if value else ~muted)
