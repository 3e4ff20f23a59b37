"""Reads about routes."""

from django.db.models import QuerySet

from core.api.accounts.models import Workspace
from core.api.routes.models import AlertRoute


def route_list(*, workspace: Workspace) -> QuerySet[AlertRoute]:
    """The routes of a workspace."""
    return AlertRoute.objects.filter(workspace=workspace)
