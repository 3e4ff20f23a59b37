"""Writes about maintenance windows; each is one transaction.

What a write changes about hours that are rolled up, a trigger marks; what it changes about alerts that are held, the next sweep decides.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from core.api.accounts.models import Workspace
from core.api.incidents.services import alerts_reconsider
from core.api.maintenance.models import MaintenanceWindow, WindowKind
from core.api.maintenance.serializers import WEEKDAYS
from core.api.monitors.models import Monitor
from core.api.pagination import YEARS
from core.api.problems import FieldError
from core.domain.maintenance import BadCron, check_cron

NEEDED: Final[Mapping[str, frozenset[str]]] = {
    WindowKind.ONCE: frozenset({"ends_at"}),
    WindowKind.WEEKLY: frozenset({"weekdays", "start_time", "duration_s"}),
    WindowKind.CRON: frozenset({"cron", "duration_s"}),
}
FOREIGN: Final = frozenset({"weekdays", "start_time", "cron", "duration_s"})
"""Fields that only some kinds have."""


def window_create(*, workspace: Workspace, values: Mapping[str, Any], now: datetime) -> MaintenanceWindow:
    """A window of a workspace.

    Raises:
        FieldError: a field is missing, not for this kind, or contradicts another.
    """
    if values["kind"] == WindowKind.ONCE and "starts_at" not in values:
        raise FieldError("starts_at", "required", "is needed where the window comes once")
    with transaction.atomic():
        window = MaintenanceWindow(workspace=workspace, kind=values["kind"], starts_at=now)
        _change(window, values)
        window.save(force_insert=True)
        alerts_reconsider(workspace_id=workspace.id, now=now)
    return window


def window_update(*, window_id: UUID, changes: Mapping[str, Any], now: datetime) -> MaintenanceWindow:
    """Change a window, for all of its time.

    Raises:
        FieldError: a field is not for this kind, or contradicts another.
    """
    with transaction.atomic():
        window = MaintenanceWindow.objects.select_for_update().get(pk=window_id)
        _change(window, changes)
        window.save()
        alerts_reconsider(workspace_id=window.workspace_id, now=now)
    return window


def window_delete(*, window_id: UUID, now: datetime) -> None:
    """Delete a window as if it had never been."""
    with transaction.atomic():
        window = MaintenanceWindow.objects.select_for_update().get(pk=window_id)
        window.delete()
        alerts_reconsider(workspace_id=window.workspace_id, now=now)


def _change(window: MaintenanceWindow, changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        setattr(window, name, value)
    if "weekdays" in changes:
        window.weekdays = sorted({WEEKDAYS.index(day) for day in changes["weekdays"]})
    _check_kind(window)
    _check_times(window)
    _check_scope(window, changes)


def _check_kind(window: MaintenanceWindow) -> None:
    for name in sorted(NEEDED[window.kind]):
        if getattr(window, name) in (None, "", []):
            raise FieldError(name, "required", f"is needed for a window of the kind {window.kind}")
    for name in sorted(FOREIGN - NEEDED[window.kind]):
        if getattr(window, name) not in (None, "", []):
            raise FieldError(name, "not_for_this_kind", f"is not for a window of the kind {window.kind}")


def _check_times(window: MaintenanceWindow) -> None:
    for name in ("starts_at", "ends_at"):
        at = getattr(window, name)
        if at is not None and at.year not in YEARS:
            raise FieldError(name, "invalid", f"must be in a year from {YEARS.start} to {YEARS.stop - 1}")
    if window.ends_at is not None and window.ends_at <= window.starts_at:
        raise FieldError("ends_at", "too_early", "must be after `starts_at`")
    try:
        zone = ZoneInfo(window.time_zone)
    except (ValueError, OSError, LookupError):
        raise FieldError("time_zone", "invalid", "is no time zone of the IANA database, such as Europe/Berlin") from None
    if window.kind == WindowKind.CRON:
        try:
            check_cron(window.cron, zone)
        except BadCron as bad:
            raise FieldError("cron", "invalid", str(bad)) from bad


def _check_scope(window: MaintenanceWindow, changes: Mapping[str, Any]) -> None:
    window.monitors = list(dict.fromkeys(window.monitors))
    if window.all_monitors and (window.monitors or window.tags):
        raise FieldError("all_monitors", "contradiction", "cannot be given together with `monitors` or `tags`")
    if not (window.all_monitors or window.monitors or window.tags):
        raise FieldError("all_monitors", "required", "must be true unless `monitors` or `tags` say what the window is about")
    if "monitors" in changes:
        known = set(Monitor.objects.filter(workspace=window.workspace_id, uid__in=window.monitors).values_list("uid", flat=True))
        for number, uid in enumerate(window.monitors):
            if uid not in known:
                raise FieldError(f"monitors.{number}", "not_found", "is no monitor of this workspace")
