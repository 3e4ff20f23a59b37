"""Reads about channels."""

from django.db.models import QuerySet

from core.api.accounts.models import Workspace
from core.api.channels.models import Channel


def channel_list(*, workspace: Workspace) -> QuerySet[Channel]:
    """The channels of a workspace, without what is encrypted."""
    return Channel.objects.defer("config_ciphertext").filter(workspace=workspace)
