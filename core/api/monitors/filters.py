"""Filters that the lists of monitors and of their facts share."""

from django_filters import rest_framework as filters

from core.api.filters import BooleanFilter
from core.domain.outcomes import MonitorState

STATES = [(state.value, state.value) for state in MonitorState]


class MonitorFilters(filters.FilterSet):
    """`name` finds parts of names in any case; `tag` finds whole tags."""

    name = filters.CharFilter(lookup_expr="icontains", max_length=100)
    tag = filters.CharFilter(field_name="tags", lookup_expr="contains", method="with_tag", max_length=50)
    paused = BooleanFilter(field_name="paused_at", lookup_expr="isnull", exclude=True)

    def with_tag(self, queryset, _name: str, value: str):  # type: ignore[no-untyped-def]  # django-filter is untyped
        """Monitors with this tag."""
        return queryset.filter(tags__contains=[value])
