"""The flush: every fraction of a second, all finished checks become one transaction on a thread of its own.

Where little is checked and all is well, a second passes: a transaction costs as much as a hundred results. A failure, a recovery and a
check that somebody waits for are stored at once.

While PostgreSQL is away results wait, a bounded number of them, and go in when it is back: those whose website was claimed anew
meanwhile are refused there by their lease.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout

from core.domain.outcomes import Outcome
from core.flows.websites import Applied, Finished
from core.logs import get_logger

log = get_logger(__name__)

FLUSH_EVERY_S: Final = 0.2
CALM_S: Final = 1.0
MANY: Final = 64
"""Results that make a flush worth while by themselves."""

BATCH: Final = 1000
"""Results in one transaction, which takes 3 kB for each."""
BUFFER: Final = 50_000
FIRST_BACKOFF_S: Final = 0.25
LONGEST_BACKOFF_S: Final = 5.0

AWAY: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)


class Flusher:
    """Collects results from any thread and stores them.

    `store` makes one transaction of a batch and raises one of `AWAY` if it cannot; `committed` is called after each commit.
    `awaited` says whether somebody waits for the check of a website (its public id).
    """

    def __init__(
        self,
        store: Callable[[Sequence[Finished]], Applied],
        committed: Callable[[Applied], None],
        awaited: Callable[[UUID], bool] = lambda _: False,
    ) -> None:
        self._store = store
        self._committed = committed
        self._awaited = awaited
        self._waiting: deque[Finished] = deque(maxlen=BUFFER)
        self._filled = threading.Event()
        self._pressing = threading.Event()
        self._stopping = threading.Event()
        self._give_up_at = float("inf")
        self._thread = threading.Thread(target=self._run, name="flush", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, done: Finished) -> None:
        """Have a result stored soon. With the buffer full the oldest result is lost: its lease ends and it is checked again."""
        self._waiting.append(done)
        if len(self._waiting) >= MANY or _is_news(done) or self._awaited(done.job.monitor.uid):
            self._pressing.set()
        self._filled.set()

    def stop(self, within_s: float) -> int:
        """Store what waits, for at most `within_s`; returns how many results could not be stored."""
        self._give_up_at = time.monotonic() + within_s
        self._stopping.set()
        self._pressing.set()
        self._filled.set()
        self._thread.join(within_s + 1.0)
        return len(self._waiting)

    def _run(self) -> None:
        backoff = 0.0
        while self._waiting or not self._stopping.is_set():
            self._filled.wait()
            if not self._stopping.is_set():
                self._pressing.wait(CALM_S - FLUSH_EVERY_S)
            self._stopping.wait(FLUSH_EVERY_S)
            self._pressing.clear()
            self._filled.clear()
            stored = self._flush()
            backoff = 0.0 if stored else min(max(backoff * 2, FIRST_BACKOFF_S), LONGEST_BACKOFF_S)
            if backoff and time.monotonic() + backoff > self._give_up_at:
                return
            (time.sleep if self._stopping.is_set() else self._stopping.wait)(backoff)

    def _flush(self) -> bool:
        """Store what waits now, batch by batch; False when PostgreSQL is away.

        What comes in meanwhile waits for the next flush: a transaction costs as much as a hundred results.
        """
        left = len(self._waiting)
        while left > 0 and (batch := self._take(left)):
            left -= len(batch)
            try:
                applied = self._store(batch)
            except AWAY as error:
                self._waiting.extendleft(reversed(batch[: BUFFER - len(self._waiting)]))
                self._pressing.set()
                self._filled.set()
                log.warning("flush.postgres_away", waiting=len(self._waiting), error=str(error))
                return False
            except Exception:
                log.exception("flush.lost", results=len(batch))
                continue
            self._tell(applied)
        return True

    def _tell(self, applied: Applied) -> None:
        try:
            self._committed(applied)
        except Exception:
            log.exception("flush.after_commit_failed", alerts=len(applied.alert_ids))

    def _take(self, most: int) -> list[Finished]:
        return [self._waiting.popleft() for _ in range(min(BATCH, most, len(self._waiting)))]


def _is_news(done: Finished) -> bool:
    """Whether a state may change by it, or we are in trouble."""
    return done.result.outcome is not Outcome.UP or done.job.failing
