"""Reads about maintenance windows."""

from django.db.models import QuerySet

from core.api.accounts.models import Workspace
from core.api.maintenance.models import MaintenanceWindow


def window_list(*, workspace: Workspace) -> QuerySet[MaintenanceWindow]:
    """The windows of a workspace."""
    return MaintenanceWindow.objects.filter(workspace=workspace)
