"""Checks that somebody waits for. The fleet makes them; the web only asks, and waits for what Redis brings."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.http import Http404
from redis.exceptions import RedisError

from core.api import edge, problem_types
from core.api.monitors.models import Monitor
from core.api.problems import Problem
from core.contracts.check_reports import CheckReport
from core.logs import get_logger

log = get_logger(__name__)

GRACE_S: Final = 5.0
"""What a check may take beyond its time-out until its report is here: the way through the queue, and the flush."""

FIRST_LOOK_S: Final = 1.0
LOOK_GROWTH: Final = 2.0
TASK: Final = "check_single_website"
TASK_EXPIRES_S: Final = 30.0


def website_check(*, monitor: Monitor) -> tuple[UUID, CheckReport | None]:
    """Have a website checked and wait for it: the id of the check, and its report unless it takes longer than it may.

    Raises:
        Problem: the website is paused, or nobody can be asked.
    """
    if monitor.paused_at is not None:
        raise Problem(problem_types.CONFLICT, "This website is paused; resume it to have it checked.")
    with _asking():
        check_id = edge.check_reports().ask(monitor.uid)
        with _place_to_wait() as may_wait:
            deadline = time.monotonic() + (monitor.website.timeout_ms / 1000 + GRACE_S if may_wait else 0.0)
            return check_id, _wait(monitor.uid, check_id, deadline)


def check_find(*, monitor: Monitor, check_id: UUID) -> CheckReport | None:
    """The report of a check that was asked for; None while it is not there yet.

    Raises:
        Http404: nobody asked for it, or too long ago.
        Problem: nobody can be asked.
    """
    with _asking():
        try:
            report = edge.check_reports().find(monitor.uid, check_id)
        except KeyError:
            raise Http404 from None
        if report is None:
            _send(monitor.uid)
        return report


def _wait(website: UUID, check_id: UUID, deadline: float) -> CheckReport | None:
    """Ask again now and then. A check that is under way is joined; one whose end was missed, or whose worker died, is made anew."""
    look_s = FIRST_LOOK_S
    while True:
        _send(website)
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return None
        report = _look(check_id, min(look_s, left_s))
        if report is not None:
            return report
        look_s *= LOOK_GROWTH


def _look(check_id: UUID, seconds: float) -> CheckReport | None:
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0:
        report = edge.check_reports().wait(check_id, left_s)
        if report is not None:
            return report
    return None


def _send(website: UUID) -> None:
    edge.task_queue().send(TASK, str(website), expires_s=TASK_EXPIRES_S)


@cache
def _places() -> BoundedSemaphore:
    return BoundedSemaphore(max(settings.WAITING_CHECKS, 1))


@contextmanager
def _place_to_wait() -> Iterator[bool]:
    """Whether this request may wait: some threads of the process must be left for the others. Who waits holds no database connection."""
    if settings.WAITING_CHECKS < 1 or not _places().acquire(blocking=False):
        yield False
        return
    try:
        if not connection.in_atomic_block:
            connection.close()
        yield True
    finally:
        _places().release()


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        log.warning("checks.redis_away", error=str(error))
        raise Problem(problem_types.UNAVAILABLE, "The fleet cannot be reached. Try again in a moment.") from error
