"""How often due websites are looked for: every second where there is much to check, else every four seconds and that much further ahead.

A look costs Celery, Redis and PostgreSQL the same whether it finds one website or two hundred. Who makes a website due before the next
look asks for one (`core.adapters.task_queue.TaskQueue.look_soon`), so that nobody is checked later than with a look every second.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

PROMPT_S: Final = 1.0
CALM_S: Final = 4.0
LATE: Final = timedelta(seconds=0.5)
"""How much further a look goes than to the next one, which may come late."""

MOST_AT_ONCE: Final = 2000
"""Websites in one look. More of them lie around in a worker until they are due, and are late together when it is killed."""

MEMORY_S: Final = 10.0


def horizon(ahead_s: float) -> timedelta:
    """What a look takes along when the next one comes in `ahead_s`."""
    return timedelta(seconds=ahead_s) + LATE


class Board(Protocol):
    """Where the fleet and beat leave word for each other; neither method raises."""

    def told(self) -> float | None:
        """Seconds between two looks; None when nobody has said."""
        ...

    def tell(self, seconds: float) -> None:
        """Say it for the next looks."""
        ...


class Pacer:
    """Sees what each look has found and says when the next one is needed. Safe to share between threads."""

    def __init__(self, board: Board, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._clock = clock
        self._began = clock()
        self._found: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def pace_s(self) -> float:
        """Seconds between two looks, as the fleet has said last."""
        return self._board.told() or PROMPT_S

    def found(self, websites: int) -> None:
        """A look has found so many. Prompt until it is known how much there is to do: after a start everything is overdue."""
        now = self._clock()
        with self._lock:
            self._found.append((now, websites))
            while self._found[0][0] <= now - MEMORY_S:
                self._found.popleft()
            rate = sum(count for _, count in self._found) / MEMORY_S
            is_calm = now - self._began >= MEMORY_S and rate * CALM_S <= MOST_AT_ONCE
        self._board.tell(CALM_S if is_calm else PROMPT_S)


class Nudge:
    """Asks for a look at most once a second, and never forgets that somebody wanted one. Safe to share between threads."""

    def __init__(self, look_soon: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._look_soon = look_soon
        self._clock = clock
        self._asked_at = -PROMPT_S
        self._timer: threading.Timer | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Have a look taken within a second."""
        with self._lock:
            if self._timer or self._closed:
                return
            wait_s = self._asked_at + PROMPT_S - self._clock()
            if wait_s > 0:
                self._timer = threading.Timer(wait_s, self._ask)
                self._timer.daemon = True
                self._timer.start()
                return
            self._asked_at = self._clock()
        self._look_soon()

    def close(self) -> None:
        """Ask no more."""
        with self._lock:
            self._closed = True
            if self._timer:
                self._timer.cancel()

    def _ask(self) -> None:
        with self._lock:
            self._timer, self._asked_at = None, self._clock()
        self._look_soon()
