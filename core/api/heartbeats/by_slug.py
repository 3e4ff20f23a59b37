"""Heartbeats as they are written down somewhere else: there after the call, whatever was there before.

Invariant: of many calls for one slug, at once or again, one creates a heartbeat and the others change that one.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from core.api.accounts.models import Workspace
from core.api.heartbeats.naming import SLUG
from core.api.heartbeats.services import heartbeat_create, heartbeat_update
from core.api.monitors.models import Monitor, MonitorKind
from core.api.problems import FieldError

PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""How long to wait for somebody who has just taken the slug at the edge and not committed yet: another call, or a first ping."""


def heartbeat_put(
    *,
    workspace: Workspace,
    slug: str,
    changes: Mapping[str, Any],
    whole: Callable[[], Mapping[str, Any]],
    now: datetime,
) -> tuple[Monitor, bool]:
    """Create the heartbeat with this slug from `whole()`, or apply `changes` to it; also whether it was created.

    Raises:
        ValidationError: what is missing to create it, or does not fit; nothing was changed.
        Problem: the edge cannot be reached; nothing was changed.
    """
    for pause_s in (*PAUSES_S, None):
        monitor = Monitor.objects.filter(workspace=workspace, kind=MonitorKind.HEARTBEAT, slug=slug).first()
        if monitor:
            heartbeat_update(monitor=monitor, changes=changes, now=now)
            return monitor, False
        try:
            return heartbeat_create(workspace=workspace, values={**whole(), SLUG: slug}, now=now), True
        except FieldError as error:
            if not _is_taken(error) or pause_s is None:
                raise
            time.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")


def _is_taken(error: FieldError) -> bool:
    codes = error.get_codes()
    return isinstance(codes, dict) and codes.get(SLUG) == ["unique"]
