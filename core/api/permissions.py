"""Who may do what in a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from core.api.accounts.models import Role
from core.api.auth import Access

if TYPE_CHECKING:  # the settings of REST framework name this module, so its views cannot be imported here
    from rest_framework.views import APIView

WRITERS = frozenset({Role.OWNER, Role.EDITOR})


class MayUseWorkspace(BasePermission):
    """Every role looks, owners and editors change."""

    message = "Your role in this workspace is to look, not to change."

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        access = request.auth
        return isinstance(access, Access) and (request.method in SAFE_METHODS or access.role in WRITERS)


class MayLook(BasePermission):
    """Every role, whatever the method: for questions that need a body."""

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Access)


class IsPerson(BasePermission):
    """A user who is logged in. API keys manage monitors, not accounts: a leaked key must not be able to make others."""

    message = "This needs a person's login; API keys may not do it."

    @override
    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, Access) and request.auth.user is not None
