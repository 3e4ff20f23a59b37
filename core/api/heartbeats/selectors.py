"""Reads about heartbeats."""

from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from core.api import edge
from core.api.accounts.models import Workspace
from core.api.monitors.models import Monitor, MonitorKind, Ping


def heartbeat_list(*, workspace: Workspace) -> QuerySet[Monitor]:
    """The heartbeats of a workspace with settings and state."""
    heartbeats = Monitor.objects.select_related("heartbeat", "heartbeat_state")
    return heartbeats.filter(workspace=workspace, kind=MonitorKind.HEARTBEAT)


def heartbeat_pings(*, workspace: Workspace, heartbeat_id: UUID) -> QuerySet[Ping]:
    """The pings of a heartbeat.

    Raises:
        Http404: the workspace has no such heartbeat.
    """
    heartbeats = Monitor.objects.only("id").filter(workspace=workspace, kind=MonitorKind.HEARTBEAT)
    return Ping.objects.filter(monitor_id=get_object_or_404(heartbeats, uid=heartbeat_id).id)


def ping_body(*, workspace: Workspace, heartbeat_id: UUID, ping_id: UUID) -> bytes | None:
    """The body of a ping, as the job sent it, from the edge; None when it had none or it has expired there.

    Raises:
        Http404: the heartbeat has no such ping.
        Problem: the edge cannot be reached.
    """
    get_object_or_404(heartbeat_pings(workspace=workspace, heartbeat_id=heartbeat_id), id=ping_id)
    with edge.required():
        return edge.heartbeat_table().body(heartbeat_id, ping_id)
