"""Writes about routes; each is one transaction.

What is held by a route, or still to be told by one, is decided again at the next sweep, by the routes as they are then.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Max

from core.api import problem_types
from core.api.accounts.models import Workspace
from core.api.channels.models import Channel
from core.api.incidents.services import alerts_reconsider
from core.api.maintenance.serializers import WEEKDAYS
from core.api.monitors.models import Monitor
from core.api.problems import FieldError, Problem
from core.api.routes.models import AlertRoute

MOST_ROUTES: Final = 100
PLAIN: Final = ("name", "position", "enabled", "repeat_s")


def route_create(*, workspace: Workspace, values: Mapping[str, Any], now: datetime) -> AlertRoute:
    """A route of a workspace, after all others unless it has a position.

    Raises:
        FieldError: it names what is not of this workspace, or contradicts itself.
        Problem: there are too many routes.
    """
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.id)
        others = AlertRoute.objects.filter(workspace=workspace)
        if others.count() >= MOST_ROUTES:
            raise Problem(problem_types.CONFLICT, f"A workspace has at most {MOST_ROUTES} routes.")
        last = others.aggregate(last=Max("position"))["last"] or 0
        route = AlertRoute(workspace=workspace, position=last + 1, steps=[])
        _change(route, values)
        route.save(force_insert=True)
        alerts_reconsider(workspace_id=workspace.id, now=now)
    return route


def route_update(*, route_id: UUID, changes: Mapping[str, Any], now: datetime) -> AlertRoute:
    """Change a route, for what is under way as well.

    Raises:
        FieldError: as above.
    """
    with transaction.atomic():
        route = AlertRoute.objects.select_for_update().get(pk=route_id)
        _change(route, changes)
        route.save()
        alerts_reconsider(workspace_id=route.workspace_id, now=now)
    return route


def route_delete(*, route_id: UUID, now: datetime) -> None:
    """Delete a route; what it held or would tell later is decided by the others."""
    with transaction.atomic():
        route = AlertRoute.objects.select_for_update().get(pk=route_id)
        route.delete()
        alerts_reconsider(workspace_id=route.workspace_id, now=now)


def _change(route: AlertRoute, changes: Mapping[str, Any]) -> None:
    for name in PLAIN:
        if name in changes:
            setattr(route, name, changes[name])
    if "match" in changes:
        _match(route, changes["match"])
    if "steps" in changes:
        _steps(route, changes["steps"])
    if "quiet_hours" in changes:
        route.quiet_hours = _quiet_hours(changes["quiet_hours"]) if changes["quiet_hours"] else None


def _match(route: AlertRoute, match: Mapping[str, Any]) -> None:
    """What has been deleted may stay: it matches nothing, whereas without it the route might match everything."""
    known = set(route.monitors) | set(
        Monitor.objects.filter(workspace=route.workspace_id, uid__in=match["monitors"]).values_list("uid", flat=True)
    )
    for number, uid in enumerate(match["monitors"]):
        if uid not in known:
            raise FieldError(f"match.monitors.{number}", "not_found", "is no monitor of this workspace")
    for name in ("monitors", "tags", "kinds", "topics", "severities"):
        setattr(route, name, list(dict.fromkeys(match[name])))


def _steps(route: AlertRoute, steps: list[Mapping[str, Any]]) -> None:
    if not steps:
        raise FieldError("steps", "required", "must tell somebody")
    known = {UUID(uid) for step in route.steps for uid in step["channels"]} | set(
        Channel.objects.filter(workspace=route.workspace_id, pk__in=_named(steps)).values_list("pk", flat=True)
    )
    seen: set[UUID] = set()
    for number, step in enumerate(steps):
        if number and step["after_s"] <= steps[number - 1]["after_s"]:
            raise FieldError(f"steps.{number}.after_s", "too_early", "must be after the step before")
        for place, uid in enumerate(step["channels"]):
            if uid not in known:
                raise FieldError(f"steps.{number}.channels.{place}", "not_found", "is no channel of this workspace")
            if uid in seen:
                raise FieldError(f"steps.{number}.channels.{place}", "repeated", "is told already: `repeat_s` tells it again")
            seen.add(uid)
    route.steps = [{"after_s": step["after_s"], "channels": [str(uid) for uid in step["channels"]]} for step in steps]


def _named(steps: Iterable[Mapping[str, Any]]) -> list[UUID]:
    return [uid for step in steps for uid in step["channels"]]


def _quiet_hours(quiet: Mapping[str, Any]) -> dict[str, Any]:
    if quiet["start_time"] == quiet["end_time"]:
        raise FieldError("quiet_hours.end_time", "contradiction", "must not be `start_time`")
    try:
        ZoneInfo(quiet["time_zone"])
    except (ValueError, OSError, LookupError):
        raise FieldError(
            "quiet_hours.time_zone", "invalid", "is no time zone of the IANA database, such as Europe/Berlin"
        ) from None
    return {
        "begins": quiet["start_time"].strftime("%H:%M"),
        "ends": quiet["end_time"].strftime("%H:%M"),
        "weekdays": sorted({WEEKDAYS.index(day) for day in quiet["weekdays"]}),
        "time_zone": quiet["time_zone"],
        "critical_too": quiet["critical_too"],
    }
