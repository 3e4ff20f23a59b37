"""Reads about heartbeats."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, CharField, DateTimeField, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.shortcuts import get_object_or_404

from core.api import edge
from core.api.accounts.models import Workspace
from core.api.monitors.models import HeartbeatUnknown, Monitor, MonitorKind, Ping
from core.domain.outcomes import MonitorState

HEARTBEAT_STATES: Final = ("new", "up", "late", "down", "paused", "running")


def heartbeat_list(*, workspace: Workspace, now: datetime) -> QuerySet[Monitor]:
    """The heartbeats of a workspace with settings and state.

    `state_now` is what is true at `now`, of which only new, up and down are stored; `asked_at` is `now` itself. `unknown_since` is there
    while nothing is known of one that was up.
    """
    heartbeats = Monitor.objects.select_related("heartbeat", "heartbeat_state")
    has_runs = Q(heartbeat_state__runs__isnull=False) & ~Q(heartbeat_state__runs__open={})
    state_now = Case(
        When(paused_at__isnull=False, then=Value("paused")),
        When(heartbeat_state__state=MonitorState.DOWN, then=Value("down")),
        When(has_runs, then=Value("running")),
        When(heartbeat_state__due_at__lte=now, then=Value("late")),
        default=F("heartbeat_state__state"),
        output_field=CharField(),
    )
    since = HeartbeatUnknown.objects.filter(monitor_id=OuterRef("id"), since__gt=OuterRef("heartbeat_state__last_ping_at"))
    unknown_since = Case(
        When(
            paused_at__isnull=True,
            heartbeat_state__state=MonitorState.UP,
            then=Subquery(since.order_by("-since").values("since")[:1]),
        ),
        output_field=DateTimeField(),
    )
    asked_at = Value(now, output_field=DateTimeField())
    heartbeats = heartbeats.annotate(state_now=state_now, asked_at=asked_at, unknown_since=unknown_since)
    return heartbeats.filter(workspace=workspace, kind=MonitorKind.HEARTBEAT)


def heartbeat_pings(*, workspace: Workspace, heartbeat_id: UUID) -> QuerySet[Ping]:
    """The pings of a heartbeat.

    Raises:
        Http404: the workspace has no such heartbeat.
    """
    heartbeats = Monitor.objects.only("id").filter(workspace=workspace, kind=MonitorKind.HEARTBEAT)
    return Ping.objects.filter(monitor_id=get_object_or_404(heartbeats, uid=heartbeat_id).id)


def ping_body(*, workspace: Workspace, heartbeat_id: UUID, **which: Any) -> tuple[UUID, bytes | None]:
    """The id of a ping (`which` one: `id` or `sequence`) and its body, as the job sent it, from the edge.

    The body is None when it had none or it has expired there.

    Raises:
        Http404: the heartbeat has no such ping.
        Problem: the edge cannot be reached.
    """
    ping = get_object_or_404(heartbeat_pings(workspace=workspace, heartbeat_id=heartbeat_id), **which)
    with edge.required():
        return ping.id, edge.heartbeat_table().body(heartbeat_id, ping.id, edge.ping_bodies())
