"""Names wait here to be asked about, so that no burst of questions drowns its own answers.

Answers wait in the kernel's buffer of one socket, which takes 550 of them at most and drops the rest without a word; name servers have
such a buffer too, 280 questions usually, and some have a limit (Amazon's takes 1,024 packets per second of one network interface). A worker
that was stopped or starved has thousands of names to ask about at once: what was dropped would look like name servers that do not answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_FRESH: Final = 128
"""Names that were asked about and not answered: two questions each, so that all of them fit into a name server's buffer."""

QUIET_S: Final = 0.1
"""When nothing at all came for so long, the oldest make room: names whose servers are dead must not hold up the healthy ones."""

ROOM_AT_ONCE: Final = MOST_FRESH // 8
"""How many make room in one quiet moment: the silence may also be one of name servers that drop what is too much for them."""

SLOW_S: Final = 0.5
"""When something comes, the others may be in line behind it, in a buffer like ours; for so long at most."""

BURST_S: Final = 0.1
"""With a limit, questions of so many seconds may be asked at once."""

_QUESTIONS: Final = 2


class NameQueue:
    """Calls `ask` for each name in turn, on one event loop. While there is room that is at once and costs two steps in a dict.

    `questions_per_s` bounds how many questions are asked, two for a name; 0 for no limit.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ask: Callable[[str], None], *, questions_per_s: float = 0.0) -> None:
        self._loop = loop
        self._ask = ask
        self._step_s = _QUESTIONS / questions_per_s if questions_per_s else 0.0
        self._turn_at = float("-inf")
        self._fresh: dict[str, float] = {}
        self._waiting: deque[str] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._going_on = False
        self._heard_at = float("-inf")
        self._made_room_at = float("-inf")

    def put(self, name: str) -> None:
        """Have a name asked about as soon as there is room."""
        if not self._waiting and len(self._fresh) < MOST_FRESH:
            now = self._loop.time()
            if self._turn_at <= now:
                self._start(name, now)
                return
        self._waiting.append(name)
        if not self._going_on:
            self._go_on()

    def answered(self, name: str) -> None:
        """There is room for another one."""
        self._fresh.pop(name, None)
        self._heard_at = self._loop.time()
        if self._waiting and not self._going_on:  # some are answered while they are being asked about
            self._go_on()

    def clear(self) -> list[str]:
        """Forget the names that wait, and return them."""
        if self._alarm is not None:
            self._alarm.cancel()
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _start(self, name: str, now: float) -> None:
        self._fresh[name] = now
        if self._step_s:
            self._turn_at = max(self._turn_at, now - BURST_S) + self._step_s
        self._ask(name)

    def _go_on(self) -> None:
        now = self._loop.time()
        self._going_on = True
        while self._waiting and len(self._fresh) < MOST_FRESH and self._turn_at <= now:
            self._start(self._waiting.popleft(), now)
        self._going_on = False
        if self._waiting and self._alarm is None:
            has_room = len(self._fresh) < MOST_FRESH
            self._ring_at(self._turn_at if has_room else max(self._turn_at, min(self._quiet_at(), self._slow_at())))

    def _quiet_at(self) -> float:
        return max(self._oldest(), self._heard_at, self._made_room_at) + QUIET_S

    def _slow_at(self) -> float:
        return self._oldest() + SLOW_S

    def _oldest(self) -> float:
        return next(iter(self._fresh.values()))

    def _ring_at(self, due: float) -> None:
        self._alarm = self._loop.call_at(due, self._wake, due)

    def _wake(self, due: float) -> None:
        self._alarm = None
        now = self._loop.time()
        if now - due > QUIET_S:  # this loop was held up: answers may be here that it could not read
            self._ring_at(now + QUIET_S)
            return
        self._make_room(now)
        self._go_on()

    def _make_room(self, now: float) -> None:
        left = ROOM_AT_ONCE if len(self._fresh) == MOST_FRESH and self._quiet_at() <= now else 0
        if left:
            self._made_room_at = now
        while self._fresh and (left > 0 or self._slow_at() <= now):
            del self._fresh[next(iter(self._fresh))]
            left -= 1
