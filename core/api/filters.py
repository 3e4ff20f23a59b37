"""Filters of lists. A parameter that a list does not know is refused: ignoring a misspelt filter would answer another question."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, override

from django import forms
from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from rest_framework.request import Request

from core.api import pagination
from core.api.problems import FieldError

if TYPE_CHECKING:  # the settings of REST framework name this module, so its views cannot be imported here
    from rest_framework.views import APIView


class StrictFilters(filters.DjangoFilterBackend):
    """django-filter, with unknown, empty and repeated parameters refused."""

    @override
    def filter_queryset[M: Model](self, request: Request, queryset: QuerySet[M], view: APIView) -> QuerySet[M]:
        filterset_class = self.get_filterset_class(view, queryset)
        known = pagination.PARAMETERS | (set(filterset_class.base_filters) if filterset_class else set())
        for name in request.query_params:
            if name not in known:
                raise FieldError(name, "unknown_field", f"is not a parameter of this list; known: {', '.join(sorted(known))}")
            if not request.query_params[name]:
                raise FieldError(name, "blank", "must not be empty")
            if len(request.query_params.getlist(name)) > 1:
                raise FieldError(name, "repeated", "is given more than once")
        filtered: QuerySet[M] = super().filter_queryset(request, queryset, view)
        return filtered


class _BooleanWord(forms.Field):
    """`true` or `false`; django-filter's own field takes anything else for "not given"."""

    @override
    def to_python(self, value: Any) -> bool | None:
        if not value:
            return None
        if value not in {"true", "false"}:
            raise forms.ValidationError("must be true or false", "invalid")
        return bool(value == "true")


class BooleanFilter(filters.BooleanFilter):
    """`?open=true`."""

    field_class = _BooleanWord

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.TextInput, **kwargs)


class _MomentField(IsoDateTimeField):
    """A time in UTC: PostgreSQL knows no offsets beyond 16 hours, which ISO 8601 allows."""

    @override
    def to_python(self, value: Any) -> datetime | None:
        moment: datetime | None = super().to_python(value)
        try:
            return moment.astimezone(UTC) if moment else None
        except OverflowError:
            raise forms.ValidationError("is before or after all time", "invalid") from None


class MomentFilter(filters.IsoDateTimeFilter):
    """`?since=2026-11-23T12:00:00Z`."""

    field_class = _MomentField
