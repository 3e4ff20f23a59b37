"""Websites whose next check somebody waits for: told by the task that checks one at once, or by another process that found it taken."""

import threading
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

import redis

from core.adapters.check_reports import CheckReports
from core.domain.website import Step
from core.flows.check_reports import check_report
from core.flows.websites import Applied, Finished
from core.logs import get_logger

log = get_logger(__name__)

FORGET_AFTER_S: Final = 120.0
"""Longer than any check: what is older was answered by another process."""


class Wishes:
    """Empty nearly always, and then it costs a flush one look. Safe to share between threads."""

    def __init__(self, reports: CheckReports, clock: Callable[[], float] = time.monotonic) -> None:
        self._reports = reports
        self._clock = clock
        self._lock = threading.Lock()
        self._wanted: dict[UUID, float] = {}

    def add(self, website: UUID) -> None:
        """Answer for this website when it was checked here."""
        now = self._clock()
        with self._lock:
            self._wanted = {uid: since for uid, since in self._wanted.items() if now - since < FORGET_AFTER_S}
            self._wanted[website] = now

    def concern(self, website: UUID) -> bool:
        """Whether somebody waits for this website."""
        return website in self._wanted

    def answer(self, applied: Applied) -> None:
        """Tell those who wait what was stored. Redis being away is logged: who waits will ask again."""
        if not self._wanted:
            return
        for done, step in applied.judged:
            if done.job.monitor.uid in self._wanted:
                self._answer(done, step)

    def _answer(self, done: Finished, step: Step) -> None:
        website = done.job.monitor.uid
        try:
            self._reports.answer(website, lambda: check_report(done, step.state.state))
        except redis.RedisError as error:
            log.warning("wishes.not_answered", monitor_id=str(website), error=str(error))
        else:
            with self._lock:
                self._wanted.pop(website, None)
