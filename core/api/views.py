"""What the views of all features share."""

from collections.abc import Mapping
from typing import Any, override
from uuid import UUID

from django.db.models import Model
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from core.api.accounts.models import Workspace
from core.api.auth import access_of
from core.api.pagination import NewestFirst


def parsed(serializer: type[Serializer[Any]], request: Request, *, partial: bool = False) -> dict[str, Any]:
    """The validated body of a request; `partial` for PATCH: only what was sent.

    Raises:
        ValidationError: naming each field.
    """
    body = serializer(data=request.data, partial=partial)
    body.is_valid(raise_exception=True)
    values: Mapping[str, Any] = body.validated_data
    return dict(values)


def read_uuid(text: str) -> UUID:
    """An id as a cursor holds it."""
    return UUID(text)


class WorkspaceViews[M: Model](GenericViewSet[M]):
    """Views on things of one workspace. `get_queryset` of each feature sees this workspace only, so that others' things are a 404."""

    pagination_class = NewestFirst
    lookup_field = "id"
    lookup_url_kwarg = "id"

    @property
    def workspace(self) -> Workspace:
        """The workspace of the caller."""
        return access_of(self.request).workspace

    @override
    def get_object(self) -> M:
        """The thing that the address names. Filters are for lists; here they would turn an answer into a 404."""
        return get_object_or_404(self.get_queryset(), **{self.lookup_field: self.kwargs["id"]})
