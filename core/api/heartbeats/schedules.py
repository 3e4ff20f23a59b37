"""From what a request says about a schedule to the columns of a heartbeat."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from core.adapters.store.heartbeat_rows import recurrence_columns
from core.api.monitors.models import Heartbeat, ScheduleKind
from core.api.monitors.services import COMMON_FIELDS
from core.api.problems import FieldError
from core.domain.recurrence import BadRecurrence, Period, Recurrence, next_due, scheduled

RECURRENCE: Final = frozenset({"schedule_kind", "period_s", "schedule", "time_zone"})


def new_columns(values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The settings of a new heartbeat: once a day, if it does not say when.

    Raises:
        FieldError: they do not fit together.
    """
    return changed_columns(Heartbeat(), {name: value for name, value in values.items() if name not in COMMON_FIELDS}, now)


def changed_columns(before: Heartbeat, changes: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The columns that changes give other values, and some that they may.

    Raises:
        FieldError: they do not fit together, or with what is stored.
    """
    columns = {name: value for name, value in changes.items() if name not in COMMON_FIELDS | RECURRENCE}
    if changes.keys() & RECURRENCE:
        columns |= recurrence_columns(asked_recurrence(before, changes, now), now)
    least = columns.get("min_run_s", before.min_run_s)
    most = columns.get("max_run_s", before.max_run_s)
    if most is None:
        most = columns.get("grace_s", before.grace_s)
    if least > most:
        raise FieldError("min_run_s", "too_long", f"is more than a run may take ({most} s: `max_run_s`, or else the grace)")
    return columns


def asked_recurrence(before: Heartbeat, changes: Mapping[str, Any], now: datetime) -> Recurrence:
    """What a request says about when, on top of what is stored. A schedule without its kind is taken for what it looks like.

    Raises:
        FieldError: that is no schedule.
    """
    zone = _zone(changes.get("time_zone", before.time_zone))
    kind, expression = changes.get("schedule_kind"), changes.get("schedule")
    if expression is not None and "period_s" in changes:
        raise FieldError("schedule", "contradiction", "cannot be given together with `period_s`")
    if "period_s" in changes or kind == ScheduleKind.PERIOD:
        return _period(before, changes, zone)
    if expression is None:
        if kind is None and before.schedule_kind == ScheduleKind.PERIOD:
            return Period(before.period_s, zone)
        kind, expression = kind or before.schedule_kind, before.schedule
    if not expression:
        raise FieldError("schedule", "required", f"is needed for the kind {kind}")
    try:
        recurrence = scheduled(kind, expression, zone)
    except BadRecurrence as bad:
        raise FieldError("schedule", "invalid", str(bad)) from bad
    if next_due(recurrence, now) is None:
        raise FieldError("schedule", "over", "has no time left that is still to come")
    return recurrence


def _period(before: Heartbeat, changes: Mapping[str, Any], zone: ZoneInfo) -> Period:
    if changes.get("schedule_kind", ScheduleKind.PERIOD) != ScheduleKind.PERIOD:
        raise FieldError("period_s", "not_for_this_kind", f"is not for the kind {changes['schedule_kind']}")
    if changes.get("schedule") is not None:
        raise FieldError("schedule", "not_for_this_kind", "is not for the kind period")
    if "period_s" not in changes and before.schedule_kind != ScheduleKind.PERIOD:
        raise FieldError("period_s", "required", "is needed for the kind period")
    return Period(changes.get("period_s", before.period_s), zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise FieldError("time_zone", "invalid", "is no time zone of the IANA database, such as Europe/Berlin") from None
