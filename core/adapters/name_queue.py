"""Names wait here to be asked about, so that no burst of questions drowns its own answers.

Answers wait in the kernel's buffer of one socket, which takes 550 of them at most and drops the rest without a word. A worker that was
stopped or starved has thousands of names to ask about at once: what was dropped would look like name servers that do not answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_FRESH: Final = 128
"""Names that were asked about and not answered: two questions each, and twice as many after a quiet moment, still fit."""

QUIET_S: Final = 0.1
"""When nothing at all came for so long, the oldest makes room: names whose servers are dead must not hold up the healthy ones."""

SLOW_S: Final = 0.5
"""When something comes, the others may be in line behind it, in a buffer like ours; for so long at most."""


class NameQueue:
    """Calls `ask` for each name in turn, on one event loop. While there is room that is at once and costs two steps in a dict."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ask: Callable[[str], None]) -> None:
        self._loop = loop
        self._ask = ask
        self._fresh: dict[str, float] = {}
        self._waiting: deque[str] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._going_on = False
        self._answered_at = float("-inf")

    def put(self, name: str) -> None:
        """Have a name asked about as soon as there is room."""
        if not self._waiting and len(self._fresh) < MOST_FRESH:
            self._fresh[name] = self._loop.time()
            self._ask(name)
            return
        self._waiting.append(name)
        if not self._going_on:
            self._go_on()

    def answered(self, name: str) -> None:
        """There is room for another one."""
        self._fresh.pop(name, None)
        self._answered_at = self._loop.time()
        if self._waiting and not self._going_on:  # some are answered while they are being asked about
            self._go_on()

    def clear(self) -> list[str]:
        """Forget the names that wait, and return them."""
        if self._alarm is not None:
            self._alarm.cancel()
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _go_on(self) -> None:
        now = self._loop.time()
        self._going_on = True
        while self._waiting and (len(self._fresh) < MOST_FRESH or self._make_room(now)):
            name = self._waiting.popleft()
            self._fresh[name] = now
            self._ask(name)
        self._going_on = False
        if self._waiting and self._alarm is None:
            self._alarm = self._loop.call_at(self._room_at(), self._wake)

    def _make_room(self, now: float) -> bool:
        """Whether the oldest name has had its time."""
        if self._room_at() > now:
            return False
        del self._fresh[next(iter(self._fresh))]
        return True

    def _room_at(self) -> float:
        oldest = next(iter(self._fresh.values()))
        return min(max(oldest, self._answered_at) + QUIET_S, oldest + SLOW_S)

    def _wake(self) -> None:
        self._alarm = None
        self._go_on()
