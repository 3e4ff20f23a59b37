"""Silence about one monitor: what websites and heartbeats share."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from rest_framework import serializers

from core.api.fields import Strict, Whole
from core.api.incidents.services import alerts_reconsider
from core.api.monitors.models import Monitor
from core.api.monitors.services import monitor_save
from core.api.problems import FieldError

UNTIL_UNMUTED: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The end of a mute that has none."""

SHORTEST_S: Final = 60
LONGEST_S: Final = 365 * 86_400


class MuteRequest(Strict):
    """For how long: until a time, or for some seconds; with neither, until it is unmuted."""

    until = serializers.DateTimeField(required=False, allow_null=True, help_text="When people are told again.")
    for_s = Whole(min_value=SHORTEST_S, max_value=LONGEST_S, required=False, allow_null=True, help_text="The same, from now.")


def monitor_mute(*, monitor: Monitor, now: datetime, until: datetime | None = None, for_s: int | None = None) -> None:
    """Tell nobody of outages that they do not know of, until then; what still lasts at the end is told.

    Raises:
        FieldError: the end has passed, is too far away, or is given twice.
    """
    _set(monitor, _end(until, for_s, now), now)


def monitor_unmute(*, monitor: Monitor, now: datetime) -> None:
    """Tell people again; of what was held back and still lasts within seconds."""
    _set(monitor, None, now)


def _end(until: datetime | None, for_s: int | None, now: datetime) -> datetime:
    if until is not None and for_s is not None:
        raise FieldError("for_s", "contradiction", "cannot be given together with until")
    if for_s is not None:
        return now + timedelta(seconds=for_s)
    if until is None:
        return UNTIL_UNMUTED
    if until <= now:
        raise FieldError("until", "past", "must be in the future")
    if until > now + timedelta(seconds=LONGEST_S):
        raise FieldError("until", "too_late", "must be within a year; leave it out to mute until it is unmuted")
    return until


def _set(monitor: Monitor, until: datetime | None, now: datetime) -> None:
    changes: dict[str, Any] = {"muted_until": until}
    with transaction.atomic():
        Monitor.objects.select_for_update(no_key=True).only("id").get(pk=monitor.pk)
        monitor_save(monitor=monitor, changes=changes)
        alerts_reconsider(workspace_id=monitor.workspace_id, now=now)
